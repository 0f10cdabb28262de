"""A video file to frames and sound on one clock. The only file that talks to PyAV for reading.

Times are seconds of the file's own presentation clock, which picture and sound share: a sound track that starts late, or
whose first samples are encoder priming that the container marks as such, keeps its true time.

Axes: ``F`` frame, ``H`` ``W`` pixel rows and columns, ``N`` sound sample.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar

import av
import numpy as np
from av.video.reformatter import VideoReformatter

from trainables.errors import DecodeError
from trainables.kit.data.frame_folder import frames_of, pictures_in
from trainables.kit.data.streams import READ_ERRORS, announced_s, is_cut_off, picture_stream, sound_stream

if TYPE_CHECKING:
    import torch

# A frame that shows for less than this within a part of a file is rounding of its time stamps.
SLIVER_S = 0.001
# Sound is decoded from this much before a part: a decoder that starts in the middle needs a block or two to settle.
SETTLE_S = 0.25
# Steps in the sound's time stamps below this are rounding of the container's clock; above it they are holes, kept as silence.
SOUND_HOLE_S = 0.02


@dataclass(frozen=True, kw_only=True)
class Part:
    """A part of a file, in seconds of the file's own clock. The default is all of it."""

    start_s: float = -math.inf
    end_s: float = math.inf

    @property
    def whole(self) -> bool:
        """Whether this is all of the file."""
        return math.isinf(self.start_s) and math.isinf(self.end_s)


WHOLE = Part()
Planes = tuple[np.ndarray, ...]  # brightness, and two colour differences at half the resolution; uint8, full range
# FFmpeg's numbers of the colour matrices (H.273) that are JPEG's, BT.601: unspecified, which is read so, bt470bg, smpte170m.
JPEG_MATRICES = frozenset({2, 5, 6})
Kept = TypeVar("Kept")


@dataclass(frozen=True, kw_only=True)
class Shown(Generic[Kept]):
    """What was kept of every frame; frame f is on show from ``edges_s[f]`` to ``edges_s[f + 1]`` (F + 1 values)."""

    frames: list[Kept]
    edges_s: np.ndarray


@dataclass(frozen=True, kw_only=True)
class Picture:
    """``frames_FHW3`` uint8 RGB; frame f is on show from ``edges_s[f]`` to ``edges_s[f + 1]`` (F + 1 values)."""

    frames_FHW3: np.ndarray
    edges_s: np.ndarray


@dataclass(frozen=True, kw_only=True)
class Sound:
    """One channel, float32 in [-1, 1]; sample n is heard at ``start_s + n / sample_rate``."""

    samples_N: torch.Tensor
    sample_rate: int
    start_s: float


def decode_picture(
    path: Path,
    *,
    frame_rate: float | Literal["native"],
    frame_size: int,
    part: Part = WHOLE,
    fps: float | None = None,
) -> Picture:
    """:func:`read_picture`, all frames as one array."""
    shown = read_picture(path, np.asarray, frame_rate=frame_rate, frame_size=frame_size, part=part, fps=fps)
    return Picture(frames_FHW3=np.stack(shown.frames), edges_s=shown.edges_s)


def read_picture(
    path: Path,
    keep: Callable[[np.ndarray], Kept],
    *,
    frame_rate: float | Literal["native"],
    frame_size: int,
    part: Part = WHOLE,
    fps: float | None = None,
    keep_planes: Callable[[Planes], Kept] | None = None,
) -> Shown[Kept]:
    """What ``keep`` makes of every frame, shorter side scaled to ``frame_size``, at their own times or ``frame_rate`` a second.

    Frames are not held: an encoded clip takes a tenth of the memory, and no second pass over it.

    A given rate takes the frame that is on show at each multiple of 1 / rate after the first frame's start. A part is what
    is on show during it, as if the file had been cut there; its times stay those of the file. ``fps``: pictures a second, where
    ``path`` is a folder of them. ``keep_planes`` gets, instead of ``keep``, the frames whose colours are as JPEG's.

    Raises:
        DecodeError: missing, not a video, a still, damaged, cut off before its header's duration, or no frame in ``part``.
    """
    scale = _Scaler(frame_size, keep, keep_planes)
    if path.is_dir():
        with _told(path):
            return _show(path, _of_folder(path, fps, part), scale, _OutputClock(frame_rate, 1 / (fps or 1)), part)
    with _opened(path) as container:
        stream = picture_stream(container)
        if stream is None:
            raise DecodeError(path, "has no video stream")
        stream.codec_context.thread_count = 1  # files are decoded side by side instead
        clock = _OutputClock(frame_rate, _tick_s(stream))
        shown = _show(path, _of_stream(container, stream, part), scale, clock, part)
        _check_length(path, stream, container, part, first_s=clock.times_s[0], end_s=min(clock.seen_s, part.end_s))
    return shown


@dataclass(frozen=True)
class _Timed:
    """A frame, when it appears, and when it goes where nothing follows it."""

    frame: av.VideoFrame
    start_s: float
    end_s: float


def _of_stream(container: Any, stream: Any, part: Part) -> Iterator[_Timed]:
    end_s = 0.0
    _seek(container, stream, part.start_s)
    for frame in container.decode(stream):
        start_s = frame.time if frame.time is not None else end_s
        end_s = start_s + _duration_s(frame, stream)
        yield _Timed(frame, start_s, end_s)
        if start_s >= part.end_s:
            return


def _of_folder(folder: Path, fps: float | None, part: Part) -> Iterator[_Timed]:
    if fps is None:
        raise DecodeError(folder, "is a folder", "if it holds numbered pictures, say with fps how many make a second")
    count = len(pictures_in(folder))
    if count < 2:
        raise DecodeError(
            folder, f"is not a video: it holds {count or 'no'} numbered picture{'s' if not count else ''}"
        )
    for timed in frames_of(folder, fps, part.start_s, part.end_s):
        yield _Timed(*timed)


def _show(path: Path, timed: Iterator[_Timed], scale: _Scaler[Kept], clock: _OutputClock, part: Part) -> Shown[Kept]:
    """A frame is on show until the next one appears."""
    frames: list[Kept] = []
    held, decoded = None, 0
    for each in timed:
        if held is not None:
            frames += scale(held.frame, times=clock.advance(held.start_s, each.start_s, part))
        held, decoded = each, decoded + 1
    if held is None or (decoded < 2 and part.whole):
        raise DecodeError(path, f"is not a video: it holds {decoded or 'no'} frame{'s' if not decoded else ''}")
    frames += scale(held.frame, times=clock.advance(held.start_s, held.end_s, part))
    if not frames:
        raise DecodeError(path, f"has no frame between {part.start_s:g} and {part.end_s:g} s", "correct its part")
    clock.seen_s = held.end_s
    return Shown(frames=frames, edges_s=clock.edges_s(min(held.end_s, part.end_s)))


def decode_sound(path: Path, *, sample_rate: int, part: Part = WHOLE) -> Sound | None:
    """The first sound track as one channel (mean of its channels) at ``sample_rate``; None if there is none (in ``part``).

    Raises:
        DecodeError: missing, damaged, or cut off before its header's duration.
    """
    if path.is_dir():  # of pictures
        return None
    with _opened(path) as container:
        stream = sound_stream(container)
        if stream is None:
            return None
        to_float = av.AudioResampler(format="fltp")
        pieces: list[tuple[float, np.ndarray]] = []
        rate, end_s = stream.rate, 0.0
        _seek(container, stream, part.start_s - SETTLE_S)
        for frame in container.decode(stream):
            start_s = frame.time if frame.time is not None else end_s
            channels = np.concatenate([part.to_ndarray() for part in to_float.resample(frame)], axis=1)
            pieces.append((start_s, channels.mean(axis=0) if len(channels) > 1 else channels[0]))
            end_s = start_s + frame.samples / rate
            if end_s >= part.end_s:
                break
        if not pieces:
            raise DecodeError(path, "has a sound track from which nothing decodes")
        pieces = [cut for piece in pieces if (cut := _within(*piece, rate, part)) is not None]
        if not pieces:
            return None
        _check_length(path, stream, container, part, first_s=pieces[0][0], end_s=min(end_s, part.end_s))
    import torch  # here: pictures are read without it

    samples_N = torch.from_numpy(_join(pieces, rate))
    if rate != sample_rate:
        samples_N = _resample(samples_N, rate, sample_rate)
    return Sound(samples_N=samples_N, sample_rate=sample_rate, start_s=pieces[0][0])


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """An open container; whatever FFmpeg reports inside becomes a DecodeError."""
    with _told(path), av.open(str(path), metadata_errors="ignore") as container:  # a title need not be UTF-8
        yield container


@contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise DecodeError(path, "does not exist", "correct the path, or drop its line") from error
    except READ_ERRORS as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise DecodeError(path, f"does not decode ({reason})") from error


class _OutputClock:
    """Says how often a source frame is taken, and remembers the times of what was taken."""

    def __init__(self, frame_rate: float | Literal["native"], tick_s: float) -> None:
        self.step_s = None if frame_rate == "native" else 1 / float(frame_rate)
        # Time stamps are whole ticks: without this slack, 1/30 s rounded up to 34 ms would miss its own frame.
        self.slack_s = min(tick_s, 0.001)
        self.times_s: list[float] = []
        self.seen_s = 0.0  # where what decoded ends

    def advance(self, start_s: float, end_s: float, part: Part) -> int:
        """Number of output frames that show a source frame visible from ``start_s`` to ``end_s``."""
        if end_s <= part.start_s + SLIVER_S or start_s >= part.end_s - SLIVER_S:
            return 0
        start_s, end_s = max(start_s, part.start_s), min(end_s, part.end_s)
        if self.step_s is None:
            self.times_s.append(start_s)
            return 1
        first_s = self.times_s[0] if self.times_s else start_s
        already = len(self.times_s)
        wanted = max(already, math.ceil((end_s - first_s - self.slack_s) / self.step_s))
        self.times_s += [first_s + k * self.step_s for k in range(already, wanted)]
        return wanted - already

    def edges_s(self, end_s: float) -> np.ndarray:
        """Start of every output frame, and the end of the last."""
        last_s = end_s if self.step_s is None else self.times_s[-1] + self.step_s
        return np.maximum.accumulate(np.asarray([*self.times_s, last_s]))


class _Scaler(Generic[Kept]):
    """Frames to upright arrays of one size: RGB, or, for ``keep_planes``, brightness and colour differences as JPEG has them.

    One converter serves all frames, on one thread: ``frame.reformat`` would set up a new one each time, and starting
    threads for a small frame costs more than it saves (13 us a 64x64 frame, against 94 with threads, 400 anew).
    """

    def __init__(
        self, frame_size: int, keep: Callable[[np.ndarray], Kept], keep_planes: Callable[[Planes], Kept] | None = None
    ) -> None:
        self.frame_size, self.keep, self.keep_planes = frame_size, keep, keep_planes
        self.converter, self.colour_converter = VideoReformatter(), VideoReformatter()
        self.width = self.height = 0

    def __call__(self, frame: av.VideoFrame, *, times: int) -> list[Kept]:
        if not times:
            return []
        if not self.width:
            scale = self.frame_size / min(frame.width, frame.height)
            self.width, self.height = round(frame.width * scale), round(frame.height * scale)
            self.interpolation = "AREA" if scale < 1 else "BICUBIC"
        # Phones store the picture lying on its side and the turn (degrees counter-clockwise) beside it.
        turns = round(frame.rotation / 90)
        if self.keep_planes is None:
            return [self.keep(np.rot90(self._scaled(frame, "rgb24").to_ndarray(), k=turns))] * times
        # 0.5 ms for a 1280x720 frame, where scaling to RGB takes 1.8: half the samples, and no colours at full size.
        planar = self._scaled(frame, "yuvj420p")
        if planar.colorspace in JPEG_MATRICES:
            return [self.keep_planes(tuple(np.rot90(_samples(plane), k=turns) for plane in planar.planes))] * times
        return [
            self.keep(np.rot90(self.colour_converter.reformat(planar, format="rgb24", threads=1).to_ndarray(), k=turns))
        ] * times

    def _scaled(self, frame: av.VideoFrame, format: str) -> av.VideoFrame:
        return self.converter.reformat(
            frame, width=self.width, height=self.height, format=format, interpolation=self.interpolation, threads=1
        )


def _samples(plane: Any) -> np.ndarray:
    """A plane without the padding of its rows."""
    return np.frombuffer(plane, np.uint8).reshape(plane.height, plane.line_size)[:, : plane.width]


def _seek(container: Any, stream: Any, start_s: float) -> None:
    """To the last point before ``start_s`` from which decoding can start; where a file has no such index, nothing moves."""
    if start_s > 0:
        with suppress(av.error.FFmpegError):
            container.seek(int(start_s / stream.time_base), stream=stream)


def _within(start_s: float, samples: np.ndarray, rate: int, part: Part) -> tuple[float, np.ndarray] | None:
    """What of a piece of sound lies within the part, None if nothing does."""
    length = len(samples)
    first, last = (
        min(max(math.ceil((edge_s - start_s) * rate - 0.5), 0), length) if math.isfinite(edge_s) else default
        for edge_s, default in ((part.start_s, 0), (part.end_s, length))
    )
    return (start_s + first / rate, samples[first:last]) if first < last else None


def _tick_s(stream: Any) -> float:
    return float(stream.time_base) if stream.time_base else 0.0


def _duration_s(frame: av.VideoFrame, stream: Any) -> float:
    if frame.duration and frame.time_base:
        return float(frame.duration * frame.time_base)
    return float(1 / stream.average_rate) if stream.average_rate else 0.0


def _check_length(path: Path, stream: Any, container: Any, part: Part, *, first_s: float, end_s: float) -> None:
    """Decoders may return 7 of 80 frames without an error: compare with what the header announces."""
    length_s = announced_s(stream, container)
    if length_s is None:
        return
    expected_s = length_s
    if not part.whole:
        begins_s = float(stream.start_time * stream.time_base) if stream.start_time is not None else 0.0
        expected_s = min(begins_s + length_s, part.end_s) - max(begins_s, part.start_s)
    if is_cut_off(end_s - first_s, expected_s):
        raise DecodeError(
            path,
            f"is cut off: {end_s - first_s:.2f} s of {stream.type} decode, its header announces {expected_s:.2f} s",
        )


def _join(pieces: list[tuple[float, np.ndarray]], rate: int) -> np.ndarray:
    """Pieces one after the other; where their times leave a hole, silence."""
    first_s, joined, length = pieces[0][0], [], 0
    for start_s, samples in pieces:
        hole = round((start_s - first_s) * rate) - length
        if hole > SOUND_HOLE_S * rate:
            joined.append(np.zeros(hole, dtype=np.float32))
            length += hole
        joined.append(samples)
        length += len(samples)
    return np.concatenate(joined)


def _resample(samples_N: torch.Tensor, rate: int, sample_rate: int) -> torch.Tensor:
    import trainables.kit.compat  # noqa: F401  # before torchaudio

    from torchaudio.transforms import Resample  # isort: skip

    return Resample(rate, sample_rate)(samples_N)
