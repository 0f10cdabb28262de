"""A point with further seeds of its configuration: closed forms."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from explorer.fronts import Measured
from explorer.fronts.repeats import repeats_of


@dataclass(frozen=True)
class Point:
    val: Measured
    test: Measured | None
    identity: str = ""


def point(accuracy: float, gflops: float, on_test: float = 0.0) -> Point:
    def measured(value: float) -> Measured:
        return Measured(accuracy=value, gflops={"full": gflops, "paper": gflops}, rates={}, correct="00", videos=8)

    return Point(measured(accuracy), measured(on_test))


def test_each_further_seed_gives_its_best_point_within_the_cost_chosen_on_validation() -> None:
    chosen = point(0.95, 2.0)
    seeds = {
        1: [point(0.7, 1.0), point(0.8, 2.0, on_test=0.6), point(0.99, 2.1)],
        2: [point(0.9, 1.5, on_test=0.7), point(0.85, 1.9, on_test=0.9)],
    }
    found = repeats_of(chosen, seeds, convention="full")
    assert found is not None
    assert (found.seeds, found.accuracy, found.gflops) == ((1, 2), (0.8, 0.9), (2.0, 1.5))
    assert found.mean == pytest.approx(0.85) and found.standard_error == pytest.approx(0.05)
    assert found.interval == pytest.approx((0.85 - 12.7062 * 0.05, 0.85 + 12.7062 * 0.05), abs=1e-4)
    on_test = repeats_of(chosen, seeds, convention="full", split="test")
    assert on_test is not None and on_test.accuracy == (0.6, 0.7), "the same points, valued on test"


def test_a_seed_without_a_point_within_the_cost_is_missing_and_one_seed_has_no_interval() -> None:
    found = repeats_of(point(0.9, 1.0), {1: [point(0.9, 1.1)], 3: [point(0.5, 1.0)]}, convention="full")
    assert found is not None
    assert (found.seeds, found.missing, found.mean, found.standard_error, found.interval) == ((3,), (1,), 0.5, None, None)
    assert found.to_json()["interval_95"] is None


def test_without_further_seeds_within_the_cost_there_is_nothing() -> None:
    assert repeats_of(point(0.9, 1.0), {}, convention="full") is None
    assert repeats_of(point(0.9, 1.0), {1: [point(0.9, 1.1)]}, convention="full") is None
