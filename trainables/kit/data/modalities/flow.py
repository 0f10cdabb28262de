"""Optical flow, computed once into the cache (see ``kit.data.flow``)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from trainables.kit.data.modalities.base import Shape
from trainables.kit.data.modalities.pictures import VideoModality

if TYPE_CHECKING:
    from trainables.kit.data.config import DataConfig

STACKED = 5  # consecutive flow fields, or frame differences, at each sampled frame
FLOW_MEAN = 0.5  # in [0, 1], of the authors' release
FLOW_STD = 0.226


def stacked_policy_shape(data: DataConfig) -> Shape:
    """What the paper charges a policy net on motion for, be it flow or differences: every other frame, 15 channels, uncut.

    With 8 frames of 224 pixels and MobileNetV2 that is its 909,283,200 multiply-accumulates a segment.
    """
    return (-(-data.segments.frames // 2), 3 * STACKED, data.crop_size, data.crop_size)


class Flow(VideoModality):
    """Five consecutive fields a frame: channel 2 k is the motion to the right of pair k, channel 2 k + 1 its motion down.

    Values are the stored 8 bits (0 to 255 for -bound to +bound pixels a frame). A crop that is scaled is not rescaled in
    value, as in the release: a pixel of motion stays one of the cached frame.
    """

    name = "flow"
    tracks = ("flow",)
    settings = (*VideoModality.settings, "flow")
    channels = 2 * STACKED
    window = STACKED
    reach = STACKED
    offset = (255 * FLOW_MEAN,)
    scale = (255 * FLOW_STD,)

    def mirror(self, entries: np.ndarray) -> np.ndarray:
        mirrored = super().mirror(entries)
        mirrored[..., 0] = 255 - mirrored[..., 0]  # what went right goes left: exact, the 8-bit scale is symmetric
        return mirrored

    def policy_charge(self, data: DataConfig) -> Shape:
        return stacked_policy_shape(data)
