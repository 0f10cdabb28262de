from __future__ import annotations

import math

import pytest
import torch

from trainables.kit.data.config import DATA_PRESETS, AudioConfig
from trainables.kit.data.spectrogram import FLOOR, SILENCE, log_spectrogram

PAPER = AudioConfig()
TINY = AudioConfig(**DATA_PRESETS["tiny"]["audio"])


def noise(seconds: float, rate: int) -> torch.Tensor:
    return 0.1 * torch.randn(round(seconds * rate), generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(("audio", "shape"), [(PAPER, (256, 256)), (TINY, (80, 40))])
def test_a_segment_of_sound_has_the_presets_shape(audio: AudioConfig, shape: tuple[int, int]) -> None:
    assert (audio.steps, audio.bands) == shape
    assert log_spectrogram(noise(audio.window_s, audio.sample_rate), audio).shape == shape


@pytest.mark.parametrize("audio", [PAPER, TINY])
def test_silence_is_the_logarithm_of_the_floor(audio: AudioConfig) -> None:
    spectrogram = log_spectrogram(torch.zeros(audio.sample_rate), audio)
    assert pytest.approx(math.log(1e-6)) == SILENCE
    torch.testing.assert_close(spectrogram, torch.full_like(spectrogram, SILENCE))


def test_power_of_a_tone_is_that_of_its_windowed_transform() -> None:
    """A cosine of amplitude a in the middle of a band: (a / 2 * sum of the window)^2; a periodic Hann window of 240 sums to 120."""
    band, amplitude = 64, 0.5
    time = torch.arange(24_000, dtype=torch.float64)
    tone = (amplitude * torch.cos(2 * math.pi * band / PAPER.n_fft * time)).float()
    value = log_spectrogram(tone, PAPER)[100, band].item()
    assert value == pytest.approx(math.log((amplitude / 2 * 120) ** 2 + FLOOR), abs=1e-3)


@pytest.mark.parametrize(("audio", "edge_steps"), [(PAPER, [0]), (TINY, [0, 1, 79])])
def test_cut_from_the_whole_differs_from_a_segments_own_transform_at_the_edges_only(
    audio: AudioConfig, edge_steps: list[int]
) -> None:
    samples = noise(5, audio.sample_rate)
    first = 37
    whole = log_spectrogram(samples, audio)[first : first + audio.steps]
    start = first * audio.hop
    own = log_spectrogram(samples[start : start + audio.steps * audio.hop], audio)
    differing = ((whole - own).abs() > 1e-3).any(dim=1).nonzero().flatten().tolist()
    assert differing == edge_steps
