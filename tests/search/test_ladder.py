"""Early stopping without Ray: who is promoted, who is pruned, and that it depends on what was measured alone."""

from __future__ import annotations

import itertools

import pytest

from explorer.search.ladder import Arrival, Climber, Ladder
from explorer.spec.rungs import Rung, rungs_of
from trainables.contract import Stage

EARLY, END = Rung(stage="joint", epochs=2), Rung(stage="joint")
# Number -> accuracy and cost at both rungs: 0, 3 and 5 are one front, the others lie behind it.
VALUES = {0: (0.9, 9.0), 1: (0.8, 9.5), 2: (0.5, 8.0), 3: (0.7, 3.0), 4: (0.6, 4.0), 5: (0.4, 1.0)}


def ladder(*, cohort: int | None = None, factor: int = 3) -> Ladder:
    return Ladder(maximise=(True, False), logarithmic=(False, True), reduction_factor=factor, cohort=cohort)


def climb(found: Ladder, number: int, rung: Rung = EARLY, *, settled: bool = True) -> str:
    found.begin(number)
    return found.arrive(number, rung, VALUES[number], settled=settled)


def promoted(found: Ladder, *, asking: bool) -> list[int]:
    """Whom it lets go on now, in order."""
    numbers = []
    while (number := found.next_promotion(asking=asking)) is not None:
        found.promote(number)
        numbers.append(number)
    return numbers


def test_one_of_three_is_promoted_as_soon_as_three_have_been_there():
    found = ladder()
    for number in (1, 2):
        assert climb(found, number) == "paused"
        assert found.next_promotion(asking=True) is None
    climb(found, 0)
    assert promoted(found, asking=True) == [0]


def test_a_trial_that_paused_is_promoted_when_worse_ones_have_come():
    found = ladder()
    for number in (0, 3, 5):
        climb(found, number)
    assert promoted(found, asking=True) == [0]
    for number in (1, 2):
        climb(found, number)
    assert promoted(found, asking=True) == []
    climb(found, 4)
    assert promoted(found, asking=True) == [5], "of the front, the one that is farthest from the promoted one"


def test_trials_are_compared_at_equal_progress_only_and_the_highest_rung_goes_first():
    found = ladder(factor=2)
    for number in (0, 1, 2, 4):
        climb(found, number)
    assert promoted(found, asking=True) == [0, 4]
    climb(found, 0, END)
    climb(found, 4, END)
    for number in (3, 5):
        climb(found, number)
    assert promoted(found, asking=True) == [0, 5, 3], "the end first; then the best half of six, one of which has gone on"


def test_when_no_trial_is_to_come_somebody_always_reaches_the_end_and_the_rest_is_pruned():
    found = ladder()
    climb(found, 1)
    climb(found, 2)
    assert found.to_prune(asking=True) == []
    assert promoted(found, asking=False) == [1]
    assert found.to_prune(asking=False) == [], "trial 1 is still on its way"
    found.end(1, "COMPLETE")
    assert found.to_prune(asking=False) == [2]
    assert found.why(2) == "stopped early at epoch 2 of stage joint: place 2 of the 2 trials compared there"


def test_a_trial_whose_rates_move_passes_and_is_compared_with_nobody():
    found = ladder()
    assert climb(found, 0, settled=False) == "passed"
    for number in (1, 2, 3):
        climb(found, number)
    assert promoted(found, asking=True) == [1]


def test_a_failed_trial_counts_for_nothing():
    found = ladder()
    for number in (0, 1, 2):
        climb(found, number)
    found.end(0, "FAIL")
    assert promoted(found, asking=True) == []
    assert promoted(found, asking=False) == [1]


def test_a_trial_that_comes_again_stands_as_it_stood():
    found = ladder(factor=2)
    climb(found, 0)
    climb(found, 1)
    found.promote(0)
    again = Ladder(
        maximise=(True, False),
        reduction_factor=2,
        trials={n: Climber(arrivals={k: Arrival.of(a.to_json()) for k, a in c.arrivals.items()}) for n, c in found.trials.items()},
    )
    assert [climb(again, number) for number in (0, 1)] == ["promoted", "paused"]


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))))
def test_a_cohort_decides_the_same_whoever_comes_first(order: tuple[int, ...]):
    found = ladder(cohort=4, factor=2)
    for number in range(4):
        found.begin(number)
    for number in order[:-1]:
        climb(found, number)
        assert found.next_promotion(asking=True) is None
        assert found.to_prune(asking=True) == []
    climb(found, order[-1])
    assert promoted(found, asking=True) == [0, 3]
    assert found.to_prune(asking=True) == [1, 2]


def test_a_cohort_waits_for_its_trials_and_for_no_other():
    found = ladder(cohort=4, factor=2)
    for number in (0, 1, 2):
        climb(found, number)
    assert promoted(found, asking=True) == [], "the fourth has not been begun"
    assert promoted(found, asking=False) == [0, 2], "it never will be"
    found.begin(3)
    climb(found, 4)
    assert found.next_promotion(asking=True) is None
    found.end(3, "FAIL")
    assert found.to_prune(asking=True) == [1]


def stage(name: str, epochs: int, candidates: str) -> Stage:
    return Stage(name=name, epochs=epochs, passes=(), batch_size=1, segments=1, modalities=(), candidates=candidates)  # type: ignore[arg-type]


def test_rungs_stand_inside_a_measured_stage_and_where_another_follows_it():
    stages = [stage("warmup", 5, "none"), stage("joint", 20, "every"), stage("finetune", 10, "last")]
    found = rungs_of(stages, reduction_factor=3, grace_epochs=2)
    assert [rung.name for rung in found] == ["joint:2", "joint:6", "joint"]
    assert [Rung.parse(rung.name) for rung in found] == list(found)
    assert [rung.name for rung in rungs_of(stages[1:2], reduction_factor=3, grace_epochs=4)] == ["joint:4"]
    assert rungs_of(stages[:1], reduction_factor=2, grace_epochs=1) == ()


def test_a_trial_that_passes_a_rung_by_is_not_waited_for_there_and_not_compared():
    found = ladder(factor=2, cohort=4)
    for number in (0, 1, 2):
        climb(found, number)
    found.begin(3)
    assert promoted(found, asking=True) == [], "trial 3 may still come"
    found.arrive(3, EARLY, (), settled=False)
    assert promoted(found, asking=True) == [0, 2], "the best half, rounded up, of three"
