"""mAP against closed forms."""

import numpy as np
import pytest

from trainables.kit.measure.metrics import average_precision, mean_average_precision


def test_a_perfect_ranking_has_map_one():
    label_B = np.arange(12) % 3
    assert mean_average_precision(10.0 * np.eye(3)[label_B], np.eye(3, dtype=bool)[label_B]) == pytest.approx(1.0)


def test_ranking_by_hand():
    # Class 0 ranks its videos 1st and 3rd of four: (1/1 + 2/3) / 2. Class 1 is ranked the other way round: 2nd and 4th.
    logits_BC = np.array([[4.0, 0.0], [3.0, 0.0], [2.0, 0.0], [1.0, 0.0]])
    label_B = np.array([0, 1, 0, 1])
    class_0 = (1 / 1 + 2 / 3) / 2
    class_1 = (1 / 1 + 2 / 3) / 2  # by its own score, the last video comes first
    assert mean_average_precision(logits_BC, np.eye(2, dtype=bool)[label_B]) == pytest.approx((class_0 + class_1) / 2)


def test_classes_that_do_not_occur_are_left_out():
    label_B = np.array([0, 1, 0, 1])
    assert mean_average_precision(10.0 * np.eye(5)[label_B], np.eye(5, dtype=bool)[label_B]) == pytest.approx(1.0)


def test_average_precision_equals_scikit_learns_also_with_ties():
    reference = pytest.importorskip("sklearn.metrics").average_precision_score
    rng = np.random.default_rng(0)
    for _ in range(20):
        positive_B = rng.random(50) < 0.3
        score_B = rng.integers(0, 8, 50) / 8
        assert average_precision(score_B, positive_B) == pytest.approx(reference(positive_B, score_B))
