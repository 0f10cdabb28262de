"""A sweep's own small files where the storage is a URL: fetched before it goes on, sent every two seconds while it runs.

The study's journal and what lies beside it are appended to and locked, which object stores cannot do; so the driver works on
its local folder and sends what changed. A driver that is killed on a machine that stays goes on from its own folder, and loses
nothing. If the machine is lost, too, two seconds of the study are: those trials are asked for again, and find their stages trained.
"""

from __future__ import annotations

import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from explorer.errors import SweepBusy
from explorer.run.stopping import STOP_FILE
from explorer.store.remote import Remote

LEASE = "driver.json"  # {id of the local folder, host, pid, time, running}
_ID_FILE = ".mirror-id"
_EVERY_S = 2.0
_FRESH_S = 60.0
_LOCAL = (STOP_FILE, LEASE)


class FolderMirror:
    """The folder of one sweep and its copy on the remote storage."""

    def __init__(self, folder: Path, remote: Remote) -> None:
        self._folder = folder
        self._remote = remote
        self._sent: dict[str, tuple[int, int]] = {}

    def claim(self) -> None:
        """Be the one who runs the sweep, from its latest state. Raises ``SweepBusy``."""
        lease = self._lease()
        theirs = lease is not None and lease["id"] != self._id
        if lease is not None and theirs and lease["running"] and time.time() - lease["time"] < _FRESH_S:
            raise SweepBusy(
                f"the sweep {self._folder.name!r} is being run by process {lease['pid']} on {lease['host']}; wait for it, or "
                f"end it with: explorer stop {self._remote.url}/{self._folder.name}"
            )
        self.fetch()
        self._remote.remove(self._name(STOP_FILE))
        self.renew(running=True)

    def fetch(self) -> None:
        """Have the latest state here. Nothing is fetched where it was this folder that sent it."""
        lease = self._lease()
        if lease is not None and lease["id"] == self._id and (self._folder / "space.yaml").is_file():
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        for name in self._remote.names(self._folder.name):
            ours = name not in _LOCAL and not name.startswith(".")  # nobody sends those; ".." would lead out of the folder
            content = self._remote.read(self._name(name)) if ours else None
            if content is not None:
                (self._folder / name).write_bytes(content)

    def send(self) -> None:
        """Send the files that changed, and remove those that are gone."""
        found = {file.name: file for file in self._folder.glob("[!.]*") if file.is_file() and file.name not in _LOCAL}
        for name, file in found.items():
            try:
                stat = file.stat()
                if self._sent.get(name) != (stat.st_mtime_ns, stat.st_size):
                    self._remote.write(self._name(name), file.read_bytes())
                    self._sent[name] = (stat.st_mtime_ns, stat.st_size)
            except FileNotFoundError:
                continue
        for name in self._sent.keys() - found.keys():
            self._remote.remove(self._name(name))
            del self._sent[name]

    def renew(self, *, running: bool) -> None:
        lease = {"id": self._id, "host": socket.gethostname(), "pid": os.getpid(), "time": time.time(), "running": running}
        self._remote.write(self._name(LEASE), json.dumps(lease).encode())

    def ask_to_stop(self) -> None:
        self._remote.write(self._name(STOP_FILE), b"stop")

    def take_over_stop(self) -> None:
        """What was asked for at the remote storage is asked for here."""
        if self._remote.exists(self._name(STOP_FILE)):
            (self._folder / STOP_FILE).touch()

    def _lease(self) -> Any:
        return self._remote.read_json(self._name(LEASE))

    def _name(self, name: str) -> str:
        return f"{self._folder.name}/{name}"

    @property
    def _id(self) -> str:
        file = self._folder.parent / _ID_FILE
        file.parent.mkdir(parents=True, exist_ok=True)
        try:
            with file.open("x") as stream:
                stream.write(uuid.uuid4().hex)
        except FileExistsError:
            pass
        return file.read_text()


def mirror_of(folder: Path) -> FolderMirror | None:
    """None where the sweep's storage is an ordinary folder."""
    remote = Remote.of(folder.parent)
    return None if remote is None else FolderMirror(folder, remote)


@contextmanager
def mirrored(folder: Path) -> Iterator[None]:
    """Fetch the sweep's files, and send what changes until the end. Nothing happens for an ordinary folder.

    Raises:
        SweepBusy: another machine runs the sweep.
    """
    mirror = mirror_of(folder)
    if mirror is None:
        yield
        return
    mirror.claim()
    ended = threading.Event()

    def keep_sending() -> None:
        while not ended.wait(_EVERY_S):
            try:
                mirror.send()
                mirror.renew(running=True)
                mirror.take_over_stop()
            except Exception:  # the storage is away: the next time
                continue

    thread = threading.Thread(target=keep_sending, name="mirror", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        mirror.send()
        mirror.renew(running=False)
