from __future__ import annotations

import math

import pytest

from explorer.fronts.ranking import pareto_order

ACCURACY_UP_COST_DOWN = (True, False)


def test_earlier_fronts_come_first_whatever_the_distance():
    values = [(0.5, 5.0), (0.9, 1.0), (0.8, 2.0), (0.4, 9.0)]  # each is dominated by the next better one
    assert pareto_order(values, ACCURACY_UP_COST_DOWN) == [1, 2, 0, 3]


def test_within_a_front_the_most_accurate_comes_first_then_the_farthest():
    front = [(0.0, 0.0), (0.9, 0.9), (1.0, 1.0), (0.5, 0.5)]
    assert pareto_order(front, ACCURACY_UP_COST_DOWN) == [2, 0, 3, 1]


def test_equal_values_keep_the_order_in_which_they_are_given():
    assert pareto_order([(1.0, 1.0)] * 3, ACCURACY_UP_COST_DOWN) == [0, 1, 2]


def test_an_objective_without_spread_decides_nothing():
    assert pareto_order([(0.5, 3.0), (0.5, 1.0), (0.5, 2.0)], ACCURACY_UP_COST_DOWN) == [1, 2, 0]


def test_nothing_is_ranked_where_nothing_is_given_and_a_nan_is_refused():
    assert pareto_order([], ACCURACY_UP_COST_DOWN) == []
    with pytest.raises(ValueError, match="finite"):
        pareto_order([(math.nan, 1.0)], ACCURACY_UP_COST_DOWN)
