"""Picking: which point a budget gets, and what is said when there is none."""

import pytest

from explorer.errors import NoPoint
from explorer.fronts import Wish, pick
from tests.fronts.test_dominance import point
from trainables.errors import UserError

CHEAP, MIDDLE, DEAR = point(0.6, 1.0, key="cheap"), point(0.8, 4.0, key="middle"), point(0.9, 8.0, key="dear")
FRONT = [CHEAP, MIDDLE, DEAR]


@pytest.mark.parametrize(("budget", "expected"), [(1.0, CHEAP), (3.99, CHEAP), (4.0, MIDDLE), (100.0, DEAR)])
def test_a_budget_gets_the_most_accurate_point_within_it(budget, expected):
    assert pick(FRONT, Wish(max_gflops=budget)) is expected


@pytest.mark.parametrize(("accuracy", "expected"), [(0.0, CHEAP), (0.6, CHEAP), (0.61, MIDDLE), (0.9, DEAR)])
def test_an_accuracy_alone_gets_the_cheapest_point_that_reaches_it(accuracy, expected):
    assert pick(FRONT, Wish(min_accuracy=accuracy)) is expected


def test_budget_and_accuracy_together_get_the_most_accurate():
    assert pick(FRONT, Wish(max_gflops=5, min_accuracy=0.5)) is MIDDLE


def test_the_convention_decides_what_a_point_costs():
    assert pick(FRONT, Wish(max_gflops=2.0, convention="paper")) is MIDDLE


def test_too_small_a_budget_names_the_cheapest_point():
    with pytest.raises(
        UserError, match=r"at most 0\.5 GFLOPs.*the cheapest costs 1 at accuracy 0\.600, 0\.5 \(100 %\) too much"
    ):
        pick(FRONT, Wish(max_gflops=0.5))


def test_too_high_an_accuracy_names_the_nearest_point_within_budget():
    with pytest.raises(
        UserError, match=r"within 5 GFLOPs.*accuracy 0\.85.*nearest reaches 0\.800, 0\.05 short, at 4 GFLOPs"
    ):
        pick(FRONT, Wish(max_gflops=5, min_accuracy=0.85))


def test_an_empty_front_says_so():
    with pytest.raises(UserError, match="the front is empty"):
        pick([], Wish(max_gflops=1))


def test_no_wish_at_all_is_refused():
    with pytest.raises(UserError, match="--max-gflops"):
        Wish()


def test_the_cost_named_is_enough_to_get_the_point():
    odd = point(0.5, 0.0910625, key="odd")
    with pytest.raises(UserError) as refused:
        pick([odd], Wish(max_gflops=0.01))
    named = float(str(refused.value).partition("the cheapest costs ")[2].split()[0])
    assert pick([odd], Wish(max_gflops=named)) is odd


LATENCY_MS = {"cheap": 30.0, "middle": 20.0, "dear": 50.0}


def latency_ms(p) -> float:
    return LATENCY_MS[p.identity[0]]


@pytest.mark.parametrize(
    ("wish", "expected"),
    [
        (Wish(max_latency_ms=35), MIDDLE),
        (Wish(max_latency_ms=50), DEAR),
        (Wish(max_latency_ms=50, max_gflops=5), MIDDLE),
        (Wish(min_accuracy=0.5, minimise="latency"), MIDDLE),
        (Wish(min_accuracy=0.5, minimise="gflops"), CHEAP),
        (Wish(max_gflops=5, minimise="gflops"), CHEAP),
        (Wish(max_gflops=100, min_accuracy=0.85, minimise="latency"), DEAR),
    ],
)
def test_a_latency_limit_and_what_is_minimised_choose_among_the_points_within_all_limits(wish, expected):
    assert pick(FRONT, wish, latency_ms=latency_ms) is expected


def test_too_short_a_latency_names_the_quickest_point_and_by_how_much_it_misses():
    with pytest.raises(NoPoint, match=r"at most 16 ms.*costs 20 at accuracy 0\.800, 4 \(25 %\) too much"):
        pick(FRONT, Wish(max_latency_ms=16), latency_ms=latency_ms)


def test_limits_that_only_different_points_meet_name_the_nearest_to_both():
    with pytest.raises(NoPoint, match=r"at once; the nearest costs 1 GFLOPs.*and 30 ms.*20 % too much"):
        pick(FRONT, Wish(max_latency_ms=25, max_gflops=3), latency_ms=latency_ms)


@pytest.mark.parametrize(
    "limits", [{"max_gflops": 0}, {"max_latency_ms": -1}, {"max_gflops": float("nan")}, {"min_accuracy": 1.5}]
)
def test_a_limit_that_is_none_is_refused_with_its_value(limits):
    with pytest.raises(UserError, match=f"got {next(iter(limits.values())):g}"):
        Wish(**limits)
