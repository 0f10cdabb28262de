from __future__ import annotations

from pathlib import Path

import pytest

from explorer.search.plateau import trials_without_gain
from tests.search.spaces import book

BOTH = ("maximize", "minimize")


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([], 0),
        ([(0.5, 2.0)], 0),
        ([(0.5, 2.0), (0.6, 3.0), (0.4, 1.0)], 0),  # each dearer and better, or cheaper and worse
        ([(0.5, 2.0), (0.5, 2.0)], 1),  # a copy adds no area
        ([(0.5, 2.0), (0.4, 2.5), (0.5, 3.0)], 2),
        ([(0.5, 2.0), (0.4, 2.5), (0.6, 3.0)], 0),
        ([(0.5, 2.0), (0.6, 1.0), (0.5, 2.0)], 1),  # the first one was overtaken, a repetition of it is still no gain
    ],
)
def test_trials_in_a_row_that_add_no_area_are_counted(values: list[tuple[float, float]], expected: int) -> None:
    assert trials_without_gain(values, BOTH) == expected


def test_the_book_counts_in_the_order_in_which_trials_ended_and_leaves_out_the_failed(tmp_path: Path) -> None:
    study = book(tmp_path)
    for _ in range(4):
        study.ask()
    study.tell(2, {"accuracy": 0.9, "gflops": 1.0})
    study.tell(0, {"accuracy": 0.5, "gflops": 2.0})
    study.tell(1, state="FAIL")
    assert study.trials_without_gain() == 1
    study.tell(3, {"accuracy": 0.95, "gflops": 1.5})
    assert study.trials_without_gain() == 0
