"""Several systems with one budget, through real Ray: who gets the next trials, one engine for all, kills, one name."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from mlflow import MlflowClient

from benchmarks.processes import descendants
from explorer.browse import Front
from explorer.cli.app import run
from explorer.portfolio import PortfolioResult, Share, run_portfolio
from explorer.records import begun_members, read_sweep
from explorer.run.cluster import cluster
from explorer.run.events import Event, Kind
from explorer.run.status import driver_state, status_of
from explorer.run.stopping import request_stop
from explorer.shares import Standing, next_of, passes_taken, standings, trials_without_gain_of
from explorer.spec.load_portfolio import load_any
from explorer.spec.portfolio import Portfolio
from tests.run.sweeps import ROOT, Recorder, wait_for_end

pytestmark = pytest.mark.ray

PATIENCE_S = 300.0
MEMBERS = """
systems:
  plain:
    system: toy
    search: {lambda.rgb: {log: [0.05, 4]}, lambda.audio: {log: [0.005, 1]}}
    baselines: [unimodal]
    order: strict
  dear:
    system: toy
    gamma: 10
    search: {lambda.rgb: {log: [0.05, 4]}}
    order: strict
resources: {groups: 1, cpus_per_worker: 0.5}
"""


def both(storage: Path, *overrides: str) -> Portfolio:
    """The toy twice, with other prices; MLflow off."""
    file = storage / "both.yaml"
    file.write_text(MEMBERS)
    found = load_any(file, [f"storage={storage}", "tracking=none", *overrides])
    assert isinstance(found, Portfolio)
    return found


@dataclass
class Watched:
    """Every share with the events of its sweep; ``hook`` may interfere."""

    hook: Recorder = field(default_factory=Recorder)
    shares: list[Share] = field(default_factory=list)

    @contextmanager
    def __call__(self, share: Share) -> Iterator[Recorder]:
        self.shares.append(share)
        yield self.hook


@pytest.fixture(scope="module", autouse=True)
def one_ray() -> Iterator[None]:
    with cluster():
        yield


@dataclass(frozen=True, kw_only=True)
class Finished:
    portfolio: Portfolio
    watched: Watched
    result: PortfolioResult


@pytest.fixture(scope="module")
def finished(one_ray: None, tmp_path_factory: pytest.TempPathFactory, empty_database: Path) -> Finished:
    """Seven trials: two for each member, then three more where they pay."""
    storage = tmp_path_factory.mktemp("finished")
    database = shutil.copyfile(empty_database, storage / "mlflow.db")
    portfolio = both(storage, "budget.trials=7", f"tracking=sqlite:///{database}")
    watched = Watched()
    return Finished(portfolio=portfolio, watched=watched, result=run_portfolio(portfolio, watch=watched))


def trials_of(portfolio: Portfolio) -> dict[str, list[tuple[int, str, object]]]:
    """Member -> its trials."""
    return {
        name: [(t.number, t.state, dict(t.parameters)) for t in read_sweep(member.folder).trials]
        for name, member in portfolio.members.items()
    }


def test_the_member_whose_last_trials_added_most_for_their_passes_is_next_and_of_equals_the_one_with_fewest() -> None:
    def standing(member: str, trials: int, gain: float, passes: int) -> Standing:
        return Standing(member=member, trials=trials, gain=gain, passes=passes)

    slow, quick = standing("slow", 2, 0.5, 1000), standing("quick", 4, 0.1, 100)
    assert next_of([slow, quick]) is quick
    idle = [standing("first", 4, 0.0, 10), standing("second", 2, 0.0, 500), standing("third", 2, 0.0, 0)]
    assert next_of(idle) is idle[1]
    assert next_of([]) is None


def test_the_budget_is_that_of_all_and_each_further_share_goes_where_the_last_one_paid(finished: Finished) -> None:
    portfolio, shares = finished.portfolio, finished.watched.shares
    assert finished.result.state == "finished"
    assert sum(counts["complete"] for counts in finished.result.trials.values()) == 7
    assert [(share.member, share.trials, share.standing) for share in shares[:2]] == [("plain", 2, None), ("dear", 2, None)]
    assert [share.trials for share in shares[2:]] == [2, 1]
    for share in shares[2:]:
        assert share.standing is not None and share.standing.member == share.member
    found = trials_of(portfolio)
    for name in portfolio.members:
        given = [share for share in shares if share.member == name]
        assert sum(share.trials for share in given) == given[-1].until == len(found[name]) >= 2


def test_a_gain_is_what_the_common_front_would_lose_and_a_member_that_adds_nothing_has_none(finished: Finished) -> None:
    fronts = {name: Front.load(member.folder) for name, member in finished.portfolio.members.items()}
    found = standings(fronts, share=100)
    assert [one.trials for one in found] == [len(front.record.trials) for front in fronts.values()]
    assert sum(one.gain > 0 for one in found) >= 1 and all(one.passes > 0 for one in found)
    twice = {"one": fronts["plain"], "same": Front.load(finished.portfolio.members["plain"].folder)}
    assert [one.gain for one in standings(twice, share=100)] == [0.0, 0.0], "the other one has all of it"


def test_ray_the_queue_and_the_worker_group_start_once_for_all_shares(finished: Finished) -> None:
    events = finished.watched.hook.events
    assert len(finished.watched.hook.of(Kind.GROUP_STARTED)) == 1
    assert len(finished.watched.hook.of(Kind.SWEEP_STARTED)) == len(finished.watched.shares) == 4
    from_queue = [event for event in events if event.kind is not Kind.SWEEP_ENDED]
    assert [event.sequence for event in from_queue] == list(range(1, len(from_queue) + 1)), "none lost between two sweeps"
    assert not list(finished.portfolio.folder.glob(".scratch*"))


def test_one_name_serves_front_pick_status_and_mlflow(finished: Finished, capsys: pytest.CaptureFixture[str]) -> None:
    folder = finished.portfolio.folder
    assert run(["front", str(folder), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [sweep["sweep"] for sweep in told["sweeps"]] == ["both.plain", "both.dear"]
    assert {(point["member"], point["system"]) for point in told["front"]} <= {("plain", "toy"), ("dear", "toy")}
    assert json.loads((folder / "front.json").read_text())["front"] == told["front"]

    assert run(["pick", str(folder), "--max-gflops", "100", "--name", "best", "--json"]) == 0
    picked = json.loads(capsys.readouterr().out)
    assert picked["folder"] == str(folder / "picks" / "best") and (folder / "picks" / "best" / "weights.safetensors").is_file()
    assert picked["accuracy"] == max(point["accuracy"] for point in told["front"])

    assert run(["status", str(folder), "--json"]) == 0
    status = json.loads(capsys.readouterr().out)
    assert (status["state"], status["trials"], status["trials_planned"]) == ("finished", {"complete": 7}, 7)
    assert [member["sweep"] for member in status["members"]] == ["both.plain", "both.dear"]

    client = MlflowClient(tracking_uri=finished.portfolio.tracking)
    experiment = client.get_experiment_by_name("both")
    assert experiment is not None and client.get_experiment_by_name("both.plain") is None
    sweeps = client.search_runs([experiment.experiment_id], "tags.`explorer.role` = 'sweep'")
    assert {(run.info.run_name, run.info.status) for run in sweeps} == {
        (name, "FINISHED") for name in ("both", "both.plain", "both.dear")
    }
    common = next(run for run in sweeps if run.info.run_name == "both")
    assert {file.path for file in client.list_artifacts(common.info.run_id)} == {"front.html", "front.json"}
    assert common.data.metrics["hypervolume"] == pytest.approx(status["hypervolume"])


def test_what_ends_a_portfolio_is_of_all_members_and_with_more_of_it_resume_goes_on(finished: Finished, tmp_path: Path) -> None:
    shutil.copytree(finished.portfolio.storage, tmp_path, dirs_exist_ok=True)
    records = [read_sweep(folder) for folder in begun_members(both(tmp_path).folder)]
    taken = passes_taken(records)
    for spent in ("budget.trials=7", f"budget={{passes: {taken}}}"):
        idle = Watched()
        assert run_portfolio(both(tmp_path, spent), watch=idle).state == "finished"
        assert not idle.hook.of(Kind.TRIAL_STARTED) and not idle.hook.of(Kind.GROUP_STARTED)
    complete = [t for record in records for t in record.trials if t.values is not None]
    worse = dataclasses.replace(complete[0], values=(0.0, 1e3), ended=max(t.ended or 0.0 for t in complete) + 1)
    assert trials_without_gain_of([records[0], dataclasses.replace(records[1], trials=(*records[1].trials, worse))]) >= 1

    further = ("-o", f"budget={{passes: {taken + 1}}}", "-o", "tracking=none")
    assert run(["resume", str(tmp_path / "both"), *further, "--json"]) == 0
    after = [read_sweep(folder) for folder in begun_members(tmp_path / "both")]
    assert sum(len(record.trials) for record in after) == 8, "one more: a trial counts with what it takes to its end"


def test_a_member_all_of_whose_trials_fail_leaves_the_budget_to_the_others(tmp_path: Path) -> None:
    result = run_portfolio(both(tmp_path, "budget.trials=3", "share=1", "dear.fault={kind: nan}"))
    assert result.state == "finished"
    assert result.trials == {"plain": {"complete": 2}} and "not one of 1 trials succeeded" in result.failed["dear"]


def test_a_stop_of_the_whole_parks_the_member_that_runs(tmp_path: Path) -> None:
    portfolio = both(tmp_path, "budget.trials=7", "plain.epoch_s=0.2")

    def stop(event: Event) -> None:
        if event.kind is Kind.TRIAL_STARTED:
            request_stop(portfolio.folder)

    assert run_portfolio(portfolio, watch=Watched(hook=Recorder(stop))).state == "interrupted"
    assert [driver_state(f) for f in (portfolio.folder, *begun_members(portfolio.folder))] == ["interrupted"] * 2


@pytest.mark.kills
def test_a_killed_portfolio_goes_on_and_deals_out_its_budget_as_an_uninterrupted_one(finished: Finished, tmp_path: Path) -> None:
    portfolio = both(tmp_path, "budget.trials=7")
    file = tmp_path / "slow.yaml"
    file.write_text(portfolio.to_yaml())
    command = [sys.executable, "-m", "explorer.cli.app", "sweep", str(file)]
    with (tmp_path / "log").open("wb") as log:
        driver = subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, "PYTHONPATH": str(ROOT)})
    deadline = time.monotonic() + PATIENCE_S
    while "trial 0 finished" not in _log(portfolio.members["dear"].folder):
        assert driver.poll() is None and time.monotonic() < deadline, (tmp_path / "log").read_text()
        time.sleep(0.05)
    started = descendants(driver.pid)
    driver.send_signal(signal.SIGKILL)
    driver.wait()
    wait_for_end(started, seconds=PATIENCE_S)
    assert status_of(portfolio.folder)[0].state == "killed"
    assert run_portfolio(portfolio).state == "finished"
    assert trials_of(portfolio) == trials_of(finished.portfolio)


def _log(folder: Path) -> str:
    try:
        return (folder / "sweep.log").read_text()
    except OSError:
        return ""


REAL = """
systems:
  frames: {system: arnet, stages: {warmup: ONE, joint: ONE, finetune: ONE}, search: {alpha: {log: [0.05, 0.8]}}}
  channels: {system: adafuse, stages: {warmup: ONE, joint: ONE}, search: {lambda: {log: [0.1, 3]}}}
data: {segments: {train: 4, test: 4}}
budget: {trials: 2}
share: 1
resources: {groups: 1, cpus_per_worker: 0.5}
"""


def test_two_real_systems_share_a_budget_and_make_one_front_whose_points_label_a_video(
    tmp_path: Path, clips: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "real.yaml"
    file.write_text(REAL.replace("ONE", "{epochs: 1, batch_size: 12}"))
    given = (f"data.manifest={clips}", f"storage={tmp_path}", "tracking=none")
    assert run(["sweep", str(file), "--json", *(word for field in given for word in ("-o", field))]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["state"], told["trials"]) == ("finished", {"frames": {"complete": 1}, "channels": {"complete": 1}})
    assert {sweep["sweep"]: sweep["videos"] for sweep in told["sweeps"]} == {"real.frames": 6, "real.channels": 6}
    systems = {"frames": "arnet", "channels": "adafuse"}
    assert told["front"] and all(point["system"] == systems[point["member"]] for point in told["front"])
    video = str(clips.parent / "videos" / "clip_00005.mp4")
    for member, sweep in zip(systems, told["sweeps"], strict=True):
        point = sweep["points"][0]["point_id"]
        assert run(["pick", str(tmp_path / "real"), "--point", point, "--name", member]) == 0
        capsys.readouterr()
        assert run(["predict", str(tmp_path / "real" / "picks" / member), video, "--json"]) == 0
        assert json.loads(capsys.readouterr().out)[0]["label"]
