"""Attainment surfaces: what closed forms say of them."""

from __future__ import annotations

import numpy as np
import pytest

from explorer.fronts.attainment import over_repeats, over_videos, surfaces
from explorer.fronts.points import Measured, OperatingPoint


def point(name: str, gflops: float, correct_B: list[int]) -> OperatingPoint:
    measured = Measured(
        accuracy=float(np.mean(correct_B)),
        gflops={"full": gflops, "paper": gflops},
        rates={},
        correct=np.packbits(np.array(correct_B, dtype=bool)).tobytes().hex(),
        videos=len(correct_B),
    )
    return OperatingPoint(
        key=name, stage="joint", epoch=0, knobs={}, selection="default", budget_gmacs=None, val=measured, test=None
    )


def test_of_three_fronts_the_surfaces_are_their_best_their_middle_and_their_worst():
    # One point each: (cost, accuracy) = (1, .5), (2, .7), (3, .9).
    best, middle, worst = surfaces(
        [np.array([[1, 0.5]]), np.array([[2, 0.7]]), np.array([[3, 0.9]])], (1 / 3, 0.5, 1.0)
    )
    assert (best.cost_P, best.accuracy_P) == ((1.0, 2.0, 3.0), (0.5, 0.7, 0.9))
    assert (middle.cost_P, middle.accuracy_P) == ((2.0, 3.0), (0.5, 0.7)), "two of three must attain it"
    assert (worst.cost_P, worst.accuracy_P) == ((3.0,), (0.5,))


def test_a_front_without_points_attains_nothing_and_still_counts():
    once, always = surfaces([np.array([[1, 0.5]]), np.empty((0, 2))], (0.5, 1.0))
    assert once.cost_P == (1.0,)
    assert always.cost_P == ()
    assert all(surface.cost_P == () for surface in surfaces([], (0.5,)))


def test_over_repeats_each_front_counts_once_however_many_points_it_has():
    many = [point(f"a{n}", 1 + n, [1, 1, 1, 0]) for n in range(5)]
    found = over_repeats([many, [point("b", 2.0, [1, 1, 0, 0])]], convention="full")
    assert found is not None
    assert (found.over, found.sets) == ("repeats", 2)
    worst = found.surfaces[-1]
    assert (worst.cost_P, worst.accuracy_P) == ((2.0,), (0.5,))
    assert over_repeats([many, []], convention="full") is None


def test_over_draws_of_videos_the_surfaces_are_the_quantiles_of_a_binomial():
    # A single point, right on 50 of 100 videos: its accuracy over draws is Binomial(100, .5) / 100.
    found = over_videos([point("a", 1.0, [1, 0] * 50)], convention="full", draws=4000)
    assert found is not None
    optimistic, middle, cautious = (surface.accuracy_P[0] for surface in found.surfaces)
    assert middle == pytest.approx(0.5, abs=0.01)
    assert optimistic == pytest.approx(0.5 + 1.645 * 0.05, abs=0.015)
    assert cautious == pytest.approx(0.5 - 1.645 * 0.05, abs=0.015)


def test_points_that_err_on_the_same_videos_keep_their_order_in_every_draw():
    cheap, dear = point("a", 1.0, [1] * 50 + [0] * 50), point("b", 2.0, [1] * 60 + [0] * 40)
    found = over_videos([cheap, dear], convention="full")
    assert found is not None
    for surface in found.surfaces:
        assert surface.cost_P == (1.0, 2.0)
        assert surface.accuracy_P[0] < surface.accuracy_P[1]
    assert found.to_json() == over_videos([cheap, dear], convention="full").to_json(), "the same draws each time"
    assert over_videos([], convention="full") is None
