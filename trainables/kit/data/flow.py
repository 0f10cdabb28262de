"""Optical flow between consecutive frames, as 8 bits. The only file that talks to OpenCV.

Motion of ``-bound`` to ``bound`` pixels a frame is stored as 0 to 255, so that 0 lies between 127 and 128 (and is stored as
128). Entry f is the motion from frame f to frame f + 1; the last entry of a clip is no motion.

Axes: ``F`` frame, ``H`` ``W`` pixel rows and columns; 2: motion to the right, motion down.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from trainables.errors import UserError
from trainables.kit.data.config import FlowConfig
from trainables.kit.data.modalities.base import FrameTrack

NO_MOTION = 128


def load_cv2() -> Any:
    """OpenCV with its contributed part, which is an optional dependency.

    Raises:
        UserError: it is not installed, or an OpenCV without TV-L1 is.
    """
    try:
        import cv2
    except ImportError as error:
        raise UserError(
            "modality flow needs OpenCV, which is not installed: pip install 'adaptive-video-explorer[flow]'"
        ) from error
    if not hasattr(cv2, "optflow"):
        raise UserError(
            f"modality flow needs OpenCV's contributed part, got opencv {cv2.__version__} without cv2.optflow: "
            "uninstall it, then pip install 'adaptive-video-explorer[flow]'"
        )
    return cv2


@contextmanager
def one_thread() -> Iterator[None]:
    """OpenCV's own threads off for a while: where files are worked on side by side they only get in each other's way."""
    cv2 = load_cv2()
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before)


class FlowTrack:
    """Flow of one clip, computed when it is read, a pair of frames at a time, and kept. Reads like an array."""

    def __init__(
        self, frames: FrameTrack, config: FlowConfig, stored: Callable[[np.ndarray], np.ndarray] = np.asarray
    ) -> None:
        """``stored``: what is left of a field when it has been through the cache."""
        cv2 = load_cv2()
        self.shape = (*frames.shape[:3], 2)
        self._frames, self._bound, self._stored = frames, config.bound, stored
        self._to_grey = lambda frame: cv2.cvtColor(np.ascontiguousarray(frame), cv2.COLOR_RGB2GRAY)
        # TV-L1 with OpenCV's own settings, as the flow tools of the field use it; DIS at its most accurate preset.
        self._method = (
            cv2.optflow.DualTVL1OpticalFlow_create()
            if config.method == "tvl1"
            else cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
        )
        self._computed: dict[int, np.ndarray] = {}
        self._greys: dict[int, np.ndarray] = {}

    def __getitem__(self, key: tuple[np.ndarray, slice, slice]) -> np.ndarray:
        index, rows, columns = key
        _, height, width, axes = self.shape
        box = (len(range(height)[rows]), len(range(width)[columns]), axes)
        out = np.empty((*index.shape, *box), dtype=np.uint8)
        for position, frame in np.ndenumerate(index):
            out[position] = self.entry(int(frame))[rows, columns]
        return out

    def all(self) -> np.ndarray:
        """uint8 ``[F, H, W, 2]``, before it is stored."""
        return np.stack([self.compute(frame) for frame in range(self.shape[0])])

    def entry(self, frame: int) -> np.ndarray:
        """uint8 ``[H, W, 2]``: the motion from ``frame`` to the next."""
        if frame not in self._computed:
            self._computed[frame] = self._stored(self.compute(frame))
        return self._computed[frame]

    def compute(self, frame: int) -> np.ndarray:
        """As :meth:`entry`, before it is stored, and not kept."""
        if frame == self.shape[0] - 1:
            return np.full(self.shape[1:], NO_MOTION, dtype=np.uint8)
        before, after = (self._grey(f) for f in (frame, frame + 1))
        return to_bits(self._method.calc(before, after, None), self._bound)

    def _grey(self, frame: int) -> np.ndarray:
        if frame not in self._greys:  # fields are mostly asked for in order: each frame is read once
            picture = self._frames[np.array(frame), slice(None), slice(None)]
            self._greys = {f: grey for f, grey in self._greys.items() if f == frame - 1}
            self._greys[frame] = self._to_grey(picture)
        return self._greys[frame]


def to_bits(motion: np.ndarray, bound: float) -> np.ndarray:
    """Pixels a frame to uint8, cut off at ``bound``; what is not a number is no motion."""
    within = np.clip(np.nan_to_num(motion), -bound, bound)
    return np.rint((within + bound) * (255 / (2 * bound))).astype(np.uint8)
