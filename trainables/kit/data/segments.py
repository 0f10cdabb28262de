"""Which frames make a segment, and when it is. Pure functions on arrays; imports no torch.

Axes: ``B`` video, ``S`` segment, ``T`` frame of a segment.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from trainables.kit.data.config import SegmentConfig


@dataclass(frozen=True, kw_only=True)
class SegmentSpec:
    """The shape of a segment: ``span_frames`` consecutive frames, of which ``frames`` are looked at.

    These are ``offset``, ``offset + stride``, ... of the span. ``grid``: a segment starts on multiples of the span only.
    """

    span_frames: int
    frames: int
    stride: int
    offset: int = 0
    grid: bool = False

    @classmethod
    def of(cls, config: SegmentConfig) -> SegmentSpec:
        """The shape that a configuration asks for."""
        return cls(
            span_frames=config.span_frames,
            frames=config.frames,
            stride=config.stride,
            offset=config.offset,
            grid=config.grid,
        )

    def unit(self) -> int:
        """Starts are multiples of this many frames."""
        return self.span_frames if self.grid else 1

    def starts(self, frames_B: np.ndarray) -> np.ndarray:
        """Number of possible starts in videos of so many frames: at least 1, since a short video wraps."""
        return np.maximum(np.asarray(frames_B) - self.span_frames, 0) // self.unit() + 1


def train_starts(spec: SegmentSpec, frames_B: np.ndarray, uniform_BS: np.ndarray) -> np.ndarray:
    """First frame of every segment, int64 ``[B, S]``: one in each of S equal parts of the possible starts.

    ``uniform_BS`` holds random numbers of [0, 1), one a segment. Where there are fewer starts than segments, some
    repeat. (AdaMML, as TSN before it.)
    """
    segments = uniform_BS.shape[1]
    starts_B1 = spec.starts(frames_B)[:, None]
    place_BS = (np.arange(segments) + uniform_BS) * starts_B1 / segments
    return np.minimum(place_BS.astype(np.int64), starts_B1 - 1) * spec.unit()


def test_starts(spec: SegmentSpec, frames_B: np.ndarray, segments: int) -> np.ndarray:
    """First frame of every segment, int64 ``[B, S]``: evenly spaced from 0 to the last possible; a single one in the middle."""
    last_B1 = spec.starts(frames_B)[:, None] - 1
    share_S = np.linspace(0, 1, segments) if segments > 1 else np.array([0.5])
    return np.floor(share_S * last_B1 + 0.5).astype(np.int64) * spec.unit()


test_starts.__test__ = False  # type: ignore[attr-defined]  # the name is the split's, this is no test for pytest


def frame_indices(spec: SegmentSpec, start_BS: np.ndarray, frames_B: np.ndarray) -> np.ndarray:
    """The frames to look at, int64 ``[B, S, T]``; past the end of a video they go on from its beginning."""
    look_T = spec.offset + spec.stride * np.arange(spec.frames)
    return (start_BS[..., None] + look_T) % np.asarray(frames_B)[:, None, None]


def end_frames(spec: SegmentSpec, start_BS: np.ndarray, frames_B: np.ndarray) -> np.ndarray:
    """One past the last frame of every segment's span, ``[B, S]``, not past the end of the video."""
    return np.minimum(start_BS + spec.span_frames, np.asarray(frames_B)[:, None])


def first_samples(
    *, begin_s: np.ndarray, end_s: np.ndarray, sound_start_s: np.ndarray, window: int, sample_rate: int
) -> np.ndarray:
    """First sample of windows of ``window`` samples centred on the spans from ``begin_s`` to ``end_s``, the nearest there is.

    Sample 0 is the beginning of the sound track; a result may lie before it or after the track's end.
    """
    first = ((begin_s + end_s) / 2 - sound_start_s) * sample_rate - window / 2
    # The hair more than a half sends all windows the same way that lie halfway between two samples but for rounding.
    return np.floor(first + 0.501).astype(np.int64)
