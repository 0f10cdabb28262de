"""The benchmark of conditioned fronts counts what the program counts."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.conditioned_measures import Valued, ratio
from explorer.browse import Reference
from explorer.fronts import Measured, OperatingPoint, hypervolume

VIDEOS = 64
REFERENCE = Reference(gflops=10.0, accuracy=0.3, split="test", convention="full", source="made up")


def front(seed: int, points: int) -> Valued:
    """Random points, some of them worse than the reference or dearer than everything on."""
    rng = np.random.default_rng(seed)
    correct_PB = rng.random((points, VIDEOS)) < np.linspace(0.1, 0.9, points)[:, None]
    gmacs_PB = rng.uniform(0.5, 1.5, (points, VIDEOS)) * np.geomspace(0.3, 14, points)[:, None]
    members = [
        OperatingPoint(
            key="k",
            stage="joint",
            epoch=p,
            knobs={},
            selection="default",
            budget_gmacs=None,
            val=(m := measured(correct_PB[p], gmacs_PB[p])),
            test=m,
        )
        for p in range(points)
    ]
    return Valued(points=members, correct_PB=correct_PB, gmacs_PB=gmacs_PB)


def measured(correct_B: np.ndarray, gmacs_B: np.ndarray) -> Measured:
    gflops = {"paper": float(gmacs_B.mean()), "full": float(gmacs_B.mean())}
    bits = np.packbits(correct_B).tobytes().hex()
    return Measured(accuracy=float(correct_B.mean()), gflops=gflops, rates={}, correct=bits, videos=len(correct_B))


@pytest.mark.parametrize("seed", range(5))
def test_the_area_is_that_of_the_program(seed):
    found = front(seed, 9)
    expected = hypervolume(found.points, all_on_gflops=10.0, reference_accuracy=0.3, split="test")
    assert found.hypervolume(REFERENCE) == pytest.approx(expected)


def test_a_front_against_itself_has_ratio_one_however_it_is_resampled():
    fronts = [front(seed, 6) for seed in range(3)]
    found = ratio(fronts, fronts, [REFERENCE] * 3, draws=50)
    assert (found["mean"], found["low"], found["high"]) == pytest.approx((1, 1, 1))


def test_a_front_that_lacks_points_has_less_and_the_ends_enclose_the_ratio():
    whole = [front(seed, 8) for seed in range(2)]
    some = [Valued(points=f.points[:5], correct_PB=f.correct_PB[:5], gmacs_PB=f.gmacs_PB[:5]) for f in whole]
    found = ratio(some, whole, [REFERENCE] * 2, draws=100)
    assert found["low"] <= found["mean"] <= found["high"] <= 1
    assert found["mean"] < 1
