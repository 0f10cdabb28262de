"""Differences of consecutive frames: a cheap stand-in for flow, made from the cached frames at no storage."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from trainables.kit.data.modalities.base import Shape
from trainables.kit.data.modalities.flow import STACKED, stacked_policy_shape
from trainables.kit.data.modalities.pictures import VideoModality
from trainables.kit.data.modalities.rgb import RGB_MEAN, RGB_STD

if TYPE_CHECKING:
    from trainables.kit.data.config import DataConfig


class RgbDiff(VideoModality):
    """Five differences of three colours a frame: channels 3 k + c hold frame k + 1 minus frame k of the window.

    A difference of [-255, 255] is mapped to [0, 255] and normalised as ImageNet's pictures are. Offset and scale below are
    both steps in one: ((d + 255) / 2 - 255 mean) / (255 std) = (d - 255 (2 mean - 1)) / (510 std).
    """

    name = "rgbdiff"
    tracks = ("frames",)
    channels = 3 * STACKED
    window = STACKED + 1
    reach = STACKED
    offset = tuple(255 * (2 * mean - 1) for mean in RGB_MEAN)
    scale = tuple(510 * std for std in RGB_STD)

    def stack(self, window: np.ndarray) -> np.ndarray:
        later, earlier = window[..., 1:, :, :, :], window[..., :-1, :, :, :]
        return super().stack(np.subtract(later, earlier, dtype=np.int16))

    def policy_charge(self, data: DataConfig) -> Shape:
        return stacked_policy_shape(data)
