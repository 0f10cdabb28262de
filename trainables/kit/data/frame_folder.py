"""A folder of numbered pictures as a video: how Something-Something V1 and Jester are published. Imports no torch.

Picture k, in the order of their numbers, is on show from k / fps to (k + 1) / fps seconds. There is no sound.
"""

from __future__ import annotations

import io
import os
import re
import stat
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import av

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff"})
_NUMBER = re.compile(r"(\d+)$")


@dataclass(frozen=True, kw_only=True, slots=True)
class NumberedPicture:
    """One file of a folder and the number at the end of its name."""

    path: Path
    number: int


def pictures_in(folder: Path) -> list[NumberedPicture]:
    """The numbered pictures of a folder by number, then by name. Other files, and hidden ones, do not count.

    Raises:
        OSError: the folder cannot be read.
    """
    found = []
    with os.scandir(folder) as entries:
        for entry in entries:
            stem, suffix = os.path.splitext(entry.name)
            number = _NUMBER.search(stem)
            if number and suffix.lower() in SUFFIXES and not entry.name.startswith("."):
                found.append(NumberedPicture(path=Path(entry.path), number=int(number[1])))
    return sorted(found, key=lambda picture: (picture.number, picture.path.name))


def has_numbered_pictures(names: Sequence[str]) -> bool:
    """Whether files of these names are the frames of a video: two or more numbered pictures."""
    numbered = (name for name in names if not name.startswith(".") and _is_numbered(name))
    return sum(1 for _ in islice(numbered, 2)) == 2


def _is_numbered(name: str) -> bool:
    stem, suffix = os.path.splitext(name)
    return suffix.lower() in SUFFIXES and _NUMBER.search(stem) is not None


def signature(path: Path) -> tuple[int, int]:
    """Size in bytes and time of change (ns) of a file; of a folder the sum and the latest of its pictures'.

    Raises:
        OSError: it is missing or unreadable.
    """
    status = path.stat()
    if not stat.S_ISDIR(status.st_mode):
        return status.st_size, status.st_mtime_ns
    size, latest = 0, status.st_mtime_ns
    for picture in pictures_in(path):
        with suppress(FileNotFoundError):  # a link to nowhere: decoding names it
            own = picture.path.stat()
            size, latest = size + own.st_size, max(latest, own.st_mtime_ns)
    return size, latest


def read_one(picture: Path, options: dict[str, str] | None = None) -> av.VideoFrame:
    """The picture in a file; ``options`` are those of FFmpeg's decoder.

    Raises:
        OSError, ValueError, av.error.FFmpegError: it is missing or does not decode.
    """
    import av  # here: whoever only looks for folders needs no decoder

    # From memory: as a path FFmpeg would take a % in it for a pattern of names.
    with av.open(io.BytesIO(picture.read_bytes()), metadata_errors="ignore") as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        if options is not None:
            stream.codec_context.options = options
        for frame in container.decode(stream):
            return frame
    raise ValueError(f"{picture.name} holds no picture")


def frames_of(folder: Path, fps: float, start_s: float, end_s: float) -> Iterator[tuple[av.VideoFrame, float, float]]:
    """The pictures that show between two times, each with the times at which it appears and goes. Raises as :func:`read_one`."""
    for index, picture in enumerate(pictures_in(folder)):
        appears_s, goes_s = index / fps, (index + 1) / fps
        if goes_s > start_s and appears_s < end_s:
            yield read_one(picture.path), appears_s, goes_s
