"""What a sweep survives: processes of every kind killed with SIGKILL, and bad jobs."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.chaos import front_of
from benchmarks.processes import descendants
from explorer.errors import SweepFailed
from explorer.run.cluster import cluster
from explorer.run.events import Event, Kind
from explorer.run.kept import kept
from explorer.run.status import sweep_status
from explorer.run.stopping import request_stop
from explorer.run.sweep import run_sweep
from explorer.search.reader import read_study
from explorer.store import Store
from explorer.submit import resume_space
from tests.run.sweeps import Recorder, toy

pytestmark = pytest.mark.ray

TWO_GROUPS = ("resources.groups=2", "resources.cpus_per_worker=0.4")


@pytest.fixture(scope="module", autouse=True)
def one_ray() -> Iterator[None]:
    with cluster():
        yield


def kill(part: str) -> int:
    """SIGKILL to this process's descendants with ``part`` in their name; how many there were."""
    found = [pid for pid, command in descendants(os.getpid()).items() if part in command]
    for pid in found:
        os.kill(pid, signal.SIGKILL)
    return len(found)


def test_killed_queue_controllers_and_worker_cost_no_trial_no_finished_epoch_and_change_no_front(
    tmp_path: Path,
) -> None:
    fields = ["budget.trials=4", "baselines=[unimodal]", "order=strict", "epoch_s=0.2", *TWO_GROUPS]
    space = toy(tmp_path / "killed", *fields)
    killed: dict[str, int] = {}

    def interfere(event: Event) -> None:
        if event.kind is Kind.STAGE_EPOCH and event.stage == "joint":
            if "queue" not in killed:
                killed["queue"] = kill("QueueActor")
            elif event.data["epoch"] == 2 and "controller" not in killed:
                killed["controller"] = kill("TrainController")
        if event.kind is Kind.STAGE_EPOCH and event.stage == "finetune" and "worker" not in killed:
            killed["worker"] = kill("RayTrainWorker")

    recorder = Recorder(interfere)
    result = run_sweep(space, observers=[recorder])
    assert killed.keys() == {"queue", "controller", "worker"}
    assert (killed["queue"], killed["controller"]) == (1, 2) and killed["worker"] >= 1
    assert result.trials == {"complete": 4}
    assert [e.sequence for e in recorder.events] == sorted({e.sequence for e in recorder.events})
    told = [(e.key, e.data["epoch"]) for e in recorder.of(Kind.STAGE_EPOCH)]
    assert len(told) == len(set(told)) == 34
    finished = [e.key for e in recorder.of(Kind.STAGE_FINISHED)]
    assert len(finished) == len(set(finished)) == 11
    assert not list(space.folder.glob(".scratch*"))
    assert not list((space.store_folder / ".work").glob("*/*"))
    calm = toy(tmp_path / "calm", *fields)
    run_sweep(calm)
    assert front_of(space.folder) == front_of(calm.folder)


def test_a_stopped_sweep_says_what_it_keeps_and_goes_on_with_more_trials(tmp_path: Path) -> None:
    space = toy(tmp_path, "budget.trials=3", "epoch_s=0.3", *TWO_GROUPS)
    begun: list[int] = []

    def stop(event: Event) -> None:
        if event.kind is Kind.STAGE_EPOCH and event.stage == "joint" and not begun:
            begun.append(event.data["epoch"])
            request_stop(space.folder)

    assert run_sweep(space, observers=[Recorder(stop)]).state == "interrupted"
    found = kept(space)
    assert (found.trials["unfinished"], found.to_come) == (2, 1)
    assert found.half_trained and all(done >= 1 for _, done, _ in found.half_trained)
    assert sweep_status(space.folder).trials["interrupted"] == 2
    damaged = next(Store(space.store_folder).root.glob("[!.]*/weights.safetensors"), None) or next(
        Store(space.store_folder).root.glob("[!.]*/**/*.safetensors")
    )
    damaged.write_bytes(damaged.read_bytes()[:-1])
    assert kept(space).damaged == ("warmup",)

    more = resume_space(space.folder, more_trials=1)
    assert more.budget.trials == 4
    recorder = Recorder()
    assert run_sweep(more, observers=[recorder]).trials == {"complete": 4}
    assert [trial.number for trial in read_study(space.folder / "study.journal")] == [0, 1, 2, 3]
    assert len(recorder.of(Kind.STAGE_STARTED, "warmup")) == 1
    again = {(e.key, e.data["epoch"]) for e in recorder.of(Kind.STAGE_EPOCH, "joint")}
    assert len(again) < 16, "half-trained stages begin where they stopped"


def test_bad_trials_fail_with_their_reason_and_values_and_the_sweep_goes_on(tmp_path: Path) -> None:
    names = ("lambda.audio", "gamma", "temperature.initial", "temperature.anneal.decay")
    searched = [*(f"search.{name}=null" for name in names), "search.lambda.rgb={choice: [2, 1]}"]
    space = toy(tmp_path, *searched, "fault.kind=memory", "fault.above_lambda_rgb=1.5", "budget.trials=4", *TWO_GROUPS)
    recorder = Recorder()
    assert run_sweep(space, observers=[recorder]).trials == {"complete": 1, "failed": 1}
    (error,) = sweep_status(space.folder).errors
    assert error.parameters == {"lambda.rgb": 2}
    assert "MemoryError" in error.error and "given up after 3 attempts" in error.error
    assert len(recorder.of(Kind.GROUP_LOST)) == 3, "a process that ran out of memory is not used again"


def test_a_full_disk_stops_the_sweep_and_costs_no_trial(tmp_path: Path) -> None:
    fault = ["fault.kind=disk_full", "fault.stage=joint"]
    space = toy(tmp_path, *fault, "budget.trials=2", *TWO_GROUPS)
    with pytest.raises(SweepFailed, match=r"no space left .* make room, then: explorer resume"):
        run_sweep(space)
    assert {trial.state for trial in read_study(space.folder / "study.journal")} == {"RUNNING"}
