"""Content hashes of files, remembered so that an unchanged file is read once. Imports no torch."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any

from filelock import FileLock

from trainables.contract import Json
from trainables.errors import InvalidInput
from trainables.kit.data.frame_folder import pictures_in, signature

HASHES_FILE = "file-hashes.json"
Progress = Callable[[int, int], None]


def default_cache() -> Path:
    """Where hashes are remembered when no cache folder is named: the user's own cache folder."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "adaptive-video-explorer"


def hash_json(value: Json) -> str:
    """SHA-256 of a value's canonical JSON, in hex."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def hash_files(paths: Sequence[Path], cache: Path | None, on_progress: Progress | None = None) -> list[str]:
    """SHA-256 in hex of each file, in order; of a folder that of its numbered pictures and their names.

    A file is read only if it is remembered neither in ``cache`` nor in the user's own cache folder with the same size and
    modification time. ``cache`` is created; its ``file-hashes.json`` is replaced in one step, so that a reader never sees half
    of it. None: only the user's own.

    Raises:
        InvalidInput: files are missing or unreadable; all of them are named.
    """
    there = {} if cache is None else _read(cache / HASHES_FILE)
    known = {**_read(default_cache() / HASHES_FILE), **there}
    signatures = list(_readable(paths, lambda path: list(signature(path))))
    unread = [index for index, path in enumerate(paths) if known.get(str(path), [None])[:2] != signatures[index]]
    done = count(1)

    def read(path: Path) -> str:
        digest = hash_path(path)
        if on_progress is not None:
            on_progress(next(done), len(unread))
        return digest

    for index, digest in zip(unread, _readable([paths[index] for index in unread], read), strict=True):
        known[str(paths[index])] = [*signatures[index], digest]
    if cache is not None:
        news = {str(path): known[str(path)] for path in paths}
        _remember(cache, {path: entry for path, entry in news.items() if there.get(path) != entry})
    if unread:
        with suppress(OSError):  # only a memory for other storages
            news = {str(paths[index]): known[str(paths[index])] for index in unread}
            _remember(default_cache(), news, forget=True)
    return [known[str(path)][2] for path in paths]


def remembered_hashes(cache: Path) -> dict[str, str]:
    """Path -> SHA-256 of every file that was hashed with this ``cache``, as it was then."""
    return {path: row[2] for path, row in _read(cache / HASHES_FILE).items()}


def _readable(paths: Sequence[Path], read: Callable[[Path], Any]) -> Sequence[Any]:
    """What is read of each file, side by side (hashlib lets go of the interpreter lock). Raises InvalidInput."""

    def attempt(path: Path) -> Any:
        try:
            return read(path)
        except OSError as error:
            return error

    with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
        found = list(pool.map(attempt, paths))
    problems = [
        f"{path}: cannot be read ({error.strerror or error}); correct it, or drop its line"
        for path, error in zip(paths, found, strict=True)
        if isinstance(error, OSError)
    ]
    if problems:
        raise InvalidInput("videos that cannot be read", problems)
    return found


def changed_files(expected: Mapping[Path, str], found: Mapping[Path, str]) -> list[str]:
    """What is wrong with the files whose content is not the expected one, one line each; both are SHA-256 by path."""
    return [
        f"{path}: {changed_detail(sha, found[path])}; restore it, or import it again with --hash"
        for path, sha in expected.items()
        if found[path] != sha
    ]


def changed_detail(expected: str, found: str) -> str:
    """The rule and the value received."""
    return f"its content has changed: SHA-256 must be {expected[:12]}..., as the manifest says, got {found[:12]}..."


def _remember(cache: Path, fresh: Mapping[str, list[Json]], *, forget: bool = False) -> None:
    """``forget``: drop what is no longer there, or the memory of all storages would grow for ever."""
    if fresh:
        cache.mkdir(parents=True, exist_ok=True)
        with FileLock(cache / f"{HASHES_FILE}.lock"):
            kept = _read(cache / HASHES_FILE)
            if forget:
                kept = {path: entry for path, entry in kept.items() if os.path.exists(path)}
            _write(cache / HASHES_FILE, {**kept, **fresh})


def hash_path(path: Path) -> str:
    """SHA-256 in hex of a file, or of a folder's numbered pictures and their names. Raises OSError."""
    if not path.is_dir():
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    whole = hashlib.sha256()
    for picture in pictures_in(path):
        whole.update(f"{picture.path.name}\0{hash_path(picture.path)}\n".encode())
    return whole.hexdigest()


def _read(path: Path) -> dict[str, list[Json]]:
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError):  # absent or damaged: it is only a memory, hash again
        return {}
    return content if isinstance(content, dict) else {}


def _write(path: Path, content: Json) -> None:
    aside = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        aside.write_text(json.dumps(content))
        os.replace(aside, path)
    finally:
        aside.unlink(missing_ok=True)
