"""The study's file: one writer at a time, and what a killed one left half written is put right."""

from __future__ import annotations

import fcntl
import os
import socket
from contextlib import suppress
from pathlib import Path
from typing import Any

from explorer.errors import SweepBusy


def lock_for_writing(path: Path, name: str) -> Any:
    """Hold the study for writing. The kernel lets go of it when this process ends, however it ends."""
    file = path.with_name(path.name + ".writer").open("a+")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.seek(0)
        where = file.read().strip() or "another process"
        file.close()
        raise SweepBusy(
            f"the sweep {name!r} is being run by {where} (it holds {path}); wait for it, watch it with "
            f"`explorer status {path.parent}` or end it with `explorer stop {path.parent}`"
        ) from None
    file.truncate(0)
    file.write(f"process {os.getpid()} on {socket.gethostname()}")
    file.flush()
    return file


def mend(path: Path) -> None:
    """Remove what a killed writer left: Optuna's lock (else 30 s of waiting) and a half-written last line."""
    with suppress(FileNotFoundError):
        path.with_name(path.name + ".lock").unlink()
    if not path.exists():
        return
    with path.open("rb+") as file:
        content = file.read()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            file.truncate(whole)
