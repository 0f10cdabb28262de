"""Whole reproductions through real Ray: rows and seeds as one run, its table, going on, and rows that fail."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from explorer.errors import SweepFailed
from explorer.report.reproduced import table_cells
from explorer.reproduce import Reproduced, Reproduction, plan_reproduction, reproduce
from explorer.run.cluster import cluster
from explorer.run.events import Kind
from explorer.run.status import sweep_status
from explorer.run.sweep import SweepResult
from explorer.store import Store
from tests.reproduce.tabled import REFERENCE
from tests.run.sweeps import Recorder

pytestmark = pytest.mark.ray

ROOT = Path(__file__).resolve().parents[2]
FITS = ("resources.groups=1", "resources.cpus_per_worker=0.5")
SHORT = {
    "unimodal.epochs": 2,
    "warmup.epochs": 1,
    "joint.epochs": 1,
    "finetune.epochs": 1,
    "fusion.epochs": 1,
    **{f"{stage}.batch_size": 12 for stage in ("unimodal", "warmup", "joint", "finetune", "fusion")},
}


@pytest.fixture(scope="module")
def one_ray() -> Iterator[None]:
    """One cluster for the module, which its runs join."""
    with cluster():
        yield


def trade(storage: Path, *overrides: str, seeds: int = 2, tracking: str = "none") -> Reproduction:
    given = [f"storage={storage}", f"tracking={tracking}", *FITS, *overrides]
    return plan_reproduction("trade", system=REFERENCE, seeds=seeds, overrides=given)


@dataclass(frozen=True, kw_only=True)
class Finished:
    """The toy's table with two seeds."""

    plan: Reproduction
    recorder: Recorder
    result: SweepResult
    table: Reproduced


@pytest.fixture(scope="module")
def finished(one_ray: None, tmp_path_factory: pytest.TempPathFactory) -> Finished:
    storage = tmp_path_factory.mktemp("trade")
    plan = trade(storage, tracking=f"sqlite:///{storage}/mlflow.db")
    recorder = Recorder()
    result, table = reproduce(plan, observers=[recorder])
    return Finished(plan=plan, recorder=recorder, result=result, table=table)


def test_rows_and_seeds_are_one_run_that_trains_shared_stages_once(finished: Finished) -> None:
    assert (finished.result.state, finished.result.trials) == ("finished", {})
    started = Counter(event.stage for event in finished.recorder.of(Kind.STAGE_STARTED))
    assert started == {"warmup": 2, "unimodal.rgb": 2, "weighted_fusion": 2, "joint": 4, "finetune": 4}
    assert {e.data["name"] for e in finished.recorder.of(Kind.CHAIN_FINISHED)} == set(finished.plan.chains)
    assert not finished.recorder.of(Kind.TRIAL_STARTED)
    assert sweep_status(finished.plan.space.folder).state == "finished"


def test_rows_show_the_last_stages_default_point_and_the_difference_on_the_same_videos(finished: Finished) -> None:
    store = Store(finished.plan.space.store_folder)
    rows = {row.row.name: row for row in finished.table.rows}
    tests = {}
    for (name, seed), jobs in finished.plan.jobs.items():
        (point,) = (p for p in store.points(jobs[-1].key) if p["selection"] == "default")
        tests[name, seed] = point["test"]
        assert rows[name].seeds[seed].measured["test"].accuracy == point["test"]["accuracy"]
    for name, row in rows.items():
        mean = np.mean([tests[name, seed]["accuracy"] for seed in (0, 1)])
        assert row.accuracy("test").mean == pytest.approx(mean)
        difference = finished.table.difference(row)
        if name == "fusion":
            assert difference is None
        else:
            assert difference is not None and difference.standard_error is not None
            assert difference.mean == pytest.approx(mean - rows["fusion"].accuracy("test").mean)
    assert rows["cheap"].gflops("full").mean < rows["dear"].gflops("full").mean
    assert 0 < rows["dear"].map("test").mean <= 1


def test_the_papers_figures_stand_beside_with_their_data_set(finished: Finished) -> None:
    cells = table_cells(finished.table)
    by_method = {row[0]: dict(zip(cells.header, row, strict=True)) for row in cells.rows}
    assert by_method["fusion"]["paper, Here: top-1 %"] == "60.00"
    assert by_method["fusion"]["paper: GFLOPs"] == "2*"
    assert by_method["dear"]["paper, There: mAP %"] == "61.50"
    assert by_method["other (quoted)"]["top-1 %"] == ""
    assert any("2 (3.00)" in line for line in cells.below)
    assert cells.below[-1] == "made up"


def test_the_folder_holds_the_table_for_programs_and_for_people(finished: Finished) -> None:
    folder = finished.plan.space.folder
    table = json.loads((folder / "table.json").read_text())
    assert [row["row"] for row in table["rows"]] == ["rgb", "fusion", "cheap", "dear"]
    fusion = table["rows"][1]
    assert (fusion["published"][0]["accuracy"], fusion["published"][0]["rates"]) == (0.6, {"rgb": 1.0})
    assert {"test", "val"} == set(fusion["accuracy"]) and len(fusion["seeds"]) == 2
    assert table["quoted"][0]["ours"] is False
    text = (folder / "table.md").read_text()
    assert text.startswith("# trade: a trade-off\n") and "| other (quoted) |" in text


def test_mlflow_holds_the_run_its_stages_and_its_table(finished: Finished) -> None:
    from mlflow import MlflowClient

    client = MlflowClient(finished.plan.space.tracking)
    runs = [run for e in client.search_experiments() for run in client.search_runs([e.experiment_id])]
    (parent,) = (run for run in runs if "mlflow.parentRunId" not in run.data.tags)
    assert {run.info.status for run in runs} == {"FINISHED"}
    assert len(runs) == 1 + 14
    assert {"table.json", "table.md"} <= {a.path for a in client.list_artifacts(parent.info.run_id)}


def test_running_it_again_trains_nothing_and_one_more_seed_trains_that_seed(finished: Finished, one_ray: None) -> None:
    storage = Path(finished.plan.space.storage)
    again, more = Recorder(), Recorder()
    reproduce(trade(storage), observers=[again])
    assert [event.kind for event in again.events] == [Kind.SWEEP_STARTED, Kind.SWEEP_ENDED]
    _, table = reproduce(trade(storage, seeds=3), observers=[more])
    assert sum(Counter(e.stage for e in more.of(Kind.STAGE_STARTED)).values()) == 7
    assert [one.seed for one in table.rows[0].seeds] == [0, 1, 2]


def test_a_row_that_fails_is_told_and_the_others_are_in_the_table(one_ray: None, tmp_path: Path) -> None:
    plan = trade(tmp_path, "fault.kind=raise", "fault.stage=joint", "fault.above_lambda_rgb=2", seeds=1)
    with pytest.raises(SweepFailed, match="cheap"):
        reproduce(plan)
    table = json.loads((plan.space.folder / "table.json").read_text())
    measured = {row["row"]: "accuracy" in row for row in table["rows"]}
    assert measured == {"rgb": True, "fusion": True, "cheap": False, "dear": True}
    assert "Not measured yet: 1 of 4" in (plan.space.folder / "table.md").read_text()


def explorer(*arguments: str, cwd: Path, code: int = 0) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "explorer.cli.app", "reproduce", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "RAY_USAGE_STATS_ENABLED": "0"}
    done = subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=environment, timeout=300, check=False)
    assert done.returncode == code, f"{arguments}\n{done.stdout}\n{done.stderr}"
    return done


def test_table_1_on_real_clips_from_the_command_line(clips: Path, tmp_path: Path) -> None:
    short = [x for key, value in SHORT.items() for x in ("-o", f"stages.{key}={value}")]
    fits = [x for o in (*FITS, "tracking=none", "data.segments.test=5") for x in ("-o", o)]
    done = explorer("table1", "--manifest", str(clips), "--seeds", "1", "--json", *short, *fits, cwd=tmp_path)
    table = json.loads(done.stdout)
    assert table["state"] == "finished"
    rows = {row["row"]: row for row in table["rows"]}
    assert list(rows) == ["rgb", "audio", "weighted_fusion", "adamml", "random_train", "random_test", "random_both"]
    assert set(rows["adamml"]["rates"]) == {"rgb", "audio"}
    assert {p["data_set"] for p in rows["adamml"]["published"]} == {"Kinetics-Sounds", "ActivityNet"}
    assert rows["adamml"]["difference"]["against"] == "weighted_fusion"
    assert rows["weighted_fusion"]["gflops"]["paper"]["mean"] > rows["rgb"]["gflops"]["paper"]["mean"]
    assert (tmp_path / "runs" / "reproduce-table1-tiny" / "table.md").is_file()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["table11"], "did you mean 'table1'"),
        (["table1", "--preset", "paper"], "give --manifest FILE"),
        (["table1", "--preset", "tyni"], "--preset must be one of"),
        (["table1", "--manifest", "gone.jsonl"], "does not exist"),
        (["table1", "--manifest", "gone.jsonl", "--preset", "smal"], "unknown preset"),
        (["trade", "--system", "no.such:Thing"], "cannot be imported"),
    ],
)
def test_wrong_input_ends_with_2_and_no_stack_trace(arguments: list[str], says: str, tmp_path: Path) -> None:
    done = explorer(*arguments, cwd=tmp_path, code=2)
    assert says in done.stderr and "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())


def test_without_a_name_all_tables_are_listed_and_plan_trains_nothing(tmp_path: Path) -> None:
    listed = json.loads(explorer("--json", cwd=tmp_path).stdout)
    assert {f"table{n}" for n in range(1, 10)} | {"loss", "lstm", "joint_decision", "sensitivity"} <= {
        entry["table"] for entry in listed
    }
    plan = json.loads(explorer("trade", "--system", REFERENCE, "--plan", "--json", "--seeds", "1", cwd=tmp_path).stdout)
    assert (plan["passes_total"], len(plan["stages"])) == (30, 7)
    assert not list(tmp_path.iterdir())
