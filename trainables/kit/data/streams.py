"""Which streams of a file are its picture and its sound, and how long its header says they are. Imports no torch."""

from __future__ import annotations

from typing import Any

import av

# A file may hold this much less than its header says: headers round, and editors cut between frames. The length that a
# header gives for the stream itself is more exact than the one for the file, which is that of its longest stream.
SHORTFALL_SHARE = 0.05
SHORTFALL_S = 0.5
STREAM_SHORTFALL_S = 0.15

# What PyAV raises on damaged files, some of it not as an error of its own (IndexError: a stream that was not there at first).
READ_ERRORS: tuple[type[Exception], ...] = (av.error.FFmpegError, OSError, ValueError, IndexError, MemoryError)


def picture_stream(container: Any) -> Any | None:
    """The first video stream that is not a cover (a picture attached to a sound file is one to FFmpeg).

    A stream in a format that FFmpeg has no decoder for does not count.
    """
    return next((stream for stream in container.streams.video if not is_cover(stream) and has_decoder(stream)), None)


def sound_stream(container: Any) -> Any | None:
    """The first sound track, if FFmpeg has a decoder for it."""
    return next((stream for stream in container.streams.audio if has_decoder(stream)), None)


def has_decoder(stream: Any) -> bool:
    """Whether anything can be made of a stream's packets."""
    return stream.codec_context is not None


def is_cover(stream: Any) -> bool:
    """Whether a video stream is an attached picture."""
    return bool(stream.disposition & av.stream.Disposition.attached_pic)


def announced_s(stream: Any, container: Any) -> float | None:
    """Length of a stream by the header, None where it names none."""
    own_s = _own_s(stream)
    return own_s if own_s is not None or container.duration is None else float(container.duration / av.time_base)


def is_cut_short(decoded_s: float, stream: Any, container: Any) -> bool:
    """Whether so much less of a stream decodes than its header announces that it is no rounding."""
    said_s = announced_s(stream, container)
    return said_s is not None and is_cut_off(
        decoded_s, said_s, slack_s=SHORTFALL_S if _own_s(stream) is None else STREAM_SHORTFALL_S
    )


def is_cut_off(decoded_s: float, expected_s: float, *, slack_s: float = SHORTFALL_S) -> bool:
    """Whether a length misses so much of the expected one that it is no rounding."""
    return expected_s - decoded_s > max(slack_s, SHORTFALL_SHARE * expected_s)


def _own_s(stream: Any) -> float | None:
    if stream.duration is not None:
        return float(stream.duration * stream.time_base)
    if text := stream.metadata.get("DURATION"):  # Matroska: 00:00:08.000000000
        hours, minutes, seconds = text.split(":")
        return int(hours) * 3600 + int(minutes) * 60 + float(seconds)
    return None
