"""Content hashes of files, remembered so that an unchanged file is read once. Imports no torch."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from filelock import FileLock

from trainables.contract import Json

HASHES_FILE = "file-hashes.json"
Progress = Callable[[int, int], None]


def default_cache() -> Path:
    """Where hashes are remembered when no cache folder is named: the user's own cache folder."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "adaptive-video-explorer"


def hash_json(value: Json) -> str:
    """SHA-256 of a value's canonical JSON, in hex."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def hash_files(paths: Sequence[Path], cache: Path, on_progress: Progress | None = None) -> list[str]:
    """SHA-256 in hex of each file, in order.

    A file is read only if it is not remembered with the same size and modification time. ``cache`` is created; its
    ``file-hashes.json`` is replaced in one step, so that a reader never sees half of it.

    Raises:
        OSError: a file is missing or unreadable.
    """
    cache.mkdir(parents=True, exist_ok=True)
    known = _read(cache / HASHES_FILE)
    stats = [path.stat() for path in paths]
    signatures = [[stat.st_size, stat.st_mtime_ns] for stat in stats]
    unread = [index for index, path in enumerate(paths) if known.get(str(path), [None])[:2] != signatures[index]]
    fresh: dict[str, list[Json]] = {}
    with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:  # hashlib lets go of the interpreter lock
        for done, (index, digest) in enumerate(
            zip(unread, pool.map(_hash, [paths[i] for i in unread]), strict=True), 1
        ):
            fresh[str(paths[index])] = [*signatures[index], digest]
            if on_progress is not None:
                on_progress(done, len(unread))
    if fresh:
        with FileLock(cache / f"{HASHES_FILE}.lock"):
            _write(cache / HASHES_FILE, {**_read(cache / HASHES_FILE), **fresh})
    known.update(fresh)
    return [known[str(path)][2] for path in paths]


def remembered_hashes(cache: Path) -> dict[str, str]:
    """Path -> SHA-256 of every file that was hashed with this ``cache``, as it was then."""
    return {path: row[2] for path, row in _read(cache / HASHES_FILE).items()}


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read(path: Path) -> dict[str, list[Json]]:
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError):  # absent or damaged: it is only a memory, hash again
        return {}
    return content if isinstance(content, dict) else {}


def _write(path: Path, content: Json) -> None:
    aside = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    aside.write_text(json.dumps(content))
    os.replace(aside, path)
