"""Checkpoints and half-trained stages on a :class:`~explorer.store.remote.Remote`.

    store/KEY.json                 the marker: {"at": folder, "files": checksums}. Written last, by one request: it publishes
    store/.data/KEY/ID/...         the files that a marker names; of a publisher that came second, or died, they are never read
    store/.work/AREA/KEY.json      what is half trained: {"id": ..., "files": checksums}
    store/.work/AREA/KEY/SHA256    its files by content, so that an epoch sends only what is new
    store/.broken/KEY.TIME.json    markers whose files failed their checksums
"""

from __future__ import annotations

import json
import shutil
import time
import uuid
from pathlib import Path
from typing import Any

from explorer.store.checksums import CHECKSUMS, broken_files, checksums, is_inside
from explorer.store.remote import Remote

_STORE, _DATA, _WORK, _BROKEN = "store", "store/.data", "store/.work", "store/.broken"
KEPT = ".kept"  # in a working folder: the id of what was last sent of it


class Exchange:
    """Sends and fetches. ``area``: as of the store."""

    def __init__(self, remote: Remote, area: str) -> None:
        self._remote = remote
        self._area = area
        self._markers: dict[str, Any] = {}

    # --- published ----------------------------------------------------------------------------------------------------

    def keys(self) -> list[str]:
        return [name.removesuffix(".json") for name in self._remote.names(_STORE) if name.endswith(".json")]

    def has(self, key: str) -> bool:
        return self._remote.exists(f"{_STORE}/{key}.json")

    def publish(self, key: str, folder: Path) -> bool:
        """Send ``folder``, with its checksums; False where another publisher was first."""
        if self.has(key):
            return False
        at = f"{_DATA}/{key}/{uuid.uuid4().hex}"
        files = json.loads((folder / CHECKSUMS).read_bytes())
        for name in files:
            self._remote.send(folder / name, f"{at}/{name}")
        return self._remote.create(f"{_STORE}/{key}.json", json.dumps({"at": at, "files": files}).encode())

    def fetch(self, key: str, folder: Path) -> bool:
        """Fill ``folder`` with the checkpoint. False where there is none, or its files fail their checksums."""
        marker = self._marker(key)
        if marker is None:
            return False
        try:
            whole = all(map(is_inside, marker["files"]))
            for name in marker["files"] if whole else ():
                self._remote.fetch(f"{marker['at']}/{name}", folder / name)
            if whole:
                (folder / CHECKSUMS).write_text(json.dumps(marker["files"], indent=1, sort_keys=True))
                whole = not broken_files(folder)
        except FileNotFoundError:
            whole = False
        if not whole:
            self._move_aside(key, marker)
        return whole

    def _marker(self, key: str) -> Any:
        if key not in self._markers:  # markers do not change
            found = self._remote.read_json(f"{_STORE}/{key}.json")
            if found is None:
                return None
            self._markers[key] = found
        return self._markers[key]

    def _move_aside(self, key: str, marker: Any) -> None:
        self._markers.pop(key, None)
        self._remote.write(f"{_BROKEN}/{key}.{time.time_ns()}.json", json.dumps(marker).encode())
        self._remote.remove(f"{_STORE}/{key}.json")

    # --- half trained -------------------------------------------------------------------------------------------------

    def keep(self, key: str, folder: Path) -> None:
        """Send what is new in a working folder, so that another machine can go on with it."""
        state = f"{_WORK}/{self._area}/{key}"
        before = self._remote.read_json(f"{state}.json") or {"files": {}}
        files = checksums(folder)
        known = {found["sha256"] for found in before["files"].values()}
        for name, found in files.items():
            if found["sha256"] not in known:
                self._remote.send(folder / name, f"{state}/{found['sha256']}")
        this = uuid.uuid4().hex
        self._remote.write(f"{state}.json", json.dumps({"id": this, "files": files}).encode())
        (folder / KEPT).write_text(this)
        for old in known - {found["sha256"] for found in files.values()}:
            self._remote.remove(f"{state}/{old}")

    def bring(self, key: str, folder: Path) -> None:
        """Have in ``folder`` what the last machine that trained ``key`` has kept. Damaged: what is here stays."""
        state = f"{_WORK}/{self._area}/{key}"
        kept = self._remote.read_json(f"{state}.json")
        if kept is None or ((folder / KEPT).is_file() and (folder / KEPT).read_text() == kept["id"]):
            return
        if not all(map(is_inside, kept["files"])):
            return
        aside = folder.with_name(f".{folder.name}.{uuid.uuid4().hex}")
        try:
            for name, found in kept["files"].items():
                self._remote.fetch(f"{state}/{found['sha256']}", aside / name)
            (aside / CHECKSUMS).write_text(json.dumps(kept["files"]))
            if broken_files(aside):
                return
            (aside / CHECKSUMS).unlink()
            (aside / KEPT).write_text(kept["id"])
            shutil.rmtree(folder, ignore_errors=True)
            aside.rename(folder)
        except FileNotFoundError:
            return
        finally:
            shutil.rmtree(aside, ignore_errors=True)

    def forget(self, key: str) -> None:
        """Nothing is half trained any more."""
        self._remote.remove(f"{_WORK}/{self._area}/{key}.json")
        self._remote.remove(f"{_WORK}/{self._area}/{key}")
