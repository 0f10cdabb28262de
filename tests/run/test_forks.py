"""Trials aimed at gaps of the front and forked from a neighbour, through real Ray."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from explorer.browse import Front
from explorer.execute import execute
from explorer.report.tables import front_table
from explorer.run.cluster import cluster
from explorer.run.events import Event, Kind
from explorer.run.ledger import Ledger
from explorer.run.news import LOG_FILE
from explorer.run.status import sweep_status
from explorer.run.sweep import run_sweep
from explorer.search.reader import TrialRecord, read_study
from explorer.spec.fork import FORK
from explorer.spec.space import SearchSpace
from explorer.store import Store
from tests.run.sweeps import Recorder, toy
from tests.run.test_early_stopping import written

pytestmark = pytest.mark.ray

FILLING = (
    "fill_gaps={after: 3, fork: 0.5}",
    "stages.joint={epochs: 4, lr: 0.3}",
    "budget.trials=8",
    "order=strict",
    "resources={groups: 1, cpus_per_worker: 0.5}",
)


@pytest.fixture(scope="module", autouse=True)
def one_ray() -> Iterator[None]:
    with cluster():
        yield


def trials_of(space: SearchSpace) -> list[TrialRecord]:
    return read_study(space.folder / "study.journal")


@dataclass(frozen=True, kw_only=True)
class Filled:
    """A sweep with forks, and its storage as a kill would have left it when the first fork had begun."""

    space: SearchSpace
    recorder: Recorder
    killed: Path

    @property
    def forks(self) -> list[TrialRecord]:
        return [trial for trial in trials_of(self.space) if trial.fork is not None]


@pytest.fixture(scope="module")
def filled(one_ray: None, tmp_path_factory: pytest.TempPathFactory) -> Filled:
    storage, killed = tmp_path_factory.mktemp("filled"), tmp_path_factory.mktemp("killed")
    forked: list[int | None] = []

    def copy(event: Event) -> None:
        if event.kind is Kind.TRIAL_STARTED and FORK in event.data:
            forked.append(event.trial)
            if len(forked) == 1:
                shutil.copytree(storage, killed, dirs_exist_ok=True, ignore=shutil.ignore_patterns(".scratch*"))

    space, recorder = toy(storage, *FILLING), Recorder(copy)
    assert run_sweep(space, observers=[recorder]).trials == {"complete": 8}
    assert forked, "no trial was forked"
    return Filled(space=space, recorder=recorder, killed=killed)


def test_every_second_trial_lies_between_its_neighbours_and_has_its_parents_other_parameters(filled: Filled) -> None:
    trials = {trial.number: trial for trial in trials_of(filled.space)}
    aimed = [number for number, trial in trials.items() if "aim" in trial.attrs]
    assert aimed == [trial.number for trial in filled.forks]
    assert set(aimed) <= {3, 5, 7}
    for trial in filled.forks:
        parent = trials[trial.fork.trial]
        assert dict(trial.fork.params) == dict(parent.params)
        assert parent.fork is None
        differs = {path for path, value in trial.params.items() if value != parent.params[path]}
        assert differs <= {"lambda.rgb", "lambda.audio"}
        assert dict(trial.attrs["aim"]["weights"]) == {
            path: trial.params[path] for path in ("lambda.rgb", "lambda.audio")
        }


def test_a_fork_trains_a_share_of_the_joint_stage_from_its_parents_checkpoint(filled: Filled) -> None:
    store = Store(filled.space.store_folder)
    chains = {trial.number: trial.attrs["chain"] for trial in trials_of(filled.space)}
    for trial in filled.forks:
        joint = store.stage_info(chains[trial.number]["joint"])
        assert joint["parents"] == {"joint": chains[trial.fork.trial]["joint"]}
        assert joint["epochs"] == 2
        assert store.stage_info(chains[trial.number]["finetune"])["parents"] == {"joint": joint["key"]}
    trained = filled.recorder.of(Kind.STAGE_EPOCH, "joint")
    assert len(trained) == 4 * (8 - len(filled.forks)) + 2 * len(filled.forks)


def test_what_a_fork_reached_is_its_own_and_not_its_parents(filled: Filled) -> None:
    candidates = Front.load(filled.space.folder).candidates
    for trial in filled.forks:
        own = {(p.val.accuracy, p.val.gflops["full"]) for p in candidates if p.trial == trial.number}
        reached = trial.attrs["reached"]
        assert set(zip(reached["accuracy_P"], reached["gflops_P"], strict=True)) <= own


def test_the_ledger_counts_what_forks_take_and_no_parent_twice(filled: Filled) -> None:
    trials = trials_of(filled.space)
    forks = len(filled.forks)
    taken = 2 + 8 * (8 - forks) + 4 * forks + 2 * 8  # warm-up; joint, two passes an epoch; fine-tuning
    for limit, spent in ((taken, True), (taken + 1, False)):
        space = toy(Path(filled.space.storage), *FILLING, f"budget.passes={limit}")
        ledger = Ledger.open(space, {}, trials)
        assert ledger.passes_are_spent((t.number, t.state, t.attrs) for t in trials) is spent


def test_where_a_point_comes_from_shows_where_one_is_picked(filled: Filled) -> None:
    parents = {trial.number: trial.fork.trial for trial in filled.forks}
    front = Front.load(filled.space.folder)
    told = [point for point in front.candidates if point.forked_from is not None]
    assert {point.trial: point.forked_from for point in told} == parents
    assert f"(forked from trial {told[0].forked_from})" in told[0].label
    assert all(point["forked_from"] == parents.get(point["trial"]) for point in front.to_json()["points"])
    cells = [str(cell) for cell in front_table(front).columns[1].cells]
    assert {cell for cell in cells if "<" in cell} == {
        f"{p.trial} < {p.forked_from}" for p in front.points if p in told
    }
    aimed = sweep_status(filled.space.folder).aimed
    assert {trial.trial: trial.forked_from for trial in aimed} == parents
    log = (filled.space.folder / LOG_FILE).read_text()
    for trial, parent in parents.items():
        assert f"trial {trial} is aimed at the gap between trial " in log
        assert f", forked from trial {parent}" in log


def test_killed_while_a_fork_began_and_with_its_parents_checkpoint_gone_the_front_is_the_same(filled: Filled) -> None:
    space = toy(filled.killed, *FILLING)
    (begun,) = [trial for trial in trials_of(space) if trial.state == "RUNNING"]
    parent = next(trial for trial in trials_of(space) if trial.number == begun.fork.trial)
    shutil.rmtree(space.store_folder / parent.attrs["chain"]["joint"])
    run_sweep(space)

    def ends(of: SearchSpace) -> list[tuple[object, ...]]:
        return [(t.number, t.params, t.fork, t.values, t.state, t.attrs["chain"]) for t in trials_of(of)]

    assert ends(space) == ends(filled.space)
    front, before = Front.load(space.folder), Front.load(filled.space.folder)
    assert [p.point_id for p in front.points] == [p.point_id for p in before.points]


def test_a_fork_whose_checkpoint_and_parent_are_gone_is_trained_again_with_the_same_bits(filled: Filled) -> None:
    space, store, trial = filled.space, Store(filled.space.store_folder), filled.forks[-1]
    trials = trials_of(space)
    own, parents = trial.attrs["chain"]["joint"], trials[trial.fork.trial].attrs["chain"]["joint"]
    before = written(store.path(own))
    for key in (own, parents):
        shutil.rmtree(store.root / key)
    repairs = Ledger.open(space, {}, trials).repairs(trials, store)  # what a sweep that goes on asks its queue for
    assert {f"repair of trial {trial.number}", f"repair of trial {trial.fork.trial}"} <= repairs.keys()
    for job in repairs[f"repair of trial {trial.number}"]:
        execute(job, store=store, cache=space.cache_folder, on_epoch=lambda report: True)
    assert store.has(parents)
    assert written(store.path(own)) == before


def test_with_early_stopping_a_fork_passes_the_rungs_inside_its_stage_and_is_compared_at_its_end(
    tmp_path: Path,
) -> None:
    space = toy(
        tmp_path,
        *FILLING,
        "fill_gaps={after: 2, every: 1, fork: 0.5}",
        "early_stopping={reduction_factor: 2, grace_epochs: 2}",  # cohorts of four, of which one reaches the end
        "budget.trials=12",
    )
    result = run_sweep(space)
    assert result.state == "finished"
    assert sum(result.trials.values()) == 12
    forks = [trial for trial in trials_of(space) if trial.fork is not None]
    assert forks
    assert all(trial.number >= 8 for trial in forks)
    for trial in forks:
        standings = {rung: arrival["standing"] for rung, arrival in trial.attrs["rungs"].items()}
        assert standings["joint:2"] == "passed"
        assert standings["joint"] in ("paused", "promoted")
