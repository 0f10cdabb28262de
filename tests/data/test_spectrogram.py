from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from trainables.kit.data.config import DATA_PRESETS, AudioConfig
from trainables.kit.data.sound import spectrograms, to_16_bits, whole_spectrogram
from trainables.kit.data.spectrogram import FLOOR, SILENCE, before, log_spectrogram, samples_for

PAPER = AudioConfig()
TINY = AudioConfig(**DATA_PRESETS["tiny"]["audio"])


def noise(seconds: float, rate: int) -> torch.Tensor:
    return 0.1 * torch.randn(round(seconds * rate), generator=torch.Generator().manual_seed(0))


def columns(samples_N: torch.Tensor, audio: AudioConfig) -> torch.Tensor:
    """Of all the sound, with silence around it: column j is centred on sample ``j * hop``."""
    steps = -(-len(samples_N) // audio.hop)
    whole_N = torch.zeros(samples_for(audio, steps))
    length = min(len(samples_N), len(whole_N) - before(audio))
    whole_N[before(audio) : before(audio) + length] = samples_N[:length]
    return log_spectrogram(whole_N, audio)


@pytest.mark.parametrize(("audio", "shape"), [(PAPER, (256, 256)), (TINY, (80, 40))])
def test_a_segment_of_sound_has_the_presets_shape(audio: AudioConfig, shape: tuple[int, int]) -> None:
    assert (audio.steps, audio.bands) == shape
    assert columns(noise(audio.window_s, audio.sample_rate), audio).shape == shape


@pytest.mark.parametrize("window", [240, 241, 511])
@pytest.mark.parametrize("mels", [None, 40])
def test_it_is_what_torchaudio_computes(window: int, mels: int | None) -> None:
    audio = AudioConfig(window=window, mels=mels)
    from torchaudio.transforms import MelScale, Spectrogram  # here: what the package imports makes it importable

    samples_N = noise(0.5, audio.sample_rate)
    power_FT = Spectrogram(n_fft=audio.n_fft, win_length=window, hop_length=audio.hop, pad_mode="constant")(samples_N)
    if mels is not None:
        power_FT = MelScale(mels, audio.sample_rate, n_stft=audio.n_fft // 2 + 1)(power_FT)
    expected_TF = torch.log(power_FT + FLOOR).T[: -(-len(samples_N) // audio.hop)]
    torch.testing.assert_close(columns(samples_N, audio), expected_TF, rtol=0, atol=2e-3)


@pytest.mark.parametrize("audio", [PAPER, TINY])
def test_silence_is_the_logarithm_of_the_floor(audio: AudioConfig) -> None:
    assert pytest.approx(math.log(1e-6)) == SILENCE
    silence = columns(torch.zeros(audio.sample_rate), audio)
    torch.testing.assert_close(silence, torch.full_like(silence, SILENCE))


def test_power_of_a_tone_is_that_of_its_windowed_transform() -> None:
    """A cosine of amplitude a in the middle of a band: (a / 2 * sum of the window)^2; a periodic Hann window of 240 sums to 120."""
    band, amplitude = 64, 0.5
    time = torch.arange(24_000, dtype=torch.float64)
    tone = (amplitude * torch.cos(2 * math.pi * band / PAPER.n_fft * time)).float()
    value = columns(tone, PAPER)[100, band].item()
    assert value == pytest.approx(math.log((amplitude / 2 * 120) ** 2 + FLOOR), abs=1e-3)


@pytest.mark.parametrize(("audio", "edge_steps"), [(PAPER, [0]), (TINY, [0, 1, 79])])
def test_a_window_sees_the_sound_beyond_its_edges_and_zeros_beyond_the_tracks(
    audio: AudioConfig, edge_steps: list[int]
) -> None:
    samples_N = to_16_bits(noise(5, audio.sample_rate))
    first = 37 * audio.hop + 11
    inside_TF = spectrograms([samples_N], [np.array([first])], audio)[0, 0]
    alone_TF = spectrograms([samples_N[first : first + audio.samples]], [np.array([0])], audio)[0, 0]
    assert (inside_TF != alone_TF).any(axis=1).nonzero()[0].tolist() == edge_steps


@pytest.mark.parametrize("audio", [PAPER, TINY])
def test_the_spectrogram_of_a_track_holds_those_of_its_windows(audio: AudioConfig) -> None:
    samples_N = to_16_bits(noise(3, audio.sample_rate))
    first = -3 * audio.hop - 5
    whole_TF = whole_spectrogram(samples_N, first, 9 * audio.steps, audio)
    steps_S = np.array([0, 3, 100, 8 * audio.steps])
    windows_STF = spectrograms([samples_N], [first + steps_S * audio.hop], audio)[0]
    for step, window_TF in zip(steps_S, windows_STF, strict=True):
        np.testing.assert_allclose(whole_TF[step : step + audio.steps], window_TF, rtol=0, atol=0.008)


def test_a_window_beyond_a_track_and_a_file_without_sound_are_silence() -> None:
    first = [np.array([-(10**6), 10**6]), np.array([0, 0])]
    silence = spectrograms([np.full(100, 9000, dtype=np.int16), None], first, TINY)
    assert silence.shape == (2, 2, 80, 40)
    assert (silence == np.float16(SILENCE)).all()
