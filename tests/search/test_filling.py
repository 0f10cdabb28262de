"""Trials aimed at the widest gap of the front in any sweep, and where they are forked from."""

from dataclasses import replace

import pytest

from explorer.search.aim import AIM, Aim
from explorer.search.book import REACHED, StudyBook
from explorer.search.filling import Filling, Reached
from explorer.search.focus import gap_focus
from explorer.search.from_space import search_of
from explorer.spec.constraint import parse_constraint
from explorer.spec.dimension import Log, Uniform
from explorer.spec.fork import FORK, Fork
from explorer.spec.load import load_space
from explorer.spec.plan import chain

SEARCH = {"lambda.rgb": Log(0.1, 100.0), "decay": Uniform(0.9, 1.0)}
FILLING = Filling(search=SEARCH, weights=["lambda.rgb", "lambda.audio"], after=3, every=2)


def trial(
    number: int, weight: float, accuracy: float, gflops: float, *, decay: float = 0.95, fork: Fork | None = None
) -> Reached:
    params = {"lambda.rgb": weight, "decay": decay}
    return Reached(trial=number, params=params, fork=fork, accuracy_P=[accuracy], gflops_P=[gflops], knobs_P=[{}])


CHEAP, MIDDLE, DEAR = trial(0, 64.0, 0.5, 1.0), trial(1, 4.0, 0.8, 4.0), trial(2, 1.0, 0.9, 8.0)
FRONT = [CHEAP, MIDDLE, DEAR]  # its widest gap: between 64 and 4


def aimed(filling: Filling, complete: list[Reached], begun: tuple[dict[str, float], ...] = (), number: int = 3):
    return gap_focus(filling, complete, begun, number=number)


def test_one_trial_in_every_few_is_aimed_once_enough_are_complete():
    assert [bool(aimed(FILLING, FRONT, number=number)) for number in (3, 4, 5, 6)] == [True, False, True, False]
    assert aimed(replace(FILLING, after=4), FRONT) == []
    assert aimed(replace(FILLING, every=1), FRONT, number=4)


def test_only_the_weights_are_settled_in_the_middle_of_the_logarithms_and_the_gap_is_told():
    (focus,) = aimed(FILLING, FRONT)
    assert focus.settled == {"lambda.rgb": pytest.approx(16.0)}
    assert (focus.aim.cheaper.trial, focus.aim.dearer.trial, focus.fork) == (0, 1, None)
    assert str(focus.aim) == "the gap between trial 0 (accuracy 0.500, 1 GFLOPs) and trial 1 (accuracy 0.800, 4 GFLOPs)"
    assert Aim.of(focus.aim.to_json()) == focus.aim


def test_a_gap_that_some_trial_is_near_to_is_left_to_it_whether_it_runs_was_stopped_or_is_complete():
    (next_gap,) = aimed(FILLING, FRONT, ({"lambda.rgb": 16.5},))
    assert next_gap.settled == {"lambda.rgb": pytest.approx(2.0)}
    dominated = trial(3, 15.5, 0.4, 4.5)
    (next_gap,) = aimed(FILLING, [*FRONT, dominated])
    assert next_gap.settled == {"lambda.rgb": pytest.approx(2.0)}
    (nothing,) = aimed(FILLING, FRONT, ({"lambda.rgb": 16.0}, {"lambda.rgb": 2.0}))
    assert (nothing.settled, nothing.aim) == ({}, None)


def test_a_gap_of_which_no_side_keeps_a_constraint_is_not_filled():
    within = replace(FILLING, constraints=[parse_constraint("accuracy >= 0.85")])
    assert aimed(within, FRONT)[0].settled == {"lambda.rgb": pytest.approx(2.0)}
    cheap = replace(FILLING, constraints=[parse_constraint("gflops <= 0.5")])
    assert aimed(cheap, FRONT)[0].aim is None


def test_a_weight_of_0_beside_the_gap_has_no_logarithm_and_is_not_aimed():
    assert aimed(FILLING, [replace(CHEAP, params={"lambda.rgb": 0.0, "decay": 0.9}), MIDDLE]) == []
    filling = replace(FILLING, after=2)
    assert aimed(filling, [replace(CHEAP, params={"lambda.rgb": 0.0, "decay": 0.9}), MIDDLE])[0].aim is None


def test_a_point_that_costs_nothing_has_no_logarithm_and_bounds_no_gap():
    free = trial(3, 100.0, 0.1, 0.0)
    assert aimed(FILLING, [*FRONT, free])[0].settled == {"lambda.rgb": pytest.approx(16.0)}


FORKING = replace(FILLING, can_fork=lambda params: True)


def test_a_fork_starts_from_the_neighbour_with_the_nearer_weights_and_has_its_other_parameters():
    near = trial(1, 8.0, 0.8, 4.0, decay=0.99)
    fork, anew = aimed(FORKING, [trial(0, 80.0, 0.5, 1.0), near, DEAR])
    middle = pytest.approx((8 * 80) ** 0.5)
    assert fork.fork in (Fork(trial=0, params={"lambda.rgb": 80.0, "decay": 0.95}), Fork(trial=1, params=near.params))
    assert (anew.fork, anew.settled) == (None, {"lambda.rgb": middle})
    narrow = replace(FORKING, search={**SEARCH, "lambda.rgb": Log(0.1, 20.0)})
    fork, _ = aimed(narrow, [trial(0, 80.0, 0.5, 1.0), near, DEAR])  # moved to 20, nearer to 8 than to 80
    assert fork.fork == Fork(trial=1, params=near.params)
    assert fork.settled == {"lambda.rgb": 20.0, "decay": 0.99}


def test_a_fork_is_not_forked_again_the_trial_that_it_came_from_is():
    from_two = Fork(trial=2, params=DEAR.params)
    complete = [replace(CHEAP, fork=from_two), replace(MIDDLE, fork=from_two), DEAR]
    assert aimed(FORKING, complete)[0].fork == from_two


def test_without_a_neighbour_that_can_be_forked_the_trial_is_trained_from_scratch():
    only = replace(FILLING, can_fork=lambda params: params["lambda.rgb"] == 64.0)
    assert aimed(only, FRONT)[0].fork.trial == 0
    assert [focus.fork for focus in aimed(FILLING, FRONT)] == [None]


def test_the_aim_and_the_fork_are_noted_with_the_trial_and_the_record_gives_them_again(tmp_path):
    space = load_space("toy", ["fill_gaps={after: 2, every: 1, fork: 0.5}", "budget.trials=4", f"storage={tmp_path}"])
    book = StudyBook(tmp_path / "study.journal", search_of(space), trials=4)
    for accuracy, gflops in ((0.5, 1.0), (0.8, 4.0)):
        asked = book.ask()
        front = {"accuracy_P": [accuracy], "gflops_P": [gflops], "knobs_P": [{}]}
        book.tell(asked.number, {"accuracy": accuracy, "gflops": gflops}, attrs={REACHED: front})
    told = []
    asked = book.ask(
        lambda params, fork: told.append(fork) or {job.stage: job.key for job in chain(space, params, fork)}
    )
    assert told == [asked.fork]
    assert asked.fork.trial in (0, 1)
    notes = book.notes(asked.number)
    assert Fork.of(notes) == asked.fork
    assert {path: asked.params[path] for path in space.weights()} == notes[AIM]["weights"]
    assert {path for path, value in asked.params.items() if value != asked.fork.params[path]} == set(space.weights())
    assert book.ask_again(asked.number) == asked.params
    book.close()
    again = StudyBook(tmp_path / "study.journal", search_of(space), trials=4)
    assert again.ask() == asked, "a trial that was cut short is handed out again as the fork that it was"
    again.close()
    assert FORK in notes
