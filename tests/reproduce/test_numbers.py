"""Means, errors and paired differences against closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest

from explorer.reproduce.numbers import mean_of, paired_difference

ROW_B = np.array([1, 1, 0, 1], dtype=bool)
REFERENCE_B = np.array([0, 1, 1, 0], dtype=bool)  # differences 1, 0, -1, 1


def test_mean_over_seeds_has_the_error_of_a_mean() -> None:
    found = mean_of([0.5, 0.7, 0.9])
    assert found.mean == pytest.approx(0.7)
    assert found.standard_error == pytest.approx(0.2 / math.sqrt(3))


def test_one_seed_has_no_error_and_none_is_refused() -> None:
    assert mean_of([0.5]).standard_error is None
    with pytest.raises(ValueError, match="at least one"):
        mean_of([])


def test_difference_with_one_seed_counts_the_draw_of_videos() -> None:
    found = paired_difference(ROW_B[None], REFERENCE_B[None])
    assert found.mean == 0.25
    assert found.standard_error == pytest.approx(math.sqrt(((0.75**2) * 2 + 0.25**2 + 1.25**2) / 3 / 4))


def test_seeds_that_agree_add_nothing_to_the_error() -> None:
    one = paired_difference(ROW_B[None], REFERENCE_B[None])
    three = paired_difference(np.tile(ROW_B, (3, 1)), np.tile(REFERENCE_B, (3, 1)))
    assert three == one


def test_error_adds_videos_and_seeds_where_both_shift_the_difference() -> None:
    seed_S, video_B = np.array([0.1, -0.2, 0.4]), np.array([0.3, -0.1, 0.2, 0.5, 0.0])
    found = paired_difference(seed_S[:, None] + video_B[None], np.zeros((3, 5)))
    assert found.mean == pytest.approx(seed_S.mean() + video_B.mean())
    assert found.standard_error == pytest.approx(math.sqrt(video_B.var(ddof=1) / 5 + seed_S.var(ddof=1) / 3))


def test_equal_rows_differ_by_nothing_and_one_video_has_no_error() -> None:
    same = np.tile(ROW_B, (2, 1))
    assert paired_difference(same, same).standard_error == 0
    assert paired_difference(np.array([[True]]), np.array([[False]])).standard_error is None


def test_error_is_calibrated_on_drawn_videos_and_seeds() -> None:
    rng = np.random.default_rng(0)
    outside = 0
    for _ in range(400):
        seed_S, video_B = 0.3 * rng.standard_normal((12, 1)), rng.standard_normal((1, 40))
        found = paired_difference(seed_S + video_B + rng.standard_normal((12, 40)), np.zeros((12, 40)))
        assert found.standard_error is not None
        outside += abs(found.mean) > 1.96 * found.standard_error
    assert 0.03 < outside / 400 < 0.09  # 5 %, a little more for the few seeds


def test_unequal_videos_are_refused() -> None:
    with pytest.raises(ValueError, match="equal videos"):
        paired_difference(np.zeros((1, 3)), np.zeros((1, 4)))
