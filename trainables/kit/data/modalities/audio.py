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

    def shape(self, data: DataConfig) -> Shape:
        return (1, 1, data.audio.bands, data.audio.steps)

    def read(self, segments: Segments) -> torch.Tensor:
        import torch

        audio, first_BS = segments.config.audio, segments.step_BS
        if segments.draws is not None and segments.config.augment.shift_steps:
            uniform_BS = segments.draws.shift_BS2(self.name)[..., 1]
            first_BS = first_BS + shift_of(uniform_BS, segments.config.augment.shift_steps)
        sound_BSTF = segments.clips.sounds(segments.video_B, first_BS, audio.steps)
        sound = torch.from_numpy(sound_BSTF).float().sub_(audio.mean).div_(audio.std)
        return sound.transpose(-1, -2)[:, :, None, None].contiguous()

    def present(self, segments: Segments) -> np.ndarray:
        """Whether any of the window, before it is shifted, lies within the sound track; with ``missing: silence`` always."""
        if segments.config.audio.missing == "silence":
            return super().present(segments)
        steps_B1 = segments.clips.sound_steps_N[segments.video_B][:, None]
        return (segments.step_BS < steps_B1) & (segments.step_BS + segments.config.audio.steps > 0)
