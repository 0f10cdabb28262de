"""The log-spectrogram of the sound around a segment."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from trainables.kit.data.draws import shift_of
from trainables.kit.data.modalities.base import Modality, Segments, Shape

if TYPE_CHECKING:
    import torch

    from trainables.kit.data.config import DataConfig


class Audio(Modality):
    """One picture of one channel: bands are rows (low frequencies first), steps are columns."""

    name = "audio"
    kind = "sound"
    tracks = ("sound",)
    settings = ("audio", "augment.shift_steps")
    default_lambda = 0.05
    recognition = "mobilenet_v2"
    recipe = 2  # 1: windows began at the nearest whole hop

    def shape(self, data: DataConfig) -> Shape:
        return (1, 1, data.audio.bands, data.audio.steps)

    def read(self, segments: Segments) -> torch.Tensor:
        import torch

        audio, first_BS = segments.config.audio, segments.sample_BS
        if segments.draws is not None and segments.config.augment.shift_steps:
            uniform_BS = segments.draws.shift_BS2(self.name)[..., 1]
            first_BS = first_BS + audio.hop * shift_of(uniform_BS, segments.config.augment.shift_steps)
        sound = torch.from_numpy(segments.clips.sounds(segments.video_B, first_BS)).float()
        return sound.sub_(audio.mean).div_(audio.std).transpose(-1, -2)[:, :, None, None].contiguous()

    def present(self, segments: Segments) -> np.ndarray:
        """Whether any of the window, before it is shifted, lies within the sound track; with ``missing: silence`` always."""
        if segments.config.audio.missing == "silence":
            return super().present(segments)
        samples_B1 = segments.clips.sound_samples_N[segments.video_B][:, None]
        return (segments.sample_BS < samples_B1) & (segments.sample_BS + segments.config.audio.samples > 0)
