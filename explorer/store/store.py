"""The stage store: stage key -> checkpoint folder. Whole or absent, never half; checksummed; first come, first kept.

    ROOT/KEY/              a published checkpoint: its files and checksums.json
    ROOT/.work/AREA/KEY/   where a stage is being trained; stays when its process is killed, so that it can go on
    ROOT/.broken/          checkpoints that failed their checksum, moved out of the way

Works on any folder with atomic rename: a local disk or NFS; and on the mirror of an object store, to which everything that is
published, and after each epoch what is half trained, is sent (:mod:`explorer.store.exchange`).
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import time
import uuid
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from explorer.errors import CheckpointMissing, UserError
from explorer.store.checksums import CHECKSUMS, broken_files, fingerprint, fsync_folder, write_checksums
from explorer.store.exchange import Exchange
from explorer.store.remote import Remote

STAGE_INFO = "stage.json"
POINTS = "points.json"
_WORK = ".work"
_BROKEN = ".broken"


class Store:
    """The checkpoints below ``root``.

    ``area`` separates the working folders of those who may train the same key at the same time: give a sweep its name.
    Within an area there must be one trainer a key.
    """

    def __init__(self, root: Path, *, area: str = "default") -> None:
        self.root = Path(root)
        self._area = area
        self._verified: dict[str, object] = {}  # key -> what its files looked like
        remote = Remote.of(self.root.parent)
        self._exchange = None if remote is None else Exchange(remote, area)

    def has(self, key: str) -> bool:
        """Whether the store holds ``key`` whole. Checksums are compared the first time, and where a file was touched since."""
        return self._has_here(key) or self._fetch(key)

    def _has_here(self, key: str) -> bool:
        folder = self._folder(key)
        if not (folder / CHECKSUMS).is_file():
            return False
        looks = fingerprint(folder)
        if self._verified.get(key) != looks:
            if broken_files(folder):
                self._move_aside(key)
                return False
            self._verified[key] = looks
        return True

    def _fetch(self, key: str) -> bool:
        """Fetch ``key`` from the storage that this one mirrors. Whether it is here now, whole."""
        if self._exchange is None:
            return False
        staging = self._staging()
        try:
            if not self._exchange.fetch(key, staging):
                return False
            _renamed(staging, self._folder(key))
        finally:
            shutil.rmtree(staging, ignore_errors=True)
        return self._has_here(key)

    def is_there(self, key: str) -> bool:
        """Whether something is published under ``key``; nothing is compared."""
        return (self._folder(key) / CHECKSUMS).is_file() or (self._exchange is not None and self._exchange.has(key))

    def path(self, key: str) -> Path:
        """The folder of ``key``'s checkpoint, verified as in :meth:`has`.

        Raises:
            CheckpointMissing: there is none, or it failed its checksum (and is gone now: train it again).
        """
        if not self.has(key):
            raise CheckpointMissing(key)
        return self._folder(key)

    def work_folder(self, key: str) -> Path:
        """The working folder of ``key``, the same in each process of this area; it may not exist."""
        return self.root / _WORK / self._area / _checked(key)

    def work(self, key: str) -> Path:
        """:meth:`work_folder`, made if need be, with what the last machine that trained ``key`` has :meth:`kept <keep>`."""
        folder = self.work_folder(key)
        folder.mkdir(parents=True, exist_ok=True)
        if self._exchange is not None:
            self._exchange.bring(key, folder)
        return folder

    def keep(self, key: str) -> None:
        """An epoch is done: where nodes share no disk, send the working folder of ``key`` to where others find it."""
        if self._exchange is not None:
            self._exchange.keep(key, self.work_folder(key))

    def publish(self, key: str, folder: Path) -> Path:
        """Make ``folder`` the checkpoint of ``key``, in one atomic step, and clear the working folder.

        ``folder`` is taken, not copied, if it lies below the store. Where another process has published ``key``
        before, its checkpoint stays and ours is dropped. Returns the folder of the checkpoint.
        """
        final = self._folder(key)
        ours = self._inside(folder)
        write_checksums(ours)
        fsync_folder(ours)
        if self._exchange is not None:
            first = self._exchange.publish(key, ours)
            self._exchange.forget(key)
            if not first and self._fetch(key):
                shutil.rmtree(ours)
                shutil.rmtree(self.work_folder(key), ignore_errors=True)
                return final
        while not _renamed(ours, final):
            if self.has(key):  # another process was first
                shutil.rmtree(ours)
                break
            self._move_aside(key)  # what stands there is not whole
        else:
            fsync_folder(self.root, deep=False)
            self._verified[key] = fingerprint(final)
        shutil.rmtree(self.root / _WORK / self._area / key, ignore_errors=True)
        return final

    def stage_info(self, key: str) -> dict[str, Any]:
        """``stage.json`` of a checkpoint. Raises ``CheckpointMissing``."""
        info: dict[str, Any] | None = self._json(key, STAGE_INFO)
        if info is None:
            raise CheckpointMissing(key)
        return info

    def points(self, key: str) -> list[dict[str, Any]]:
        """The operating points of a checkpoint; none where nothing was measured, or there is no checkpoint."""
        points: list[dict[str, Any]] | None = self._json(key, POINTS)
        return points or []

    def keys(self) -> tuple[str, ...]:
        """The keys of all checkpoints, sorted. Nothing is verified."""
        folders: Iterable[Path] = self.root.iterdir() if self.root.is_dir() else ()
        here = {f.name for f in folders if not f.name.startswith(".") and (f / CHECKSUMS).is_file()}
        return tuple(sorted(here.union(self._exchange.keys() if self._exchange else ())))

    def _folder(self, key: str) -> Path:
        return self.root / _checked(key)

    def _inside(self, folder: Path) -> Path:
        """``folder`` on the store's own file system, where a rename is atomic."""
        if folder.resolve().is_relative_to(self.root.resolve()):
            return folder
        staging = self._staging()
        shutil.copytree(folder, staging)
        return staging

    def _staging(self) -> Path:
        staging = self.root / _WORK / self._area / f"publish-{uuid.uuid4().hex}"
        staging.parent.mkdir(parents=True, exist_ok=True)
        return staging

    def _move_aside(self, key: str) -> None:
        aside = self.root / _BROKEN / f"{key}.{time.time_ns()}"
        aside.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.rename(self._folder(key), aside)
        except FileNotFoundError:  # another process was faster
            return

    def _json(self, key: str, name: str) -> Any:
        """A JSON file of a checkpoint, with its checksum compared each time (these files are small)."""
        folder = self._folder(key)
        if not (folder / CHECKSUMS).is_file():
            self._fetch(key)
        if not (folder / CHECKSUMS).is_file() or not (folder / name).is_file():
            return None
        if broken_files(folder, only=name):
            self._move_aside(key)
            return None
        return json.loads((folder / name).read_bytes())


def _renamed(folder: Path, final: Path) -> bool:
    """Rename in one atomic step; False where ``final`` exists and is not empty."""
    try:
        os.rename(folder, final)
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
            return False
        raise
    return True


def _checked(key: str) -> str:
    """Keys come from a study, which others may write: none may lead out of the store."""
    if not key or key.startswith(".") or "/" in key:
        raise UserError(f"a stage key must be letters, digits and '-', got {key!r}: the sweep's study was altered; restore it")
    return key
