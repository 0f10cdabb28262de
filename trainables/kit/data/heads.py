"""What the headers of video files say: quick to read, nothing is decoded. Imports no torch."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import av

from trainables.kit.data.frame_folder import pictures_in
from trainables.kit.data.streams import READ_ERRORS, announced_s, picture_stream, sound_stream


@dataclass(frozen=True, kw_only=True)
class Head:
    """``problem``: why the file is of no use, None if its header reads well. ``seconds`` None: not announced."""

    path: Path
    problem: str | None = None
    has_sound: bool = False
    seconds: float | None = None


def read_head(path: Path) -> Head:
    """One file's. What does not open is a problem, not an exception."""
    if path.is_dir():
        return Head(path=path, problem=None if len(pictures_in(path)) > 1 else "is a folder without numbered pictures")
    try:
        with av.open(str(path), metadata_errors="ignore") as container:
            picture = picture_stream(container)
            if picture is None:
                return Head(path=path, problem="has no video stream")
            seconds = announced_s(picture, container)
            return Head(path=path, has_sound=sound_stream(container) is not None, seconds=seconds)
    except READ_ERRORS as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        return Head(path=path, problem=f"does not open: {reason}")


def read_heads(paths: Sequence[Path]) -> list[Head]:
    """All of them, several at a time: reading waits for the disk more than for a core."""
    with ThreadPoolExecutor(max_workers=4 * (os.cpu_count() or 1)) as pool:
        return list(pool.map(read_head, paths))
