"""Conditioned trials until they add nothing, then independent ones in the gaps of the front."""

import itertools
from dataclasses import replace

import pytest

from explorer.search.book import REACHED, Search, StudyBook
from explorer.search.filling import Filling, Reached
from explorer.search.focus import Focus, conditioned_focus
from explorer.search.from_space import search_of
from explorer.spec.dimension import Choice, Log, Uniform
from tests.spec.test_start_with import FIELD, space
from trainables.contract import Conditioning

FOUND = Conditioning(field=FIELD, on="lambda", off="none", settings={}, covers=("lambda.rgb",))
SEARCH = {"lambda.rgb": Log(0.1, 10.0), "decay": Uniform(0.9, 1.0), FIELD: Choice(("lambda", "none"))}
FILLING = Filling(search=SEARCH, weights=["lambda.rgb"])
ON, OFF = {FIELD: "lambda"}, {FIELD: "none"}


def focus(found, search, complete, begun=()):
    """Only what is settled."""
    (only,) = conditioned_focus(found, replace(FILLING, search=search), complete, begun)
    return only.settled


def conditioned(*points, decay=0.95) -> Reached:
    """``points``: accuracy, GFLOPs, lambda of each."""
    accuracy, gflops, weights = zip(*points, strict=True)
    knobs = [{"lambda.rgb": weight} for weight in weights]
    return Reached(trial=0, params={**ON, "decay": decay, "lambda.rgb": 1.0}, accuracy_P=accuracy, gflops_P=gflops, knobs_P=knobs)


def independent(weight, accuracy, gflops) -> Reached:
    params = {**OFF, "decay": 0.95, "lambda.rgb": weight}
    return Reached(trial=0, params=params, accuracy_P=[accuracy], gflops_P=[gflops], knobs_P=[{}])


WIDE = conditioned((0.5, 1.0, 8.0), (0.8, 4.0, 2.0), (0.9, 8.0, 0.5))  # its widest gap: between lambda 8 and 2
WORSE = conditioned((0.4, 2.0, 8.0), decay=0.9)
BETTER = conditioned((0.7, 1.0, 8.0), (0.95, 4.0, 2.0), (0.96, 8.0, 0.5), decay=1.0)


def test_the_search_goes_on_over_conditioned_trials_while_they_add_area():
    assert focus(FOUND, SEARCH, []) == ON
    assert focus(FOUND, SEARCH, [WIDE]) == ON
    assert focus(FOUND, SEARCH, [WIDE, WORSE]) == ON
    assert focus(FOUND, SEARCH, [WIDE, WORSE, BETTER, WORSE]) == ON


def test_after_two_that_added_nothing_an_independent_trial_is_aimed_at_the_widest_gap():
    settled = focus(FOUND, SEARCH, [WIDE, WORSE, WORSE])
    assert settled == {**OFF, "lambda.rgb": pytest.approx(4.0)}


def test_a_gap_that_was_aimed_at_is_not_aimed_at_again():
    aimed = independent(4.0, 0.45, 2.0)
    assert focus(FOUND, SEARCH, [WIDE, WORSE, WORSE, aimed]) == {**OFF, "lambda.rgb": pytest.approx(1.0)}
    running = [{**OFF, "lambda.rgb": 4.0}]
    assert focus(FOUND, SEARCH, [WIDE, WORSE, WORSE], running) == {**OFF, "lambda.rgb": pytest.approx(1.0)}


def test_where_every_gap_was_aimed_at_the_sampler_chooses_the_weights():
    running = [{**OFF, "lambda.rgb": weight} for weight in (4.0, 1.0)]
    assert focus(FOUND, SEARCH, [WIDE, WORSE, WORSE], running) == OFF


def test_independent_trials_that_fill_gaps_go_on_and_two_that_do_not_give_the_turn_back():
    filled = independent(4.0, 0.78, 1.5)
    useless = [independent(weight, 0.4, 8.0) for weight in (3.0, 1.0)]
    assert focus(FOUND, SEARCH, [WIDE, WORSE, WORSE, filled])[FIELD] == "none"
    assert focus(FOUND, SEARCH, [WIDE, WORSE, WORSE, filled, *useless]) == ON


def test_an_aim_outside_what_is_searched_is_moved_to_its_end():
    narrow = {**SEARCH, "lambda.rgb": Log(0.1, 3.0)}
    assert focus(FOUND, narrow, [WIDE, WORSE, WORSE]) == {**OFF, "lambda.rgb": 3.0}


def test_a_sweep_asks_for_what_the_rule_says_and_the_record_gives_it_again(tmp_path, clips):
    found = space(f"data.manifest={clips}")
    book = StudyBook(tmp_path / "study.journal", search_of(found), trials=9)
    front = {
        "accuracy_P": [0.5, 0.8],
        "gflops_P": [1.0, 4.0],
        "knobs_P": [{"lambda.rgb": 2.0, "lambda.audio": 1.0}, {"lambda.rgb": 0.5, "lambda.audio": 0.25}],
    }
    asked = []
    for _ in range(5):
        asked.append(book.ask())
        book.tell(asked[-1].number, {"accuracy": 0.6, "gflops": 2.0}, attrs={REACHED: front})
    assert [trial.params[FIELD] for trial in asked] == ["lambda", "lambda", "lambda", "none", "none"]
    assert (asked[3].params["lambda.rgb"], asked[3].params["lambda.audio"]) == pytest.approx((1.0, 0.5))
    for one, other in itertools.pairwise(asked[:3]):
        assert one.params != other.params
    for trial in asked[1:]:
        assert book.ask_again(trial.number) == trial.params
    book.close()


def test_where_nothing_new_is_left_in_focus_the_search_goes_on_outside_it(tmp_path):
    search = Search(
        name="mine",
        search={"a": Choice((1, 2)), "b": Choice((1, 2))},
        objectives={"accuracy": "max"},
        sampler="random",
        focus=lambda complete, begun, number: [Focus(settled={"a": 1})],
    )
    book = StudyBook(tmp_path / "study.journal", search)
    asked = list(iter(book.ask, None))
    book.close()
    assert [trial.params["a"] for trial in asked] == [1, 1, 2, 2]
