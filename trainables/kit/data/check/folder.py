"""A folder of numbered pictures, every one of them decoded. Imports no torch."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import av
import av.logging

from trainables.kit.data.check.facts import Bad, PictureFacts
from trainables.kit.data.check.reasons import Note
from trainables.kit.data.frame_folder import NumberedPicture, pictures_in, read_one
from trainables.kit.data.streams import READ_ERRORS

STRICT = {"err_detect": "crccheck+bitstream+buffer+explode"}
JPEG_BEGIN, JPEG_END = b"\xff\xd8", b"\xff\xd9"


def measure_folder(folder: Path, fps: float, beat: Callable[[], None]) -> tuple[PictureFacts, tuple[Note, ...]]:
    """What is in it.

    Raises:
        Bad: no or one picture, numbers that are missing or there twice, a picture that does not decode.
        OSError: the folder cannot be read.
    """
    pictures = pictures_in(folder)
    if not pictures:
        raise Bad("unreadable", "is a folder without numbered pictures")
    if len(pictures) == 1:
        raise Bad("not_a_video", "holds a single picture")
    for early, late in itertools.pairwise(pictures):
        if late.number == early.number:
            raise Bad("corrupt", f"{early.path.name} and {late.path.name} have the same number")
        if late.number > early.number + 1:
            raise Bad("corrupt", f"no picture between {early.path.name} and {late.path.name}")
    sizes = []
    for picture in pictures:
        sizes.append(_size_of(picture))
        beat()
    facts = PictureFacts(
        stream=0,
        streams=1,
        codec="pictures",
        start_s=0.0,
        end_s=round(len(pictures) / fps, 6),
        announced_s=None,
        frames=len(pictures),
        frame_rate=fps,
        variable_rate=False,
        longest_frame_s=round(1 / fps, 6),
        width=sizes[0][0],
        height=sizes[0][1],
        rotation=0,
    )
    notes: tuple[Note, ...] = ("no_audio",)
    return facts, notes if len(set(sizes)) == 1 else (*notes, "size_changes")


def _size_of(picture: NumberedPicture) -> tuple[int, int]:
    """Width and height."""
    log = av.logging.Capture()
    try:
        content = picture.path.read_bytes()
        if content.startswith(JPEG_BEGIN) and JPEG_END not in content[-64:]:
            raise Bad("truncated", f"{picture.path.name} ends before its end mark")
        with log:
            frame = read_one(picture.path, STRICT)
    except READ_ERRORS as error:
        said = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise Bad("corrupt", f"{picture.path.name} does not decode ({said})") from error
    if frame.is_corrupt:
        raise Bad("corrupt", f"{picture.path.name} is damaged")
    return frame.width, frame.height
