"""Whole sweeps of the toy system through real Ray: Tune trials, queue actor, worker groups, store, study."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from benchmarks.processes import descendants
from explorer.browse import Front
from explorer.cli.app import run
from explorer.errors import SweepMismatch, UserError
from explorer.report.tables import front_table
from explorer.run.cluster import cluster
from explorer.run.events import Event, Kind
from explorer.run.status import sweep_status
from explorer.run.sweep import SweepResult, run_sweep
from explorer.search.book import StudyBook
from explorer.search.from_space import search_of
from explorer.search.reader import read_study, read_study_attrs
from explorer.spec.space import SearchSpace
from explorer.store import Store
from tests.run.sweeps import ROOT, Recorder, toy, wait_for_end

pytestmark = pytest.mark.ray

ONE_GROUP = "resources.groups=1"
HALF = "resources.cpus_per_worker=0.5"  # so that it fits a machine with one core


@pytest.fixture(scope="module", autouse=True)
def one_ray() -> Iterator[None]:
    """One cluster for the module, which its sweeps join: starting one takes longer than a toy sweep."""
    with cluster():
        yield


def completed(space: SearchSpace) -> dict[int, tuple[float, ...]]:
    trials = read_study(space.folder / "study.journal")
    return {t.number: t.values for t in trials if t.state == "COMPLETE" and t.values is not None}


@dataclass(frozen=True, kw_only=True)
class Finished:
    """A sweep of four trials that two worker groups have run."""

    space: SearchSpace
    recorder: Recorder
    result: SweepResult


@pytest.fixture(scope="module")
def finished(one_ray: None, tmp_path_factory: pytest.TempPathFactory) -> Finished:
    storage = tmp_path_factory.mktemp("finished")
    space = toy(storage, "budget.trials=4", "baselines=[unimodal]", "resources.groups=2", HALF)
    recorder = Recorder()

    def deaf(event: Event) -> None:
        raise RuntimeError("an observer's own trouble")

    result = run_sweep(space, observers=[Recorder(deaf), recorder])
    return Finished(space=space, recorder=recorder, result=result)


def test_sweep_trains_shared_stages_once_and_leaves_study_store_and_progress(finished: Finished) -> None:
    space, recorder = finished.space, finished.recorder
    assert (finished.result.state, finished.result.trials) == ("finished", {"complete": 4})
    started = Counter(event.stage for event in recorder.of(Kind.STAGE_STARTED))
    assert started == {"warmup": 1, "joint": 4, "finetune": 4, "unimodal.rgb": 1, "unimodal.audio": 1}
    assert [e.sequence for e in recorder.events] == list(range(1, len(recorder.events) + 1))
    store = Store(space.store_folder)
    trials = read_study(space.folder / "study.journal")
    keys = {key for trial in trials for key in trial.attrs["chain"].values()}
    baselines = read_study_attrs(space.folder / "study.journal")["baselines"]
    assert keys | set(baselines["unimodal"].values()) == set(store.keys())
    told = {
        e.trial: (e.data["values"]["accuracy"], e.data["values"]["gflops"]) for e in recorder.of(Kind.TRIAL_FINISHED)
    }
    assert told == completed(space)
    status = sweep_status(space.folder)
    assert (status.state, status.epochs_done, status.epochs_planned) == ("finished", 34, 34)
    assert not list(space.folder.glob(".scratch*"))


def test_finished_sweep_trains_nothing_and_a_larger_budget_continues_it(finished: Finished, tmp_path: Path) -> None:
    shutil.copytree(finished.space.storage, tmp_path, dirs_exist_ok=True)
    same, larger = (toy(tmp_path, f"budget.trials={n}", "baselines=[unimodal]", ONE_GROUP, HALF) for n in (4, 5))
    before = completed(same)
    idle, recorder = Recorder(), Recorder()
    assert run_sweep(same, observers=[idle]).trials == {"complete": 4}
    assert [event.kind for event in idle.events] == [Kind.SWEEP_STARTED, Kind.SWEEP_ENDED]
    run_sweep(larger, observers=[recorder])
    after = completed(same)
    assert len(after) == 5
    assert before.items() <= after.items()
    assert {e.stage for e in recorder.of(Kind.STAGE_STARTED)} == {"joint", "finetune"}
    assert "warmup" in {e.stage for e in recorder.of(Kind.STAGE_REUSED)}


def test_a_plateau_ends_a_sweep_whose_last_trials_added_nothing(finished: Finished, tmp_path: Path) -> None:
    shutil.copytree(finished.space.storage, tmp_path, dirs_exist_ok=True)
    space = toy(tmp_path, "budget={plateau: 1}", "baselines=[unimodal]", ONE_GROUP, HALF)
    with closing(StudyBook(space.folder / "study.journal", search_of(space))) as study:
        asked = study.ask()
        assert asked is not None
        study.tell(asked.number, {"accuracy": 0.0, "gflops": 1e3})
    recorder = Recorder()
    assert run_sweep(space, observers=[recorder]).trials == {"complete": 5}
    assert not recorder.of(
        Kind.TRIAL_STARTED
    )  # what the told trial's stages lack is trained, no further trial is asked


def test_changed_space_is_refused_by_the_name_of_what_changed(finished: Finished) -> None:
    with pytest.raises(SweepMismatch, match=r"seed was 0 and is 1"):
        run_sweep(finished.space.model_copy(update={"seed": 1}))


def test_killed_worker_costs_no_result_and_its_stage_goes_on_at_the_next_epoch(tmp_path: Path) -> None:
    space = toy(tmp_path, "budget.trials=2", "epoch_s=0.4", ONE_GROUP, HALF)
    killed: list[int] = []

    def kill(event: Event) -> None:
        if event.kind is Kind.STAGE_EPOCH and event.stage == "joint" and event.data["epoch"] == 1 and not killed:
            workers = [pid for pid, command in descendants(os.getpid()).items() if "RayTrainWorker" in command]
            killed.extend(workers)
            for pid in workers:
                os.kill(pid, signal.SIGKILL)

    recorder = Recorder(kill)
    result = run_sweep(space, observers=[recorder])

    assert killed
    assert result.trials == {"complete": 2}
    assert len(recorder.of(Kind.GROUP_LOST)) == 1
    assert [e.stage for e in recorder.of(Kind.STAGE_RETRIED)] == ["joint"]
    retried = recorder.of(Kind.STAGE_RETRIED)[0]
    epochs = [e.data["epoch"] for e in recorder.of(Kind.STAGE_EPOCH) if e.key == retried.key]
    assert epochs == [0, 1, 2, 3]
    again = [e for e in recorder.of(Kind.STAGE_EPOCH) if e.key == retried.key and e.sequence > retried.sequence]
    assert len(again) == 2, "the epochs before the kill must not be trained again"


def test_raising_trial_is_told_as_failed_with_its_reason_and_the_sweep_goes_on(tmp_path: Path) -> None:
    dropped = [
        f"search.{name}=null" for name in ("lambda.audio", "gamma", "temperature.initial", "temperature.anneal.decay")
    ]
    fault = ["fault.kind=raise", "fault.stage=joint", "fault.above_lambda_rgb=1.5"]
    space = toy(tmp_path, *dropped, *fault, "search.lambda.rgb={choice: [2, 1]}", "budget.trials=4", ONE_GROUP, HALF)
    recorder = Recorder()
    result = run_sweep(space, observers=[recorder])
    assert result.trials == {"complete": 1, "failed": 1}
    trials = {trial.params["lambda.rgb"]: trial for trial in read_study(space.folder / "study.journal")}
    assert trials[1].state == "COMPLETE"
    assert trials[2].attrs["reason"].startswith("stage joint failed: ")
    assert len(recorder.of(Kind.STAGE_RETRIED, "joint")) == 2
    assert "Traceback" in (space.folder / "errors.log").read_text()


def test_a_group_of_two_ranks_trains_every_stage_together(tmp_path: Path) -> None:
    space = toy(tmp_path, "budget.trials=1", "baselines=[]", "resources.workers=2", ONE_GROUP, HALF)
    result = run_sweep(space)
    assert result.trials == {"complete": 1}
    store = Store(space.store_folder)
    assert [store.stage_info(key)["provenance"]["ranks"] for key in store.keys()]  # noqa: SIM118 == [2, 2, 2]


def test_resources_that_do_not_fit_are_refused_before_anything_starts(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"resources\.groups must be at most"):
        run_sweep(toy(tmp_path, "resources.groups=1000"))
    assert sweep_status(tmp_path / "toy").state == "interrupted"
    with pytest.raises(UserError, match=r"needs .* 64 GPU"):
        run_sweep(toy(tmp_path, "resources.gpus_per_worker=64"))
    with pytest.raises(UserError, match=r"resources: a worker group needs"):
        run_sweep(toy(tmp_path, "resources.workers=1000"))


def test_a_killed_sweep_is_finished_by_running_it_again(tmp_path: Path) -> None:
    overrides = ["budget.trials=6", "epoch_s=0.15", ONE_GROUP, HALF]
    space = toy(tmp_path, *overrides)
    children = _killed_at([sys.executable, "-c", _DRIVER, str(tmp_path), *overrides], "1 trials")
    first = completed(space)
    wait_for_end({pid: name for pid, name in children.items() if "RayTrainWorker" in name}, seconds=30)
    assert sweep_status(space.folder).state == "killed"

    recorder = Recorder()
    result = run_sweep(space, observers=[recorder])
    final = completed(space)
    assert result.trials == {"complete": 6}
    assert 1 <= len(first) < 6 and first.items() <= final.items()
    trials = [trial for trial in read_study(space.folder / "study.journal") if trial.number in first]
    done_before = {key for trial in trials for key in trial.attrs["chain"].values()}
    assert not done_before & {event.key for event in recorder.of(Kind.STAGE_STARTED)}
    assert not list(space.folder.glob(".scratch*"))


_DRIVER = """
import sys
from pathlib import Path
from explorer.run.events import Kind
from explorer.run.sweep import SweepResult, run_sweep
from tests.run.sweeps import ROOT, Recorder, toy, wait_for_end

finished = 0
def tell(event):
    global finished
    finished += event.kind is Kind.TRIAL_FINISHED
    print(finished, "trials", flush=True)

run_sweep(toy(Path(sys.argv[1]), *sys.argv[2:]), observers=[Recorder(tell)])
"""


def _killed_at(command: list[str], line: str) -> dict[int, str]:
    """Run a driver, kill it as soon as it prints ``line``; the processes that it had started."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env=environment, start_new_session=True
    ) as driver:
        assert driver.stdout is not None
        for printed in driver.stdout:
            if printed.strip() == line:
                break
        children = descendants(driver.pid)
        assert children, "the driver ended before its time"
        driver.kill()
        driver.stdout.read()
    return children


def test_trials_of_the_front_are_repeated_with_further_seeds_and_the_front_tells_them(tmp_path: Path) -> None:
    space = toy(tmp_path, "budget.trials=2", ONE_GROUP, HALF)
    with pytest.raises(UserError, match="--repeat-front needs a front"):
        run_sweep(space, further_seeds=1)
    run_sweep(space)
    before = Front.load(space.folder)
    trials = {point.trial for point in before.points}
    recorder = Recorder()
    assert run_sweep(space, observers=[recorder], further_seeds=2).trials == {"complete": 2}
    ended = {event.data["name"] for event in recorder.of(Kind.CHAIN_FINISHED)}
    assert ended == {f"trial {trial}, seed {seed}" for trial in trials for seed in (1, 2)}

    front = Front.load(space.folder)
    assert [p.identity for p in front.points] == [p.identity for p in before.points], "what is repeated is not searched"
    found = [repeats for point in front.points if (repeats := front.repeats(point)) is not None]
    assert found and all({*repeats.seeds, *repeats.missing} == {1, 2} for repeats in found)
    assert "further seeds" in capture(front)

    again = Recorder()
    run_sweep(space, observers=[again])
    assert not again.of(Kind.STAGE_STARTED), "they are kept, and not trained again"
    assert Front.load(space.folder).record.repeats.keys() == ended


def test_several_search_spaces_are_swept_in_turn_and_make_one_front(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("first", "second"):
        small = toy(tmp_path, f"name={name}", "budget.trials=1", ONE_GROUP, HALF)
        (tmp_path / f"{name}.yaml").write_text(small.to_yaml())
    files = [str(tmp_path / "first.yaml"), str(tmp_path / "second.yaml")]
    assert run(["sweep", files[0], files[0]]) == 2
    assert "each search space needs a name of its own, got first, first" in capsys.readouterr().err

    assert run(["sweep", *files]) == 0
    assert f"explorer front {tmp_path / 'first'} {tmp_path / 'second'}" in capsys.readouterr().out
    folders = [str(tmp_path / "first"), str(tmp_path / "second")]
    assert run(["front", *folders, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [sweep["sweep"] for sweep in told["sweeps"]] == ["first", "second"]
    assert {point["sweep"] for point in told["front"]} <= {"first", "second"} and told["front"]
    assert run(["front", *folders]) == 0
    assert "One front of all" in capsys.readouterr().out


def capture(front: Front) -> str:
    console = Console(width=200, file=StringIO())
    console.print(front_table(front, width=200))
    return console.file.getvalue()  # type: ignore[attr-defined]
