"""The tracker against a real SQLite store: the tree of runs, truthful ends, and going on after a kill."""

import collections
import dataclasses
import json
import logging
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
import urllib.request
from contextlib import closing
from pathlib import Path

import pytest
from mlflow import MlflowClient

from explorer.api import Front
from explorer.errors import UserError
from explorer.report.trade_offs import sentences
from explorer.run.events import Event, Kind
from explorer.search.aim import AIM, Aim, Side
from explorer.spec.fork import FORK
from explorer.tracking import MlflowTracker
from explorer.tracking.columns import VIEW_TAG, table_page
from explorer.tracking.projection import Projection
from explorer.tracking.runs import Runs
from explorer.tracking.server import serve
from explorer.tracking.where import sweep_id, tracking_uri, without_password, without_user
from tests.report.real_sweep import RealSweep, toy_space, train_real_sweep

ROOT = Path(__file__).parents[2]


class Tree:
    """What a tracking store holds of a sweep."""

    def __init__(self, uri: str, name: str = "toy-sweep") -> None:
        self.client = MlflowClient(tracking_uri=uri)
        self.experiment = self.client.get_experiment_by_name(name)
        self.runs = self.client.search_runs([self.experiment.experiment_id], max_results=1000)

    def of(self, role: str) -> list:
        return [run for run in self.runs if run.data.tags["explorer.role"] == role]

    @property
    def parent(self):
        (run,) = self.of("sweep")
        return run

    @property
    def trials(self) -> dict:
        found = {int(run.data.tags["trial_id"]): run for run in self.of("trial")}
        assert len(found) == len(self.of("trial")), "a trial has two runs"
        return found

    @property
    def stages(self) -> dict:
        found = {run.data.tags["stage"]: run for run in self.of("stage")}
        assert len(found) == len(self.of("stage")), "a stage has two runs"
        return found

    def statuses(self, role: str) -> dict[str, int]:
        return dict(collections.Counter(run.info.status for run in self.of(role)))

    def steps(self, run, metric: str) -> list[int]:
        return [entry.step for entry in self.client.get_metric_history(run.info.run_id, metric)]


def run_sweep(space, tracker) -> None:
    sweep = RealSweep(space, tracker.on_event)
    sweep.start()
    sweep.baselines()
    while sweep.trial():
        pass
    sweep.end()


def track(space) -> Tree:
    """Run the whole sweep and track it."""
    tracker = MlflowTracker(space)
    run_sweep(space, tracker)
    assert tracker.close()
    return Tree(tracker.uri)


@pytest.fixture(scope="module")
def finished(finished_space) -> Tree:
    return track(finished_space)


# --- the tree ---------------------------------------------------------------------------------------------------------


def test_finished_sweep_is_a_parent_with_shared_stages_and_trials_below_it(finished):
    tree = finished
    assert set(tree.trials) == {0, 1, 2}
    assert set(tree.stages) == {"warmup", "unimodal.rgb", "unimodal.audio", "weighted_fusion"}
    children = [*tree.trials.values(), *tree.stages.values()]
    assert {run.data.tags["mlflow.parentRunId"] for run in children} == {tree.parent.info.run_id}
    assert {run.data.tags["sweep"] for run in tree.runs} == {"toy-sweep"}
    assert {run.info.status for run in tree.runs} == {"FINISHED"}
    assert {run.data.tags["trial.state"] for run in tree.trials.values()} == {"complete"}


def test_trials_show_parameters_values_and_every_epoch_of_their_own_stages(finished, finished_space):
    tree = finished
    front = Front.load(finished_space.folder)
    by_trial = {point.trial: point.parameters for point in front.candidates}
    for number, run in tree.trials.items():
        assert run.data.params == {name: str(value) for name, value in by_trial[number].items()}
        assert tree.steps(run, "joint/val.accuracy") == [0, 1, 2, 3]
        assert tree.steps(run, "finetune/recognition.loss") == [0, 1]
        default = next(p for p in front.candidates if p.trial == number and p.point.stage == "finetune")
        assert run.data.metrics["accuracy"] == pytest.approx(default.val.accuracy)
        assert run.data.metrics["gflops"] == pytest.approx(default.val.gflops["full"])


def test_shared_stage_shows_its_epochs_once_in_its_own_run(finished):
    tree = finished
    assert tree.steps(tree.stages["warmup"], "recognition.loss") == [0, 1]
    assert tree.stages["weighted_fusion"].data.tags["baseline"] == "weighted_fusion"
    assert tree.stages["weighted_fusion"].data.metrics["gflops"] == pytest.approx(0.66)


def test_parent_gets_front_hypervolume_and_description(finished, finished_space):
    tree = finished
    front = Front.load(finished_space.folder)
    assert tree.parent.data.metrics["hypervolume"] == pytest.approx(front.hypervolume)
    assert tree.steps(tree.parent, "hypervolume") == [1, 2, 3]
    artifacts = {Path(item.path).name for item in tree.client.list_artifacts(tree.parent.info.run_id)}
    assert artifacts == {"front.html", "front.json", "front.csv"}
    stored = Path(tree.client.download_artifacts(tree.parent.info.run_id, "front.json"))
    assert json.loads(stored.read_text()) == front.to_json()
    # beside the database, not below the working folder
    assert tree.experiment.artifact_location == (finished_space.folder / "mlflow").as_uri()
    assert "explorer pick" in tree.parent.data.tags["mlflow.note.content"]
    assert tree.parent.data.params["search.lambda.rgb"] == '{"log": [0.05, 4.0]}'
    members = {point.trial for point in front.points}
    assert {n for n, run in tree.trials.items() if run.data.tags.get("front") == "yes"} == members


def test_description_says_the_best_trade_offs_one_sentence_each(finished, finished_space):
    note = finished.parent.data.tags["mlflow.note.content"]
    said = sentences(Front.load(finished_space.folder))
    assert said and all(f"- {sentence}\n" in note for sentence in said)


def test_every_run_names_the_data_set_with_its_digest(finished, finished_space):
    digest = finished_space.load_system().data_fingerprint(finished_space.base_config())
    for run in finished.runs:
        (found,) = run.inputs.dataset_inputs
        assert found.dataset.digest == digest
        assert json.loads(found.dataset.profile)["videos"] == {"train": 48, "val": 64, "test": 64}


def test_parent_says_who_ran_what_and_how_busy_the_machine_was(finished):
    tags = finished.parent.data.tags
    commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False).stdout
    assert tags.get("mlflow.source.git.commit", "") == commit.strip()
    assert tags["mlflow.source.type"] == "LOCAL" and tags["mlflow.user"]
    assert finished.parent.data.metrics["system/cpu_utilization_percentage"] >= 0


def test_trials_have_the_columns_that_a_person_wants_first(finished):
    for run in [*finished.trials.values(), finished.stages["weighted_fusion"]]:
        columns = {
            "accuracy",
            "accuracy.standard_error",
            "gflops",
            "gflops.paper",
            "gflops.share_of_all_on",
            "rate.rgb",
        }
        assert columns <= run.data.metrics.keys()
    assert finished.stages["weighted_fusion"].data.metrics["gflops.share_of_all_on"] == pytest.approx(1)


def test_the_fronts_checkpoints_are_models_and_those_of_an_older_front_say_that_they_left_it(space):
    first = track(space)
    front = Front.load(space.folder)
    models = first.client.search_logged_models([first.experiment.experiment_id])
    assert {m.tags["checkpoint"] for m in models} == {f"{p.point.key}/{p.point.epoch}" for p in front.points}
    larger = toy_space(Path(space.storage), budget={"trials": 6})
    second = track(larger)
    after = {f"{p.point.key}/{p.point.epoch}" for p in Front.load(space.folder).points}
    models = second.client.search_logged_models([second.experiment.experiment_id])
    assert len({m.tags["checkpoint"] for m in models}) == len(models)
    assert {m.tags["checkpoint"] for m in models if m.tags["front"] == "yes"} == after


def test_constructing_and_telling_do_not_wait_for_the_database(space, monkeypatch):
    open_now = threading.Event()

    class SlowRuns(Runs):
        def __init__(self, **fields):
            assert open_now.wait(60)
            super().__init__(**fields)

    monkeypatch.setattr("explorer.tracking.tracker.Runs", SlowRuns)
    tracker = MlflowTracker(space)
    for number in range(100):
        tracker.on_event(Event(sequence=number + 1, time=time.time(), kind=Kind.GROUP_STARTED))
    open_now.set()  # had anything above waited, this line would not have been reached in time
    assert tracker.close()


# --- truthful ends ----------------------------------------------------------------------------------------------------


def test_failed_trial_is_failed_with_its_error_and_the_sweep_is_not(space):
    tracker = MlflowTracker(space)
    sweep = RealSweep(space, tracker.on_event)
    sweep.start()
    number, params, jobs = sweep.begin_trial()
    sweep.train(jobs[:1])
    chain = {job.stage: job.key for job in jobs}
    sweep.tell(
        Kind.TRIAL_FAILED,
        trial=number,
        data={"params": params, "chain": chain, "error": "the loss is nan\nsecond line"},
    )
    sweep.end()
    assert tracker.close()
    tree = Tree(tracker.uri)
    assert tree.trials[number].info.status == "FAILED"
    assert tree.trials[number].data.tags["trial.state"] == "failed"
    assert "the loss is nan" in tree.trials[number].data.tags["error"]
    assert tree.parent.info.status == "FINISHED"


def test_interrupted_sweep_leaves_nothing_running(space):
    tracker = MlflowTracker(space)
    sweep = RealSweep(space, tracker.on_event)
    sweep.start()
    sweep.trial()
    number, _, _ = sweep.begin_trial()
    sweep.end("interrupted")
    assert tracker.close()
    tree = Tree(tracker.uri)
    assert tree.parent.info.status == "KILLED"
    assert tree.trials[number].info.status == "KILLED"
    assert tree.trials[number].data.tags["trial.state"] == "interrupted"
    assert "RUNNING" not in {run.info.status for run in tree.runs}


def test_a_sweep_that_dies_without_a_word_is_failed(space):
    tracker = MlflowTracker(space)
    sweep = RealSweep(space, tracker.on_event)
    sweep.start()
    sweep.begin_trial()
    assert tracker.close()
    sweep.book.close()
    tree = Tree(tracker.uri)
    assert tree.parent.info.status == "FAILED"
    assert tree.statuses("trial") == {"KILLED": 1}


# --- going on ---------------------------------------------------------------------------------------------------------


def test_resumed_sweep_goes_on_in_its_own_runs_and_keeps_what_was_there(space):
    first = track(space)
    larger = toy_space(Path(space.storage), budget={"trials": 5})
    second = track(larger)
    assert second.parent.info.run_id == first.parent.info.run_id
    assert set(second.trials) == {0, 1, 2, 3, 4}
    assert {n: run.info.run_id for n, run in second.trials.items() if n < 3} == {
        n: run.info.run_id for n, run in first.trials.items()
    }
    assert second.stages.keys() == first.stages.keys()
    assert second.steps(second.stages["warmup"], "recognition.loss") == [0, 1]
    assert second.steps(second.parent, "hypervolume") == [1, 2, 3, 4, 5]
    assert {run.info.status for run in second.runs} == {"FINISHED"}


_KILLED = """
import sys, time, torch
from pathlib import Path
from tests.report.real_sweep import RealSweep, toy_space
from explorer.tracking import MlflowTracker
torch.set_num_threads(1)
space = toy_space(Path(sys.argv[1]), budget={"trials": 3})
tracker = MlflowTracker(space)
sweep = RealSweep(space, tracker.on_event)
sweep.start(); sweep.baselines(); sweep.trial()
number, params, jobs = sweep.begin_trial()
sweep.train(jobs[:2])
print("ready", flush=True)
time.sleep(600)
"""


@pytest.mark.kills
def test_killed_sweep_goes_on_without_duplicates_or_runs_left_running(space):
    process = subprocess.Popen(
        [sys.executable, "-c", _KILLED, space.storage], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout.readline() == "ready\n"
        uri = tracking_uri(space)
        deadline = time.monotonic() + 60  # the kill must come when the second trial's run is there, and not before
        while not _has_running_trial(uri):
            assert time.monotonic() < deadline
            time.sleep(0.2)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
    tree = track(space)
    assert {run.info.status for run in tree.runs} == {"FINISHED"}
    assert set(tree.trials) == {0, 1, 2}  # trial 1 went on, in the same run
    for run in tree.trials.values():
        assert sorted(tree.steps(run, "joint/val.accuracy")) == [0, 1, 2, 3]
        assert sorted(tree.steps(run, "finetune/val.accuracy")) == [1]
    assert len(tree.stages) == 4


@pytest.mark.parametrize("kind", [Kind.STAGE_STARTED, Kind.STAGE_EPOCH, Kind.STAGE_FINISHED])
def test_what_a_killed_process_left_of_a_trial_goes_to_the_run_of_the_trial(space, kind):
    """The process dies just before its n-th delivery: the start of the trial has arrived, its epochs lie in the spool."""
    events: list[Event] = []
    sweep = RealSweep(space, events.append)
    sweep.start()
    sweep.trial()
    sweep.book.close()
    joint = [event for event in events if event.stage == "joint"]
    cut = events.index(next(event for event in joint if event.kind is kind))
    uri = tracking_uri(space)
    for part in (events[:cut], events[cut:]):
        _projection(space, uri).apply(part)
    tree = Tree(uri)
    assert set(tree.stages) == {"warmup"}
    assert sorted(tree.steps(tree.trials[0], "joint/val.accuracy")) == [0, 1, 2, 3]
    assert tree.trials[0].info.status == "FINISHED"


@pytest.mark.parametrize("again", ["by the same process", "by another one"])
def test_a_stage_that_is_trained_again_shows_its_epochs_once(space, again):
    """Its checkpoint was damaged: the same epochs arrive a second time, later."""
    events: list[Event] = []
    sweep = RealSweep(space, events.append)
    sweep.start()
    sweep.trial()
    sweep.book.close()
    uri = tracking_uri(space)
    first = _projection(space, uri)
    first.apply(events)
    started = [event for event in events if event.kind in (Kind.SWEEP_STARTED, Kind.TRIAL_STARTED)]
    trained = [event for event in events if event.stage is not None]
    later = [dataclasses.replace(event, time=event.time + 60) for event in (*started, *trained)]
    (first if again == "by the same process" else _projection(space, uri)).apply(later)
    tree = Tree(uri)
    for run, prefix in ((tree.trials[0], "joint/"), (tree.stages["warmup"], "")):
        for metric in [name for name in run.data.metrics if name.startswith(prefix)]:
            steps = tree.steps(run, metric)
            assert len(steps) == len(set(steps)), metric
    assert sorted(tree.steps(tree.trials[0], "joint/val.accuracy")) == [0, 1, 2, 3]


def _projection(space, uri: str) -> Projection:
    """What a new process has at first: nothing but the server."""
    runs = Runs(uri=uri, experiment=space.name, name=space.name, sweep_id=sweep_id(space.folder), artifacts=None)
    return Projection(space, runs)


def _has_running_trial(uri: str) -> bool:
    client = MlflowClient(tracking_uri=uri)
    found = client.get_experiment_by_name("toy-sweep")
    if found is None:
        return False
    runs = client.search_runs([found.experiment_id], "tags.trial_id = '1'")
    return any(run.info.status == "RUNNING" for run in runs)


def test_what_an_outage_swallowed_is_written_when_the_sweep_is_resumed(space, monkeypatch, caplog):
    away = space.model_copy(update={"tracking": "http://127.0.0.1:9"})  # the discard port: refused at once
    tracker = MlflowTracker(away)
    run_sweep(away, tracker)
    with caplog.at_level(logging.WARNING):
        assert not tracker.close(timeout_s=1)
    assert "could not be delivered to http://127.0.0.1:9" in caplog.text
    tree = track(space)
    assert set(tree.trials) == {0, 1, 2}
    assert {run.info.status for run in tree.runs} == {"FINISHED"}
    assert tree.steps(tree.trials[2], "joint/val.accuracy") == [0, 1, 2, 3]
    assert not list(space.folder.glob("tracking.spool*"))


def test_records_of_a_locked_database_are_spooled_and_delivered_by_the_next_process(space):
    file = space.tracking.removeprefix("sqlite:///")
    with closing(sqlite3.connect(file)) as other:
        other.execute("BEGIN EXCLUSIVE")
        tracker = MlflowTracker(space)
        began = time.monotonic()
        run_sweep(space, tracker)
        trained_s = time.monotonic() - began
        assert not tracker.close(timeout_s=2)
        assert trained_s < 60, "the sweep waited for the database"
        spooled = (space.folder / "tracking.spool").read_text().splitlines()
        assert [json.loads(line)["sequence"] for line in spooled] == list(range(1, len(spooled) + 1))
        other.rollback()
    tracker._outbox._thread.join(120)  # its process would be gone; here its last call ends now that the lock is
    assert not tracker._outbox._thread.is_alive()
    tree = track(space)
    assert set(tree.trials) == {0, 1, 2}
    assert {run.info.status for run in tree.runs} == {"FINISHED"}
    assert [tree.steps(run, "joint/val.accuracy") for run in tree.trials.values()] == [[0, 1, 2, 3]] * 3
    assert not list(space.folder.glob("tracking.spool*"))


# --- where it goes ----------------------------------------------------------------------------------------------------


def test_the_environment_says_where_unless_the_space_does(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://tracking:5000")
    assert tracking_uri(toy_space(tmp_path)) == "http://tracking:5000"
    assert tracking_uri(toy_space(tmp_path, tracking="http://other:5000")) == "http://other:5000"
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    assert tracking_uri(toy_space(tmp_path)) == f"sqlite:///{tmp_path}/mlflow.db"


def test_tracking_can_be_switched_off(tmp_path):
    tracker = MlflowTracker(toy_space(tmp_path, tracking="none"))
    tracker.on_event(Event(sequence=1, time=0.0, kind=Kind.SWEEP_STARTED))
    assert tracker.close()
    assert not list(tmp_path.rglob("*.db"))


def test_an_exported_run_id_changes_nothing(space, monkeypatch):
    monkeypatch.setenv("MLFLOW_RUN_ID", "0" * 32)
    tree = track(space)
    assert {run.data.tags["mlflow.parentRunId"] for run in tree.trials.values()} == {tree.parent.info.run_id}


def test_two_sweeps_of_one_name_on_one_server_stay_apart(space, tmp_path):
    track(space)
    other = toy_space(tmp_path / "elsewhere", budget={"trials": 1}, tracking=space.tracking)
    tracker = MlflowTracker(other)
    train_real_sweep(tmp_path / "elsewhere", budget={"trials": 1}, tracking=space.tracking, listen=tracker.on_event)
    assert tracker.close()
    assert len(Tree(tracker.uri).of("sweep")) == 2


def test_importing_the_tracker_does_not_import_mlflow():
    code = "import sys, explorer.tracking; sys.exit(any(m in sys.modules for m in ('mlflow', 'torch', 'ray')))"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


# --- a real server ----------------------------------------------------------------------------------------------------


@pytest.mark.server
def test_ui_serves_the_sweep_on_loopback_and_other_sweeps_may_track_to_it(finished, finished_space, space, tmp_path):
    """One server for two questions, as it takes 9 s and 740 MB."""
    port = _free_port()
    command = [
        sys.executable,
        "-m",
        "explorer.cli.app",
        "ui",
        str(finished_space.folder),
        "--no-open",
        "--port",
        str(port),
    ]
    ui = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True)
    try:
        # The other sweep begins, and ends, before the server is up: its tracker waits, the sweep does not.
        served = space.model_copy(update={"tracking": f"http://127.0.0.1:{port}"})
        tracker = MlflowTracker(served)
        run_sweep(served, tracker)
        address = ui.stdout.readline().split()[1]
        run_id = finished.parent.info.run_id
        assert address == f"http://127.0.0.1:{port}/#/experiments/{finished.experiment.experiment_id}/runs/{run_id}"
        experiment = finished.experiment
        assert ui.stdout.readline().split()[1].endswith(f"/{table_page(experiment.experiment_id)}")
        columns = json.loads(experiment.tags[VIEW_TAG])["selectedColumns"]
        assert columns[:2] == ["metrics.`accuracy`", "metrics.`gflops`"]
        assert {f"params.`{path}`" for path in finished_space.search} < set(columns)
        page = f"http://127.0.0.1:{port}/get-artifact?path=front.html&run_uuid={run_id}"
        with urllib.request.urlopen(page, timeout=120) as answer:
            assert b"<html" in answer.read(4000).lower()
        assert tracker.close(timeout_s=400, outage_s=400)
        client = MlflowClient(tracking_uri=tracker.uri)
        parents = client.search_runs(
            [e.experiment_id for e in client.search_experiments()], "tags.`explorer.role` = 'sweep'"
        )
        (other,) = [run for run in parents if run.info.run_id != run_id]
        assert other.info.status == "FINISHED"
        html = client.download_artifacts(other.info.run_id, "front.html", str(tmp_path))
        assert Path(html).stat().st_size > 1_000_000
        models = client.search_logged_models([other.info.experiment_id])
        assert models and all(model.status == "READY" for model in models)
    finally:
        ui.send_signal(signal.SIGINT)
        assert ui.wait(timeout=120) == 0
        ui.stdout.close()
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0  # nothing is left behind


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_ui_of_a_sweep_that_mlflow_does_not_know_says_so(space):
    with pytest.raises(UserError, match="knows nothing of"):
        serve(space.folder, port=0, on_ready=print)


_CREATES = """
import sys
from explorer.tracking.where import client_of
print("ready", flush=True)
sys.stdin.readline()
client = client_of(sys.argv[1])
client.create_experiment(sys.argv[2])
print(len(client.search_experiments()), flush=True)
"""


def test_two_processes_that_create_one_database_at_once_both_work(tmp_path):
    command = [sys.executable, "-c", _CREATES, f"sqlite:///{tmp_path}/new/mlflow.db"]
    both = [
        subprocess.Popen([*command, name], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for name in ("a", "b")
    ]
    for process in both:
        assert process.stdout.readline() == "ready\n"
    for process in both:
        process.stdin.write("go\n")
        process.stdin.flush()
    answers = [process.communicate()[0] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert sorted(map(int, answers))[-1] == 3  # a, b and MLflow's own default


def test_what_would_change_a_search_of_mlflow_is_no_sweeps_id(tmp_path):
    (tmp_path / "tracking_id").write_text("' or tags.`a` != '")
    with pytest.raises(UserError, match="must hold 32 digits"):
        sweep_id(tmp_path)


def test_passwords_are_not_shown():
    uri = "https://me:secret@host:5000/mlflow"
    assert without_password(uri) == "https://***@host:5000/mlflow"
    assert without_user(uri) == "https://host:5000/mlflow"
    file = "sqlite:////data/me@here/mlflow.db"
    assert without_password(file) == file


IN_A_GAP = Aim(
    cheaper=Side(trial=0, accuracy=0.5, gflops=1.0),
    dearer=Side(trial=1, accuracy=0.8, gflops=4.0),
    area=0.4,
    weights={"lambda.rgb": 2.0},
)


def test_paused_promoted_and_pruned_trials_are_told_as_what_they_are(space):
    tracker = MlflowTracker(space)
    sweep = RealSweep(space, tracker.on_event)
    sweep.start()
    for _ in range(3):
        number, params, jobs = sweep.begin_trial()
        facts = {"params": params, "chain": {job.stage: job.key for job in jobs}, "rung": "joint:2"}
        if number == 2:
            facts |= {AIM: IN_A_GAP.to_json(), FORK: {"trial": 1, "params": {}}}
        sweep.tell(Kind.TRIAL_PAUSED, trial=number, data={**facts, "values": {"accuracy": 0.5, "gflops": 1.0}})
        if number == 0:
            sweep.tell(Kind.TRIAL_PROMOTED, trial=number, data=facts)
        if number == 1:
            sweep.book.tell(number, state="PRUNED", attrs={"reason": "place 2 of 2"})
            sweep.tell(Kind.TRIAL_PRUNED, trial=number, data={**facts, "reason": "place 2 of 2"})
    sweep.end("interrupted")
    assert tracker.close()
    trials = Tree(tracker.uri).trials
    told = {n: (run.info.status, run.data.tags["trial.state"], run.data.tags["trial.rung"]) for n, run in trials.items()}
    assert told == {
        0: ("KILLED", "interrupted", "joint:2"),
        1: ("KILLED", "pruned", "joint:2"),
        2: ("KILLED", "paused", "joint:2"),
    }
    assert trials[1].data.tags["pruned"] == "place 2 of 2"
    why = {name: trials[2].data.tags[name] for name in ("trial.aim", "trial.forked_from")}
    assert why == {"trial.aim": str(IN_A_GAP), "trial.forked_from": "1"}
    assert "trial.aim" not in trials[0].data.tags
    assert not any("accuracy" in run.data.metrics for run in trials.values()), "partial values are not a trial's"


def test_the_parent_tells_how_far_previews_agree_with_the_trials(space):
    tracker = MlflowTracker(space)
    sweep = RealSweep(space, tracker.on_event)
    sweep.start()
    agreement = {"trials": 2, "tau": {"accuracy": 0.25, "gflops": 1.0, "area": 0.5}, "low": -0.5, "trusted": True}
    sweep.tell(Kind.TRIAL_PREVIEWED, trial=3, data={"candidates": 4, "failed": 0, "agreement": agreement})
    sweep.end("interrupted")
    assert tracker.close()
    tree = Tree(tracker.uri)
    told = {name: value for name, value in tree.parent.data.metrics.items() if name.startswith("preview.")}
    assert told == {
        "preview.candidates": 4,
        "preview.chooses": 1,
        "preview.tau.accuracy": 0.25,
        "preview.tau.gflops": 1,
        "preview.tau.area": 0.5,
    }
    assert tree.steps(tree.parent, "preview.chooses") == [3]
