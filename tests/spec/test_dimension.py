from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from explorer.search.distributions import from_distribution, to_distribution
from explorer.spec.dimension import Choice, Dimension, Int, Log, Uniform, parse_dimension

EACH = [Log(0.05, 4.0), Uniform(-1.0, 2.0), Int(2, 5), Choice((0, 2.5, "a", True, None))]


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ({"log": [0.05, 4]}, Log(0.05, 4.0)),
        ({"uniform": [-1, 2]}, Uniform(-1.0, 2.0)),
        ({"int": [2, 5]}, Int(2, 5)),
        ({"choice": ["a", 1, True, None]}, Choice(("a", 1, True, None))),
    ],
)
def test_each_kind_is_parsed_and_written_back_as_it_was(raw: dict[str, Any], expected: Dimension) -> None:
    assert parse_dimension(raw) == expected
    assert parse_dimension(expected.raw()) == expected


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ({"log": [0, 4]}, "log must have low > 0"),
        ({"log": [-1, 4]}, "log must have low > 0"),
        ({"uniform": [3, 3]}, "uniform must have low < high; found [3, 3]"),
        ({"uniform": [3, 1]}, "uniform must have low < high"),
        ({"uniform": [1]}, "two finite numbers; found [1]"),
        ({"uniform": [0, math.inf]}, "two finite numbers"),
        ({"uniform": [False, 2]}, "two finite numbers"),
        ({"int": [1, 2.5]}, "two whole numbers"),
        ({"choice": []}, "at least one value"),
        ({"choice": [1, 2, 1]}, "found 1 again"),
        ({"choice": [[1, 2]]}, "found [1, 2]"),
        ({"choice": 3}, "followed by a list; found 3"),
        ({"lognormal": [0, 1]}, "unknown kind of dimension 'lognormal'"),
        ({"log": [1, 2], "int": [1, 2]}, "a dimension must be"),
        (7, "a dimension must be {log: [low, high]}"),
    ],
)
def test_an_impossible_dimension_says_rule_and_value(raw: Any, message: str) -> None:
    with pytest.raises(ValueError) as caught:
        parse_dimension(raw)
    assert message in str(caught.value)


@given(st.sampled_from(EACH), st.floats(0, 1, exclude_max=True))
def test_every_draw_lies_inside_and_is_its_own_nearest_value(dimension: Dimension, u: float) -> None:
    value = dimension.at(u)
    assert dimension.nearest(value) == value
    distribution = to_distribution(dimension)
    assert distribution._contains(distribution.to_internal_repr(value))


@pytest.mark.parametrize("dimension", EACH, ids=lambda d: d.kind)
def test_optuna_distribution_and_back_is_the_same_dimension(dimension: Dimension) -> None:
    assert from_distribution(to_distribution(dimension)) == dimension


def test_the_middle_of_a_log_range_is_the_geometric_mean() -> None:
    assert Log(0.01, 100.0).at(0.5) == pytest.approx(1.0)


def test_int_draws_every_value_equally_often() -> None:
    draws = [Int(2, 5).at((i + 0.5) / 400) for i in range(400)]
    assert [draws.count(n) for n in (2, 3, 4, 5)] == [100] * 4


@pytest.mark.parametrize(
    ("dimension", "value", "nearest"),
    [
        (Uniform(0.0, 1.0), 7, 1.0),
        (Log(0.05, 4.0), 0, 0.05),
        (Int(2, 5), 9.0, 5),
        (Choice((0, 2, 5)), 2.0, 2),
        (Choice((0, 2, 5)), 10, 0),
        (Choice((1, True)), True, True),
        (Uniform(0.0, 1.0), None, 0.5),
    ],
)
def test_a_value_outside_moves_to_the_nearest_inside(dimension: Dimension, value: Any, nearest: Any) -> None:
    found = dimension.nearest(value)
    assert found == nearest
    assert type(found) is type(nearest)
