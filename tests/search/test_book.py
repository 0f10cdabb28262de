from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from explorer.errors import SweepBusy, SweepMismatch, UserError
from explorer.search.book import CHAIN, KNEW, REASON, StudyBook
from explorer.search.reader import read_study
from explorer.spec.constraint import Constraint
from explorer.spec.dimension import Choice, Int, Uniform
from tests.search.spaces import CHEAP, DIMENSIONS, FIRST, book, measured


def test_first_points_come_first_and_then_the_samplers(tmp_path: Path) -> None:
    study = book(tmp_path, first_points=[FIRST, FIRST])
    first, second = study.ask(), study.ask()
    assert first is not None and second is not None
    assert (first.number, first.params) == (0, FIRST)
    assert second.number == 1
    assert second.params != FIRST
    assert set(second.params) == set(DIMENSIONS)


def test_values_states_chain_and_notes_are_kept(tmp_path: Path) -> None:
    study = book(tmp_path)
    for _ in range(3):
        study.ask(lambda params, fork: {"joint": f"key-{params['epochs']}"})
    assert study.tell(0, {"accuracy": 0.5, "gflops": 2.0, "other": 1.0}) == "COMPLETE"
    assert study.tell(1, {"accuracy": 0.5, "gflops": 2.0}, "PRUNED", {"epoch": 4}) == "PRUNED"
    assert study.tell(2, None, "FAIL", {REASON: "out of memory"}) == "FAIL"
    done, pruned, failed = read_study(study.path)
    assert (done.state, done.values) == ("COMPLETE", (0.5, 2.0))
    assert done.attrs[CHAIN] == {"joint": f"key-{done.params['epochs']}"}
    assert (pruned.state, pruned.values, pruned.attrs["epoch"]) == ("PRUNED", None, 4)
    assert (failed.state, failed.values, failed.attrs[REASON]) == ("FAIL", None, "out of memory")


@pytest.mark.parametrize(
    "values",
    [None, {}, {"accuracy": 0.5}, {"accuracy": math.nan, "gflops": 1.0}, {"accuracy": 0.5, "gflops": math.inf}],
)
def test_a_missing_or_infinite_value_fails_the_trial(tmp_path: Path, values: dict[str, float] | None) -> None:
    study = book(tmp_path)
    study.ask()
    assert study.tell(0, values) == "FAIL"
    assert "no finite value of" in read_study(study.path)[0].attrs[REASON]


def test_constraints_are_told_as_excess_and_a_missing_one_fails(tmp_path: Path) -> None:
    study = book(tmp_path, objectives={"accuracy": "max"}, constraints=[CHEAP, CHEAP])
    study.ask()
    study.ask()
    study.tell(0, {"accuracy": 0.5, "gflops": 7.0})
    assert study._study.trials[0].constraints == {"gflops <= 5": 2.0}
    assert study.tell(1, {"accuracy": 0.5}) == "FAIL"


def test_the_budget_ends_the_asking_and_may_grow_on_resume(tmp_path: Path) -> None:
    study = book(tmp_path, trials=2)
    study.ask()
    study.ask()
    assert study.ask() is None
    study.tell(0, {"accuracy": 0.5, "gflops": 2.0})
    study.tell(1, None, "FAIL")
    assert study.ask() is None
    study.close()
    grown = book(tmp_path, trials=3)
    asked = grown.ask()
    assert asked is not None and asked.number == 2
    assert grown.ask() is None


def test_no_point_is_proposed_twice_and_a_small_space_ends(tmp_path: Path) -> None:
    study = book(tmp_path, search={"gamma": Choice((0, 2, 5)), "epochs": Int(1, 2)}, sampler="tpe")
    points = []
    while (asked := study.ask()) is not None:
        points.append(tuple(asked.params.items()))
        study.tell(asked.number, {"accuracy": float(asked.params["gamma"] or 0), "gflops": 1.0})
    assert len(points) == len(set(points)) == 6


def test_without_dimensions_there_is_one_trial(tmp_path: Path) -> None:
    study = book(tmp_path, search={}, first_points=[{}])
    asked = study.ask()
    assert asked is not None and asked.params == {}
    assert study.ask() is None


def test_a_point_whose_chain_is_refused_becomes_a_failed_trial(tmp_path: Path) -> None:
    def chain_of(params: Any, fork: Any) -> dict[str, str]:
        if params["epochs"] == 5:
            raise UserError("5 epochs are refused")
        return {"joint": "key"}

    study = book(tmp_path, first_points=[FIRST])
    asked = study.ask(chain_of)
    assert asked is not None and asked.number >= 1
    refused = read_study(study.path)[0]
    assert (refused.state, refused.attrs[REASON]) == ("FAIL", "5 epochs are refused")


def test_only_one_process_may_write(tmp_path: Path) -> None:
    first = book(tmp_path)
    with pytest.raises(SweepBusy, match=f"the sweep 'mine' is being run by process {os.getpid()} on "):
        book(tmp_path)
    first.close()
    book(tmp_path).close()


def test_resuming_with_another_search_is_refused_by_name(tmp_path: Path) -> None:
    book(tmp_path, identity={"seed": 1}).close()  # no trial was begun: nothing is lost
    study = book(tmp_path, identity={"search.gamma": [0, 2], "seed": 0})
    study.ask()
    study.close()
    book(tmp_path, identity={"seed": 0, "search.gamma": [0, 2]}).close()
    with pytest.raises(SweepMismatch) as caught:
        book(tmp_path, identity={"search.gamma": [0, 5], "seed": 0})
    assert "search.gamma was [0, 2] and is [0, 5]" in str(caught.value)
    assert "seed" not in str(caught.value)


# --- resuming ---------------------------------------------------------------------------------------------------------


def test_what_was_running_is_handed_out_again_under_its_own_number(tmp_path: Path) -> None:
    study = book(tmp_path, trials=3, first_points=[FIRST])
    asked = [study.ask(lambda params, fork: {"joint": "key"}) for _ in range(3)]
    study.tell(1, {"accuracy": 0.5, "gflops": 2.0})
    study.close()
    again = book(tmp_path, trials=3, first_points=[FIRST])
    assert not again.budget_is_used_up()
    assert [again.ask(lambda params, fork: {"joint": "key"}) for _ in range(2)] == [asked[0], asked[2]]
    assert again.ask() is None
    assert again.counts() == {"RUNNING": 2, "COMPLETE": 1, "PRUNED": 0, "FAIL": 0, "WAITING": 0}
    assert again.tell(0, {"accuracy": 0.5, "gflops": 2.0}) == "COMPLETE"


def test_a_queued_point_of_which_only_a_part_was_written_is_completed(tmp_path: Path) -> None:
    book(tmp_path, first_points=[FIRST]).close()
    lines = (tmp_path / "study.journal").read_bytes().splitlines(keepends=True)
    study = book(tmp_path, first_points=[FIRST])
    study.ask()
    study.close()
    whole = (tmp_path / "study.journal").read_bytes().splitlines(keepends=True)
    (tmp_path / "study.journal").write_bytes(b"".join(whole[: len(lines) + 2]))  # RUNNING, one parameter, killed
    again = book(tmp_path, first_points=[FIRST])
    asked = again.ask()
    assert asked is not None and (asked.number, asked.params) == (0, FIRST)
    again.tell(0, measured(asked.params))
    assert again._study.trials[0].params == FIRST


def test_a_half_written_line_and_a_stale_lock_are_mended(tmp_path: Path) -> None:
    study = book(tmp_path)
    study.ask()
    study.tell(0, {"accuracy": 0.5, "gflops": 2.0})
    study.close()
    with study.path.open("a") as file:
        file.write('{"op_code":4,"study')
    os.symlink(study.path, f"{study.path}.lock")
    started = time.monotonic()
    again = book(tmp_path)
    asked = again.ask()
    assert asked is not None and asked.number == 1
    assert time.monotonic() - started < 5  # Optuna would wait 30 s for the lock
    assert [trial.state for trial in read_study(again.path)] == ["COMPLETE", "RUNNING"]


CHILD = """
import sys
from pathlib import Path
from tests.search.spaces import book, measured
study = book(Path(sys.argv[1]), trials=400, sampler="random")
print("ready", flush=True)
while (asked := study.ask(lambda params, fork: {"joint": "key"})) is not None:
    study.tell(asked.number, measured(asked.params))
"""


@pytest.mark.kills
@pytest.mark.parametrize("delay_s", [0.0, 0.031, 0.083])
def test_a_killed_process_loses_nothing(tmp_path: Path, delay_s: float) -> None:
    child = subprocess.Popen([sys.executable, "-c", CHILD, str(tmp_path)], stdout=subprocess.PIPE)
    assert child.stdout is not None
    child.stdout.readline()
    time.sleep(delay_s)
    child.send_signal(signal.SIGKILL)
    child.wait()
    child.stdout.close()
    study = book(tmp_path, trials=400, sampler="random")
    before = read_study(study.path)
    running = [trial for trial in before if trial.state == "RUNNING"]
    assert len(running) <= 1
    assert all(trial.state == "COMPLETE" for trial in before if trial not in running)
    for trial in running:
        rerun = study.ask()
        assert rerun is not None and rerun.params == trial.params
    assert study.ask() is not None


# --- determinism ------------------------------------------------------------------------------------------------------


def run_out_of_order(study: StudyBook) -> None:
    """Three trials at a time, ended in an order of their own, some pruned, some failed."""
    running: list[Any] = []
    turn = 0
    while True:
        while len(running) < 3 and (asked := study.ask()) is not None:
            running.append(asked)
        if not running:
            return
        trial = running.pop(turn * 7 % len(running))
        state: Any = {4: "PRUNED", 5: "FAIL"}.get(turn % 6, "COMPLETE")
        study.tell(trial.number, measured(trial.params), state)
        turn += 1


@pytest.mark.parametrize("sampler", ["tpe", "random", "qmc", "nsga2"])
def test_each_proposal_can_be_replayed_from_what_was_known(tmp_path: Path, sampler: str) -> None:
    study = book(tmp_path, trials=30, sampler=sampler, first_points=[FIRST], constraints=[CHEAP])
    run_out_of_order(study)
    study.close()
    again = book(tmp_path, trials=30, sampler=sampler, first_points=[FIRST], constraints=[CHEAP])
    records = read_study(study.path)
    assert len(records) == 30
    assert again.ask_again(0) is None
    assert [again.ask_again(record.number) for record in records[1:]] == [record.params for record in records[1:]]


@pytest.mark.parametrize("sampler", ["tpe", "nsga2"])
def test_a_search_that_is_killed_and_resumed_between_trials_proposes_the_same(tmp_path: Path, sampler: str) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    whole = book(tmp_path / "a", trials=20, sampler=sampler)
    while (asked := whole.ask()) is not None:
        whole.tell(asked.number, measured(asked.params))
    for budget in (7, 13, 20):
        part = book(tmp_path / "b", trials=budget, sampler=sampler)
        while (asked := part.ask()) is not None:
            part.tell(asked.number, measured(asked.params))
        part.close()
    a, b = (read_study(tmp_path / side / "study.journal") for side in "ab")
    assert [trial.params for trial in a] == [trial.params for trial in b]


def strict(folder: Path, *, budget: int, deaths: tuple[int, ...], turn: int) -> list[Any]:
    """Three trials at a time, ended in an order that ``turn`` decides; the process dies after some of the endings."""
    ended = 0
    study = book(folder, trials=budget, lag=3)
    running: list[Any] = []
    while True:
        while len(running) < 3 and (asked := study.ask()) is not None:
            running.append(asked)
        if not running:
            study.close()
            return [(trial.number, trial.params, trial.values) for trial in read_study(study.path)]
        trial = running.pop(turn % len(running))
        study.tell(trial.number, measured(trial.params))
        ended += 1
        if ended in deaths:
            study.close()
            study, running = book(folder, trials=budget, lag=3), []


def test_in_strict_order_neither_the_order_of_endings_nor_deaths_change_the_search(tmp_path: Path) -> None:
    calm = strict(tmp_path / "a", budget=24, deaths=(), turn=0)
    assert len(calm) == 24
    assert strict(tmp_path / "b", budget=24, deaths=(), turn=2) == calm
    assert strict(tmp_path / "c", budget=24, deaths=(1, 5, 6, 17), turn=1) == calm


def test_another_seed_proposes_other_points(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    a, b = book(tmp_path / "a", seed=1).ask(), book(tmp_path / "b", seed=2).ask()
    assert a is not None and b is not None and a.params != b.params


def test_each_ask_records_what_it_knew(tmp_path: Path) -> None:
    study = book(tmp_path)
    for _ in range(3):
        study.ask()
    study.tell(1, {"accuracy": 0.5, "gflops": 2.0})
    study.ask()
    assert read_study(study.path)[3].attrs[KNEW] == {"trials": 3, "running": [0, 2]}


def test_a_trial_is_one_line_of_the_journal(tmp_path: Path) -> None:
    study = book(tmp_path)
    before = study.path.read_bytes().count(b"\n")
    study.ask()
    assert study.path.read_bytes().count(b"\n") == before + 1
    assert json.loads(study.path.read_text().splitlines()[-1])["params"].keys() == DIMENSIONS.keys()


def test_constraints_move_the_search_to_the_feasible_side(tmp_path: Path) -> None:
    """The objective pulls to x = 0, the constraint allows x >= 5 only: the best allowed point is x = 5."""

    def points(name: str, constraints: list[Constraint]) -> list[float]:
        (tmp_path / name).mkdir()
        one = {"search": {"x": Uniform(0, 10)}, "objectives": {"accuracy": "max"}, "constraints": constraints}
        study = book(tmp_path / name, trials=40, **one)
        found = []
        while (asked := study.ask()) is not None:
            x = float(asked.params["x"] or 0)
            found.append(x)
            study.tell(asked.number, {"accuracy": -x, "gflops": 10 - x})
        return found[-20:]

    constrained, free = points("constrained", [CHEAP]), points("free", [])
    assert sum(x >= 5 for x in free) <= 2
    assert sum(x >= 5 for x in constrained) >= 8
    assert 5 <= min(x for x in constrained if x >= 5) < 5.5
