"""Whether a file can be written where a person wants it, asked before any work starts. Imports no torch."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from trainables.kit.data.importers.files import is_video


def file_problems(path: Path, inputs: Iterable[Path]) -> list[str]:
    """What speaks against writing the file ``path``; ``inputs``: files that must stay what they are."""
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        pass
    except OSError as error:  # a name that is too long, no permission to look
        return [f"must be a file that can be written, got {path} ({error.strerror})"]
    if path.is_dir():
        return [f"must be a file, got the folder {path}; name a file in it, as {path / 'manifest.jsonl'}"]
    if path.exists() and not path.is_file():  # replacing a device would take it away from everybody
        return [f"must be an ordinary file, got {path}"]
    if any(_is_same(each, path) for each in inputs):
        return [f"must not replace what is read, got {path}; name another file"]
    if is_video(path):
        return [f"must not have the extension of a video, got {path}; call it {path.stem}.jsonl"]
    return folder_problems(path.parent)


def folder_problems(path: Path) -> list[str]:
    """What speaks against writing into the folder ``path``, which may have to be made."""
    there = next(place for place in (path, *path.absolute().parents) if os.path.lexists(place))
    if not there.is_dir():
        return [f"must be in a folder, got {there}, which is none"]
    if not os.access(there, os.W_OK | os.X_OK):
        return [f"must be in a folder that can be written to, got no permission for {there}"]
    return []


def _is_same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:  # one of them does not exist
        return one.resolve() == other.resolve()
