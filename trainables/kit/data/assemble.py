"""Clips to network inputs: where the segments are; each modality reads its own tensor.

Axes: ``B`` video, ``S`` segment, ``T`` frame, ``C`` channel, ``H`` ``W`` pixel rows and columns, ``M`` modality.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from trainables.kit.data.config import DataConfig
from trainables.kit.data.draws import Draws
from trainables.kit.data.modalities import MODALITIES, Segments
from trainables.kit.data.pack import TimedClips
from trainables.kit.data.segments import SegmentSpec, frame_indices


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """``tensors``: float32 ``BSTCHW`` each. ``present_BSM`` in the order of the modalities asked for."""

    tensors: Mapping[str, torch.Tensor]
    present_BSM: torch.Tensor


class Assembler:
    """Makes inputs from decoded clips, packed or not; with ``draws`` augmented, without them as in a test."""

    def __init__(self, clips: TimedClips, config: DataConfig) -> None:
        self.clips = clips
        self.config = config
        self.spec = SegmentSpec.of(config.segments)

    def inputs(
        self, video_B: np.ndarray, start_BS: np.ndarray, modalities: Sequence[str], draws: Draws | None = None
    ) -> Inputs:
        """Segments that start at frames ``start_BS`` of videos ``video_B``, in any of ``MODALITIES`` whose tracks are there."""
        segments = self._segments(video_B, start_BS, draws)
        for name in modalities:
            lacking = set(MODALITIES[name].tracks) - set(self.clips.tracks)
            assert not lacking, f"{name} needs {lacking}: it belongs in data.modalities or data.also"
        return Inputs(
            tensors={name: MODALITIES[name].read(segments) for name in modalities},
            present_BSM=_present(segments, modalities),
        )

    def present(self, video_B: np.ndarray, start_BS: np.ndarray, modalities: Sequence[str]) -> torch.Tensor:
        """``present_BSM`` alone: nothing is read."""
        return _present(self._segments(video_B, start_BS), modalities)

    def bounds_s(self, video_B: np.ndarray, start_BS: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """When the segments' spans begin and end, each ``[B, S]``."""
        return self.clips.timeline.bounds_s(self.spec, video_B, start_BS)

    def _segments(self, video_B: np.ndarray, start_BS: np.ndarray, draws: Draws | None = None) -> Segments:
        return Segments(
            clips=self.clips,
            config=self.config,
            video_B=video_B,
            frame_BST=frame_indices(self.spec, start_BS, self.clips.frames_N[video_B]),
            sample_BS=self.clips.timeline.sound_first(self.config, video_B, start_BS),
            draws=draws,
        )


def _present(segments: Segments, modalities: Sequence[str]) -> torch.Tensor:
    return torch.from_numpy(np.stack([MODALITIES[name].present(segments) for name in modalities], axis=-1))
