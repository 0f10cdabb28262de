"""Rung 0 with previews that are told, not trained: which proposal runs, and when previews are believed."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from explorer.search.book import CHAIN, KNEW, PREVIEW, StudyBook
from explorer.search.previews import JUDGED_FROM, Previewed, agreement, area, choose, kendall
from explorer.search.reader import read_study
from explorer.search.rung0 import NOT_YET, RungZero
from tests.search.spaces import FIRST, book, measured

CANDIDATES = 5


def one(accuracy: float, gflops: float) -> Previewed:
    return Previewed(accuracy_P=[accuracy], gflops_P=[gflops])


# --- pure ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("x", "y", "tau"),
    [
        ([1, 2, 3, 4], [10, 20, 30, 40], 1.0),
        ([1, 2, 3, 4], [4, 3, 2, 1], -1.0),
        ([1, 2, 3, 4], [1, 2, 4, 3], 4 / 6),  # five pairs agree, one does not
        ([1, 1, 2], [1, 2, 3], 2 / (2 * 3) ** 0.5),  # tau-b: the tie counts for neither
        ([1, 1, 1], [1, 2, 3], 0.0),
        ([], [], 0.0),
    ],
)
def test_kendalls_tau_is_the_closed_form(x, y, tau):
    assert kendall(x, y) == pytest.approx(tau)


def test_of_equally_good_candidates_that_which_fills_a_gap_of_the_previewed_front_runs():
    begun = [one(0.5, 1.0), one(0.9, 8.0)]
    beside_the_cheap, in_the_gap, dominated = one(0.52, 1.1), one(0.8, 3.0), one(0.4, 4.0)
    assert choose([beside_the_cheap, dominated, in_the_gap], begun) == 2


def test_a_candidate_whose_preview_failed_is_never_chosen_while_another_one_is_left():
    assert choose([None, one(0.1, 9.0)], [one(0.9, 1.0)]) == 1
    assert choose([None, None], []) == 0


def test_previews_are_believed_at_first_and_then_while_areas_agree_better_than_chance():
    better = [one(0.5 + n / 100, 10.0 - n) for n in range(JUDGED_FROM)]
    same, opposite = list(zip(better, better, strict=True)), list(zip(better, better[::-1], strict=True))
    assert agreement(same).trusted
    assert agreement(same).tau == {"accuracy": 1.0, "gflops": 1.0, "area": 1.0}
    assert not agreement(opposite).trusted
    assert agreement(opposite[:-1]).trusted
    # 45 pairs of 10: the standard error is sqrt(2 * 25 / 810) = 0.248
    assert agreement(same).low == pytest.approx(1 - 1.2816 * 0.24845, abs=1e-4)


# --- with a book ----------------------------------------------------------------------------------------------------------


class Previews:
    """Answers at the second asking, as a queue does. ``truthful``: with what the trial will measure."""

    def __init__(self, *, truthful: bool = True) -> None:
        self.asked: list[dict[str, Any]] = []
        self.told: list[dict[str, Any]] = []
        self._truthful = truthful
        self._ready = False

    def __call__(self, wanted: Any) -> list[Previewed | None] | None:
        if not self._ready:
            self._ready = True
            return None
        self.asked += [dict(params) for params in wanted]
        return [self._one(params) for params in wanted]

    def _one(self, params: Any) -> Previewed:
        true = measured(params)
        truth = one(true["accuracy"], true["gflops"])
        # A lie: what dominates more is told as dearer.
        return truth if self._truthful else one(0.5, math.exp(area([truth], (0.0, 9.0))))

    def rung0(self) -> RungZero:
        return RungZero(
            CANDIDATES,
            needs=lambda params: ["warm-up"],
            preview=self,
            tell=lambda number, told: self.told.append(dict(told)),
        )


def asked(study: StudyBook, rung0: RungZero) -> Any:
    """The next trial, after as many looks as it takes."""
    while (chosen := rung0.next(study)) == NOT_YET:
        pass
    return study.ask(lambda params, fork: {"warmup": "warm-up"}, chosen)


def run(study: StudyBook, previews: Previews, trials: int) -> list[dict[str, Any]]:
    rung0, found = previews.rung0(), []
    for _ in range(trials):
        trial = asked(study, rung0)
        study.tell(trial.number, measured(trial.params))
        found.append(dict(trial.params))
    return found


def test_the_first_trial_runs_without_a_preview_and_is_previewed_with_the_second(tmp_path: Path) -> None:
    previews = Previews()
    study = book(tmp_path, first_points=[FIRST])
    run(study, previews, 2)
    first, second = read_study(study.path)
    assert PREVIEW not in first.attrs and KNEW not in first.attrs
    assert second.attrs[PREVIEW]["candidates"] == CANDIDATES
    assert previews.asked[0] == FIRST and len(previews.asked) == 1 + CANDIDATES


def test_the_proposal_that_adds_most_by_its_preview_runs(tmp_path: Path) -> None:
    study, previews = book(tmp_path, first_points=[FIRST]), Previews()
    _, second = run(study, previews, 2)
    candidates = [one(**measured(params)) for params in previews.asked[1:]]
    assert second == previews.asked[1:][choose(candidates, [one(**measured(FIRST))])]


def test_previews_that_do_not_predict_choose_nothing_once_they_are_judged(tmp_path: Path) -> None:
    liar = Previews(truthful=False)
    study = book(tmp_path, sampler="random", first_points=[FIRST])
    run(study, liar, JUDGED_FROM + 2)
    trusted = [told["agreement"]["trusted"] for told in liar.told]
    assert (
        trusted == [True] * (JUDGED_FROM - 1) + [False] * 2
    )  # of the first trial nothing is told: nothing was previewed yet
    assert [told["agreement"]["trials"] for told in liar.told] == [*range(1, JUDGED_FROM + 2)]
    assert [told["candidates"] for told in liar.told][-2:] == [1, 1]
    assert not any("index" in record.attrs[KNEW] for record in read_study(study.path)[-2:])


def test_every_choice_can_be_replayed_from_its_record(tmp_path: Path) -> None:
    study = book(tmp_path, first_points=[FIRST])
    found = run(study, Previews(), 6)
    assert [study.ask_again(number) for number in range(1, 6)] == found[1:]
    assert any(record.attrs[KNEW].get("index") for record in read_study(study.path)[1:])


def test_a_search_that_was_cut_short_goes_on_with_the_same_choices(tmp_path: Path) -> None:
    for name in ("whole", "cut"):
        (tmp_path / name).mkdir()
    whole = run(book(tmp_path / "whole", lag=1, first_points=[FIRST]), Previews(), 6)
    before = book(tmp_path / "cut", lag=1, first_points=[FIRST])
    run(before, Previews(), 3)
    before.close()
    run(book(tmp_path / "cut", lag=1, first_points=[FIRST]), Previews(), 3)
    assert [dict(record.params) for record in read_study(tmp_path / "cut" / "study.journal")] == whole
    assert all(CHAIN in record.attrs for record in read_study(tmp_path / "cut" / "study.journal"))
