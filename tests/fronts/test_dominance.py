"""Dominance and hypervolume: closed forms on planted fronts, properties on any."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from explorer.fronts import Measured, OperatingPoint, front, hypervolume, paired_difference

ALL_ON = 10.0
REFERENCE = 0.5


def measured(accuracy: float, gflops: float, correct: list[int] | None = None) -> Measured:
    bits = np.array(correct if correct is not None else [1], dtype=bool)
    return Measured(
        accuracy=accuracy,
        gflops={"paper": gflops / 2, "full": gflops},
        rates={"rgb": 0.5},
        correct=np.packbits(bits).tobytes().hex(),
        videos=len(bits),
    )


def point(accuracy: float, gflops: float, key: str = "k", correct: list[int] | None = None) -> OperatingPoint:
    value = measured(accuracy, gflops, correct)
    return OperatingPoint(
        key=key, stage="joint", epoch=0, knobs={}, selection="default", budget_gmacs=None, val=value, test=value
    )


# A coarse grid makes ties and duplicates likely: that is where dominance goes wrong.
accuracies = st.integers(0, 12).map(lambda n: n / 12)
costs = st.integers(1, 12).map(lambda n: n * ALL_ON / 12)
points = st.lists(st.builds(point, accuracies, costs, key=st.sampled_from("abcdef")), max_size=25)


def coordinates(members: list[OperatingPoint]) -> list[tuple[float, float]]:
    return [(p.val.gflops["full"], p.val.accuracy) for p in members]


def volume(members: list[OperatingPoint]) -> float:
    return hypervolume(members, all_on_gflops=ALL_ON, reference_accuracy=REFERENCE)


@given(points, st.randoms(use_true_random=False))
@settings(max_examples=100, deadline=None)
def test_front_does_not_depend_on_the_order_of_its_points(candidates, random):
    shuffled = list(candidates)
    random.shuffle(shuffled)
    assert front(shuffled) == front(candidates)


@given(points)
@settings(max_examples=100, deadline=None)
def test_no_member_is_dominated_and_every_other_point_is(candidates):
    members = coordinates(front(candidates))
    for cost, accuracy in coordinates(candidates):
        at_least_as_good = [m for m in members if m[0] <= cost and m[1] >= accuracy]
        assert at_least_as_good
        if (cost, accuracy) in members:
            assert at_least_as_good == [(cost, accuracy)]


@given(points)
@settings(max_examples=50, deadline=None)
def test_front_rises_strictly_in_cost_and_accuracy(candidates):
    members = coordinates(front(candidates))
    assert all(a[0] < b[0] and a[1] < b[1] for a, b in itertools.pairwise(members))


@given(points, points)
@settings(max_examples=100, deadline=None)
def test_hypervolume_never_falls_when_points_are_added(some, more):
    assert volume(some + more) >= volume(some) - 1e-12


@given(points)
@settings(max_examples=50, deadline=None)
def test_hypervolume_is_that_of_the_front_alone(candidates):
    assert volume(front(candidates)) == pytest.approx(volume(candidates))


def test_planted_front_is_recovered_among_dominated_points():
    planted = [point(0.5 + 0.04 * n, 1.0 + n, key=f"front-{n}") for n in range(8)]
    dominated = [point(p.val.accuracy - 0.01, p.val.gflops["full"] + 0.1, key="behind") for p in planted]
    assert front(dominated + planted[::-1]) == planted


def test_front_follows_the_convention_asked_for():
    cheap_in_full = point(0.9, 2.0, key="a")
    cheap_in_paper = OperatingPoint(
        **{
            **vars(cheap_in_full),
            "key": "b",
            "val": Measured(**{**vars(measured(0.9, 3.0)), "gflops": {"paper": 0.1, "full": 3.0}}),
        }
    )
    assert front([cheap_in_full, cheap_in_paper], convention="full") == [cheap_in_full]
    assert front([cheap_in_full, cheap_in_paper], convention="paper") == [cheap_in_paper]


def test_hypervolume_of_two_points_is_the_union_of_two_rectangles():
    wide = math.log(ALL_ON / 1.0) * (0.7 - REFERENCE)
    tall = math.log(ALL_ON / 4.0) * (0.9 - 0.7)
    assert volume([point(0.7, 1.0), point(0.9, 4.0)]) == pytest.approx(wide + tall)


@pytest.mark.parametrize("worse", [point(0.4, 1.0), point(0.5, 1.0), point(0.9, ALL_ON), point(0.9, 20.0)])
def test_hypervolume_ignores_points_worse_than_the_reference(worse):
    assert volume([worse]) == 0.0


def test_hypervolume_without_points_is_zero():
    assert volume([]) == 0.0


def test_hypervolume_of_a_free_point_is_finite():
    assert volume([point(0.9, 0.0)]) == pytest.approx(math.log(1000) * 0.4)


def test_hypervolume_refuses_points_that_were_not_measured_on_the_split():
    unmeasured = OperatingPoint(**{**vars(point(0.9, 1.0)), "test": None})
    with pytest.raises(ValueError, match="not measured on test"):
        hypervolume([unmeasured], all_on_gflops=ALL_ON, reference_accuracy=REFERENCE, split="test")


def test_paired_difference_is_mean_and_standard_error_over_videos():
    a = point(0.75, 1.0, correct=[1, 1, 1, 0])
    b = point(0.25, 1.0, correct=[1, 0, 0, 0])
    mean, error = paired_difference(a, b)
    assert mean == pytest.approx(0.5)
    assert error == pytest.approx(np.std([0, 1, 1, 0], ddof=1) / 2)


def test_paired_difference_of_equal_mistakes_has_no_error():
    a = point(0.5, 1.0, correct=[1, 0, 1, 0])
    assert paired_difference(a, a) == (0.0, 0.0)


def test_paired_difference_refuses_different_videos():
    with pytest.raises(ValueError, match="the same videos"):
        paired_difference(point(1.0, 1.0, correct=[1, 1]), point(1.0, 1.0, correct=[1, 1, 1]))
