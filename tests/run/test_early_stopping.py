"""Early stopping through real Ray: trials pause at rungs, the best go on, and nothing tells that a promoted one was ever paused."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from explorer.browse import Front
from explorer.execute import execute
from explorer.run.cluster import cluster
from explorer.run.events import Event, Kind
from explorer.run.status import sweep_status
from explorer.run.stopping import request_stop
from explorer.run.sweep import SweepResult, run_sweep
from explorer.search.reader import TrialRecord, read_study
from explorer.spec.plan import chain
from explorer.spec.space import SearchSpace
from explorer.store import Store
from tests.run.sweeps import Recorder, toy

pytestmark = pytest.mark.ray

STOPPING = (
    "early_stopping={reduction_factor: 2, grace_epochs: 2}",
    "stages.joint.epochs=4",  # rungs: two epochs, and the end of the stage
    "stages.joint.lr=0.2",  # so slow that its last epochs still matter
    "budget.trials=6",
    "resources.cpus_per_worker=0.5",
)
STRICT = (*STOPPING, "order=strict", "resources.groups=1")  # cohorts of four: trials 0 to 3, 4 and 5


@pytest.fixture(scope="module", autouse=True)
def one_ray() -> Iterator[None]:
    with cluster():
        yield


def trials_of(space: SearchSpace) -> list[TrialRecord]:
    return read_study(space.folder / "study.journal")


@dataclass(frozen=True, kw_only=True)
class Stopped:
    """A strict sweep, and its storage as a kill would have left it when the third trial paused."""

    space: SearchSpace
    recorder: Recorder
    result: SweepResult
    killed: Path


@pytest.fixture(scope="module")
def stopped(one_ray: None, tmp_path_factory: pytest.TempPathFactory) -> Stopped:
    storage, killed = tmp_path_factory.mktemp("stopped"), tmp_path_factory.mktemp("killed")
    space = toy(storage, *STRICT)
    paused: list[int | None] = []

    def copy(event: Event) -> None:
        if event.kind is Kind.TRIAL_PAUSED:
            paused.append(event.trial)
            if len(paused) == 3:
                shutil.copytree(storage, killed, dirs_exist_ok=True, ignore=shutil.ignore_patterns(".scratch*"))

    recorder = Recorder(copy)
    return Stopped(space=space, recorder=recorder, result=run_sweep(space, observers=[recorder]), killed=killed)


def test_the_best_half_of_each_cohort_goes_on_at_each_rung_and_the_rest_is_pruned_with_its_reason(stopped: Stopped) -> None:
    assert stopped.result.trials == {"complete": 2, "pruned": 4}
    trials = trials_of(stopped.space)
    cohorts = [[t for t in trials if t.number in numbers] for numbers in (range(4), range(4, 6))]
    for cohort, at_the_end in zip(cohorts, (2, 1), strict=True):
        assert all("joint:2" in trial.attrs["rungs"] for trial in cohort)
        assert sum("joint" in trial.attrs["rungs"] for trial in cohort) == at_the_end
        assert sum(trial.state == "COMPLETE" for trial in cohort) == 1
    for trial in trials:
        if trial.state == "PRUNED":
            assert trial.values is None
            assert "stopped early at" in trial.attrs["reason"]
    assert stopped.recorder.of(Kind.TRIAL_PRUNED)[0].data["reason"].startswith("stopped early at epoch 2 of stage joint")


def test_what_is_pruned_costs_no_further_epoch_and_is_counted_as_what_it_is(stopped: Stopped) -> None:
    epochs = Counter(event.stage for event in stopped.recorder.of(Kind.STAGE_EPOCH))
    assert epochs == {"warmup": 2, "joint": 6 * 2 + 3 * 2, "finetune": 2 * 2}
    status = sweep_status(stopped.space.folder)
    assert status.trials == {"complete": 2, "pruned": 4}
    assert (status.epochs_done, status.epochs_planned) == (24, 24)
    assert not list(Path(stopped.space.store_folder).rglob("resume.pt")), "what it had trained takes no room any more"


def test_a_pruned_trial_is_not_on_the_front(stopped: Stopped) -> None:
    complete = {trial.number for trial in trials_of(stopped.space) if trial.state == "COMPLETE"}
    front = Front.load(stopped.space.folder)
    assert {point.trial for point in front.candidates} == complete
    assert front.points


def test_a_trial_that_was_paused_and_promoted_has_the_bits_of_one_that_never_was(stopped: Stopped, tmp_path: Path) -> None:
    store, apart = Store(stopped.space.store_folder), Store(tmp_path)
    for trial in trials_of(stopped.space):
        if trial.state != "COMPLETE":
            continue
        assert [rung["standing"] for rung in trial.attrs["rungs"].values()] == ["promoted", "promoted"]
        jobs = chain(stopped.space, trial.params)
        for job in jobs:
            execute(job, store=apart, cache=tmp_path, on_epoch=lambda report: True)
        files = {job.stage: written(store.path(job.key)) for job in jobs}
        assert files == {job.stage: written(apart.path(job.key)) for job in jobs}
        assert len(stopped.recorder.of(Kind.STAGE_STARTED, "joint")) == 6 + 3, "the joint stage was begun twice"


def written(folder: Path) -> dict[str, bytes]:
    """Weights, tables and points; not the times and the machine in ``stage.json``."""
    told = ("stage.json", "checksums.json")
    return {str(f.relative_to(folder)): f.read_bytes() for f in folder.rglob("*") if f.is_file() and f.name not in told}


def test_a_sweep_that_was_killed_while_trials_were_paused_ends_as_if_it_had_not_been(stopped: Stopped) -> None:
    space = toy(stopped.killed, *STRICT)
    paused = sweep_status(space.folder).trials
    assert paused["paused"] == 3
    recorder = Recorder()
    assert run_sweep(space, observers=[recorder]).trials == {"complete": 2, "pruned": 4}

    def ends(of: SearchSpace) -> list[tuple[object, ...]]:
        return [(t.number, t.params, t.values, t.state, t.attrs["rungs"]) for t in trials_of(of)]

    assert ends(space) == ends(stopped.space)
    front, before = Front.load(space.folder), Front.load(stopped.space.folder)
    assert [p.point_id for p in front.points] == [p.point_id for p in before.points]
    assert len(recorder.of(Kind.STAGE_EPOCH, "joint")) < len(stopped.recorder.of(Kind.STAGE_EPOCH, "joint"))


def test_in_free_order_trials_are_promoted_as_they_come_and_an_interrupted_sweep_goes_on(tmp_path: Path) -> None:
    space = toy(tmp_path, *STOPPING, "resources.groups=1")

    def interrupt(event: Event) -> None:
        if event.kind is Kind.TRIAL_PROMOTED:
            request_stop(space.folder)

    assert run_sweep(space, observers=[Recorder(interrupt)]).state == "interrupted"
    recorder = Recorder()
    result = run_sweep(space, observers=[recorder])
    assert result.state == "finished"
    assert set(result.trials) == {"complete", "pruned"}
    assert sum(result.trials.values()) == 6
    ended = Counter(e.trial for kind in (Kind.TRIAL_FINISHED, Kind.TRIAL_PRUNED) for e in recorder.of(kind))
    assert max(ended.values()) == 1
    keys = [event.key for event in recorder.of(Kind.STAGE_FINISHED)]
    assert len(keys) == len(set(keys))
