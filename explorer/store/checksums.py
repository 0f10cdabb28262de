"""Checksums of the files in a folder, and making sure that they have reached the disk."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path, PurePosixPath

CHECKSUMS = "checksums.json"  # {file relative to the folder: {"sha256": hex, "bytes": n}}


def write_checksums(folder: Path) -> None:
    """Write ``checksums.json`` over all files of ``folder``."""
    (folder / CHECKSUMS).write_text(json.dumps(checksums(folder), indent=1, sort_keys=True))


def checksums(folder: Path) -> dict[str, dict[str, str | int]]:
    """Checksum and size of every file of ``folder``; hidden ones are left out."""
    files = (file for file in _files(folder) if not file.name.startswith("."))
    return {str(f.relative_to(folder)): {"sha256": _sha256(f), "bytes": f.stat().st_size} for f in files}


def broken_files(folder: Path, *, only: str | None = None) -> tuple[str, ...]:
    """The files (or ``only`` that one) which are not as ``checksums.json`` says; that file itself if it is no JSON.

    A name that leads out of the folder is broken, whatever it names.
    """
    try:
        sums = json.loads((folder / CHECKSUMS).read_bytes())
        wanted = {name: sums[name] for name in ([only] if only else sums)}
        return tuple(name for name, expected in wanted.items() if not (is_inside(name) and _is_whole(folder / name, expected)))
    except (OSError, ValueError, KeyError, TypeError):
        return (CHECKSUMS,)


def is_inside(name: str) -> bool:
    """Whether ``name``, taken from a storage that others may write, stays in the folder that it is relative to."""
    path = PurePosixPath(name)
    return bool(path.parts) and not path.is_absolute() and ".." not in path.parts


def fingerprint(folder: Path) -> tuple[tuple[str, int, int], ...]:
    """Name, size and time of change of every file: equal ones need not be read again."""
    found = []
    for path in _files(folder):
        with suppress(FileNotFoundError):
            stat = path.stat()
            found.append((str(path.relative_to(folder)), stat.st_size, stat.st_mtime_ns))
    return tuple(found)


def fsync_folder(folder: Path, *, deep: bool = True) -> None:
    """Wait until the folder's entries, and with ``deep`` all files and folders below it, are on the disk."""
    if deep:
        for path in sorted(folder.rglob("*")):
            _fsync(path)
    _fsync(folder)


def _is_whole(file: Path, expected: dict[str, str | int]) -> bool:
    # The size first: it tells a truncated file without reading it.
    return file.is_file() and file.stat().st_size == expected["bytes"] and _sha256(file) == expected["sha256"]


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.is_file() and path != folder / CHECKSUMS)


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
