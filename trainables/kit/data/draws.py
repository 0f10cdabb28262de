"""The random numbers of a training batch: a function of (seed, epoch, pass, batch) and of the modality's name.

They do not depend on which modalities are asked for, nor on how many ranks share the batch. Imports no torch.

Axes: ``B`` video, ``S`` segment.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, kw_only=True)
class Draws:
    """Numbers of [0, 1). ``videos`` are those of all ranks together, of which ``share`` are this one's."""

    key: tuple[int, ...]
    videos: int
    segments: int
    share: slice

    def place_BS(self) -> np.ndarray:
        """Where in its part of the video each segment starts: the same for all modalities."""
        return self._uniform("", self.videos, self.segments)

    def crop_B4(self, modality: str) -> np.ndarray:
        """Scale, top, left, mirror: one draw per video and modality, shared by its segments (AdaMML's release)."""
        return self._uniform(f"crop {modality}", self.videos, 4)

    def shift_BS2(self, modality: str) -> np.ndarray:
        """Each segment's own shift of rows and columns."""
        return self._uniform(f"shift {modality}", self.videos, self.segments, 2)

    def _uniform(self, purpose: str, *shape: int) -> np.ndarray:
        return np.random.default_rng([*self.key, *purpose.encode()]).random(shape)[self.share]


def shift_of(uniform: np.ndarray, most: int) -> np.ndarray:
    """Numbers of [0, 1) to whole shifts from ``-most`` to ``most``, all equally likely."""
    return (uniform * (2 * most + 1)).astype(np.int64) - most
