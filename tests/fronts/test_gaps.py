"""Gaps of a front, and the area under it."""

import math

import pytest

from explorer.fronts.gaps import gaps, log_area

ACCURACY = (0.5, 0.9, 0.8, 0.6)
GFLOPS = (1.0, 8.0, 2.0, 4.0)  # the last is dominated by the third


def test_the_widest_gap_is_the_largest_rectangle_between_neighbours_on_the_front():
    found = gaps(ACCURACY, GFLOPS)
    assert [(gap.cheaper, gap.dearer) for gap in found] == [(0, 2), (2, 1)]
    assert found[0].area == pytest.approx(math.log(2) * 0.3)
    assert found[1].area == pytest.approx(math.log(4) * 0.1)


@pytest.mark.parametrize("points", [((), ()), ((0.5,), (1.0,)), ((0.5, 0.4), (1.0, 2.0))])
def test_a_front_of_one_point_or_none_has_no_gap(points):
    assert gaps(*points) == []


def test_area_is_that_of_the_rectangles_below_the_front():
    area = log_area(ACCURACY, GFLOPS, least_accuracy=0.4, largest_cost=8.0)
    assert area == pytest.approx(math.log(2) * 0.1 + math.log(4) * 0.4)  # the dearest point lies on the corner


def test_points_at_the_corner_have_no_area():
    assert log_area((0.5,), (1.0,), least_accuracy=0.5, largest_cost=1.0) == 0.0
