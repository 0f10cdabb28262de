"""Sound as it is cached: one channel of 16-bit samples; and the windows that are cut from it.

Axes: ``N`` sound sample (of a track, or of a window), ``S`` segment, ``T`` step, ``F`` band.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from trainables.kit.data.config import AudioConfig
from trainables.kit.data.spectrogram import before, log_spectrogram, samples_for

if TYPE_CHECKING:
    import torch

FULL_SCALE = 32768
_COLUMNS = 1 << 16  # columns computed at once: some 130 MB


def to_16_bits(samples_N: torch.Tensor) -> np.ndarray:
    """Samples in [-1, 1] as int16; what is louder is cut off.

    Rounding adds a power of 1e-8 to a band at the paper's settings, a hundredth of the spectrogram's floor.
    """
    return np.rint(samples_N.numpy() * FULL_SCALE).clip(-FULL_SCALE, FULL_SCALE - 1).astype(np.int16)


def spectrograms(tracks: Sequence[np.ndarray | None], first: Sequence[np.ndarray], audio: AudioConfig) -> np.ndarray:
    """Windows of several tracks, float16 ``[tracks, S, T, F]``; None is a file without sound, which is silence.

    ``first``: for each track, the samples at which its windows begin, ``[S]``; any of them may lie outside the track.
    """
    cut_BSN = np.zeros((len(tracks), len(first[0]), samples_for(audio, audio.steps)), dtype=np.int16)
    for samples_N, first_S, out_SN in zip(tracks, first, cut_BSN, strict=True):
        if samples_N is not None:
            cut_windows(samples_N, first_S - before(audio), out_SN)
    return _columns(cut_BSN, audio)


def whole_spectrogram(samples_N: np.ndarray, first: int, steps: int, audio: AudioConfig) -> np.ndarray:
    """``steps`` columns from sample ``first`` on, float16 ``[T, F]``, a piece at a time; zeros outside the track."""
    pieces = []
    for step in range(0, steps, _COLUMNS):
        count = min(_COLUMNS, steps - step)
        cut_1N = np.zeros((1, samples_for(audio, count)), dtype=np.int16)
        cut_windows(samples_N, np.array([first + step * audio.hop - before(audio)]), cut_1N)
        pieces.append(_columns(cut_1N[0], audio))
    return np.concatenate(pieces)


def cut_windows(samples_N: np.ndarray, first_S: np.ndarray, out_SN: np.ndarray) -> None:
    """Write the samples from ``first_S`` on into ``out_SN``; what lies outside the track is left alone."""
    length = out_SN.shape[1]
    for window_N, first in zip(out_SN, first_S.tolist(), strict=True):
        begin, end = max(first, 0), min(first + length, len(samples_N))
        if begin < end:
            window_N[begin - first : end - first] = samples_N[begin:end]


def _columns(cut_N: np.ndarray, audio: AudioConfig) -> np.ndarray:
    import torch

    return log_spectrogram(torch.from_numpy(cut_N).float().div_(FULL_SCALE), audio).half().numpy()
