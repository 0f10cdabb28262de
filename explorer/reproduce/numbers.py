"""Means over seeds and differences on the same videos. Pure.

Axes: ``S`` seed, ``B`` video.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, kw_only=True)
class Mean:
    """A mean with its standard error; None where too few values tell it."""

    mean: float
    standard_error: float | None

    def to_json(self) -> dict[str, float | None]:
        return {"mean": self.mean, "standard_error": self.standard_error}


def mean_of(values: Sequence[float]) -> Mean:
    """Of a number of seeds: s / sqrt(n) with n - 1 in s. Raises ``ValueError`` where there are none."""
    if not values:
        raise ValueError("a mean needs at least one value")
    error = float(np.std(values, ddof=1)) / math.sqrt(len(values)) if len(values) > 1 else None
    return Mean(mean=float(np.mean(values)), standard_error=error)


def paired_difference(correct_SB: np.ndarray, reference_SB: np.ndarray) -> Mean:
    """Mean of row - reference over the same videos and seeds.

    The standard error counts both draws, of videos and of seeds (two-way random effects, one value a cell):
    Var = (MS_B + max(0, MS_S - MS_SB)) / (S * B). With one seed it counts the videos alone; with one video it is None.

    Raises:
        ValueError: the two do not have the same seeds and videos.
    """
    if correct_SB.shape != reference_SB.shape:
        raise ValueError(f"a paired difference needs equal videos, got {correct_SB.shape} and {reference_SB.shape}")
    difference_SB = correct_SB.astype(float) - reference_SB.astype(float)
    seeds, videos = difference_SB.shape
    mean = float(difference_SB.mean())
    if videos < 2:
        return Mean(mean=mean, standard_error=None)
    video_B, seed_S = difference_SB.mean(axis=0), difference_SB.mean(axis=1)
    variance = float(video_B.var(ddof=1)) / videos  # MS_B / (S * B)
    if seeds > 1:
        rest_SB = difference_SB - video_B[None] - seed_S[:, None] + mean
        ms_rest = float((rest_SB**2).sum()) / ((seeds - 1) * (videos - 1))
        variance += max(0.0, float(seed_S.var(ddof=1)) / seeds - ms_rest / (seeds * videos))
    return Mean(mean=mean, standard_error=math.sqrt(variance))
