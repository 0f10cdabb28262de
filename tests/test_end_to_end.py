"""The whole way on real mp4 files: sweep, front, MLflow, pick, predict, by the commands that people type."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.tour import Tour

pytestmark = pytest.mark.ray

SPACE = """\
name: whole-way
system: adamml
preset: tiny
data: {{manifest: {manifest}, segments: {{test: 5}}}}
correctness: soft
gamma: 0.5
stages:
  unimodal: {{epochs: 4, batch_size: 12}}
  warmup: {{epochs: 1, batch_size: 12}}
  joint: {{epochs: 2, batch_size: 12}}
  finetune: {{epochs: 1, batch_size: 12}}
  fusion: {{epochs: 1, batch_size: 12}}
search:
  lambda.rgb: {{log: [0.05, 4]}}
  lambda.audio: {{log: [0.02, 2]}}
baselines: [unimodal, weighted_fusion]
budget: {{trials: 2}}
storage: {storage}
"""


def explorer(*arguments: str, cwd: Path, code: int = 0) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "COLUMNS": "200", "RAY_USAGE_STATS_ENABLED": "0"}
    command = [sys.executable, "-m", "explorer.cli.app", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=environment, timeout=300, check=False)
    assert done.returncode == code, f"{arguments}\n{done.stdout}\n{done.stderr}"
    return done


@dataclass(frozen=True)
class Swept:
    folder: Path
    sweep: dict
    clips: Path
    yaml: Path


@pytest.fixture(scope="module")
def swept(tour: Tour) -> Swept:
    """The tutorial's sweep, which is finished."""
    done = explorer("sweep", str(tour.space), "--json", cwd=tour.folder)
    return Swept(tour.folder, json.loads(done.stdout), tour.manifest, tour.space)


def test_a_sweep_gives_a_front_with_baselines_and_finished_trials(swept):
    assert swept.sweep["trials"] == {"complete": 2}
    front = swept.sweep["front"]
    gflops = [point["gflops"] for point in front["points"]]
    assert gflops == sorted(gflops)
    assert {"unimodal.rgb", "unimodal.audio", "weighted_fusion"} == {b["name"] for b in front["baselines"]}
    assert all(Path(point["checkpoint"]).is_file() for point in front["points"])


def test_unimodal_nets_and_warmup_are_trained_once_for_both_trials(swept):
    stages = [json.loads(f.read_text())["stage"] for f in (swept.folder / "runs" / "store").rglob("stage.json")]
    assert sorted(stages).count("warmup") == 1
    assert sorted(stages).count("unimodal.rgb") == 1
    assert sorted(stages).count("joint") == 2


def test_running_the_sweep_again_trains_nothing(swept):
    before = sorted((swept.folder / "runs" / "store").rglob("stage.json"))
    again = json.loads(explorer("sweep", str(swept.yaml), "--json", cwd=swept.folder).stdout)
    assert sorted((swept.folder / "runs" / "store").rglob("stage.json")) == before
    assert again["front"] == swept.sweep["front"]


def test_front_pick_and_predict_agree_on_one_video(swept):
    sweep_folder = swept.sweep["folder"]
    front = json.loads(explorer("front", sweep_folder, "--json", cwd=swept.folder).stdout)
    assert front == json.loads(explorer("front", str(swept.yaml), "--json", cwd=swept.folder).stdout)
    dearest = front["points"][-1]
    picked = json.loads(
        explorer("pick", sweep_folder, "--max-gflops", str(dearest["gflops"] * 1.01), "--json", cwd=swept.folder).stdout
    )
    assert picked["point_id"] == dearest["point_id"]
    assert picked["test"]["split"] == "test"
    assert {f.name for f in Path(picked["folder"]).iterdir()} >= {"weights.safetensors", "pick.json", "README.md"}

    videos = sorted((swept.clips.parent / "videos").rglob("*.mp4"))[:3]
    predicted = json.loads(explorer("predict", picked["folder"], *map(str, videos), "--json", cwd=swept.folder).stdout)
    assert [p["path"] for p in predicted] == [str(v) for v in videos]
    for prediction in predicted:
        assert len(prediction["decisions"]) == 10 * 2
        assert {d["choice"] for d in prediction["decisions"]} <= {"use", "skip"}
        assert 0 < prediction["probability"] <= 1

    broken = swept.folder / "broken.mp4"
    broken.write_bytes(b"no video")
    arguments = ("predict", picked["folder"], str(broken), str(videos[0]), "--json")
    partly = explorer(*arguments, cwd=swept.folder, code=1)
    assert [p["label"] for p in json.loads(partly.stdout)] == [predicted[0]["label"]]
    assert "broken.mp4" in partly.stderr and "Traceback" not in partly.stderr


def test_the_first_trial_is_conditioned_and_its_pick_takes_a_budget_when_it_runs(swept):
    from explorer import api

    front = api.Front.load(swept.sweep["folder"])
    conditioned = [c for c in front.candidates if "lambda.rgb" in c.point.knobs]
    assert 0 in {c.trial for c in conditioned}
    assert {c.trial for c in front.candidates} == {0, 1}
    folder = str(api.pick(front, point_id=conditioned[-1].point_id, name="conditioned").folder)
    curve = json.loads(Path(folder, "pick.json").read_text())["curve"]
    videos = [str(v) for v in sorted((swept.clips.parent / "videos").rglob("*.mp4"))[:2]]
    cheapest, dearest = curve[0], curve[-1]
    for setting in (cheapest, dearest):
        budget = str(setting["gflops"]["full"] * 1.001)
        told = json.loads(
            explorer("predict", folder, *videos, "--budget-gflops", budget, "--json", cwd=swept.folder).stdout
        )
        by_hand = api.load_model(folder)
        object.__setattr__(by_hand, "knobs", setting["knobs"])
        assert [p["gflops"] for p in told] == [p.gflops for p in by_hand.predict(videos)]
    too_little = explorer("predict", folder, *videos, "--budget-gflops", "1e-9", cwd=swept.folder, code=2)
    assert f"the cheapest costs {cheapest['gflops']['full']:.4g}" in too_little.stderr
    mean = str(cheapest["gflops"]["full"])
    stream = explorer("predict", folder, *videos, "--mean-gflops", mean, cwd=swept.folder).stdout
    assert stream.splitlines()[-1].startswith("2 videos: ")


def test_predictions_on_the_test_videos_equal_the_picks_test_measurement(swept):
    from explorer import api

    front = api.Front.load(swept.sweep["folder"])
    picked = api.pick(front, min_accuracy=0.0, name="by-api")
    rows = [json.loads(line) for line in swept.clips.read_text().splitlines()]
    test = sorted((row for row in rows if row["split"] == "test"), key=lambda row: row["id"])
    predictions = api.predict(picked.folder, [swept.clips.parent / row["path"] for row in test])
    right = [p.label == row["label_name"] for p, row in zip(predictions, test, strict=True)]
    measured = picked.point.test
    assert measured is not None
    assert right == measured.correct_B().tolist()
    mean_gflops = sum(p.gflops for p in predictions) / len(predictions)
    assert mean_gflops == pytest.approx(measured.gflops["full"], rel=1e-5)


def test_mlflow_holds_the_sweep_its_stages_and_trials_and_nothing_runs(swept):
    from mlflow import MlflowClient

    client = MlflowClient(swept.sweep["tracking"])
    runs = [run for e in client.search_experiments() for run in client.search_runs([e.experiment_id])]
    parents = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
    assert len(parents) == 1
    assert all(run.info.status == "FINISHED" for run in runs)
    names = sorted(run.info.run_name for run in runs if run not in parents)
    assert len(names) == 2 + 4, (
        names
    )  # two trials with stages of their own; two unimodal nets, warm-up and fusion, shared
    artifacts = {a.path for a in client.list_artifacts(parents[0].info.run_id)}
    assert {"front.html", "front.json"} <= artifacts
    assert client.get_metric_history(parents[0].info.run_id, "hypervolume")


def test_train_takes_the_stages_of_the_sweep_from_its_store(swept):
    done = explorer("train", str(swept.yaml), "--json", cwd=swept.folder)
    stages = {stage["stage"]: stage["reused"] for stage in json.loads(done.stdout)}
    assert stages["unimodal.rgb"] and stages["warmup"] and stages["weighted_fusion"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["pick", "{sweep}", "--max-gflops", "0.0000001"], "the cheapest costs"),
        (["predict", "{sweep}", "{video}"], "pick"),
        (["front", "no-such-sweep"], "no sweep"),
        (
            ["plan", "{yaml}", "--check", "-o", "recognition.rgb.checkpoint=no.pth"],
            "checkpoint must be an existing file",
        ),
        (["cost", "{yaml}", "--rates", "rgb=2,audio=0.5"], "[0, 1]"),
        (["cost", "{yaml}", "--rates", "rgb"], "rgb=0.46"),
        (["sweep", "{yaml}", "-o", "search.lambda.rgb.log=[4, 0.05]", "-o", "sampler=best"], "sampler"),
    ],
)
def test_wrong_input_ends_with_exit_code_2_and_no_stack_trace(swept, arguments, says):
    filled = [a.format(sweep=swept.sweep["folder"], yaml=swept.yaml, video=swept.folder / "new.mp4") for a in arguments]
    done = explorer(*filled, cwd=swept.folder, code=2)
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_a_changed_data_set_under_the_same_name_is_refused(swept, tmp_path):
    rows = swept.clips.read_text().splitlines()
    fewer = swept.clips.with_name("fewer.jsonl")
    fewer.write_text("\n".join(rows[:-1]) + "\n")
    done = explorer("sweep", str(swept.yaml), "-o", f"data.manifest={fewer}", cwd=swept.folder, code=2)
    assert "data (content of manifest and files)" in done.stderr


def test_broken_files_are_told_before_a_study_or_a_trial_exists(clips, tmp_path):
    rows = [json.loads(line) for line in clips.read_text().splitlines()]
    for row in rows:
        row["path"] = str(clips.parent / row["path"])
    broken = tmp_path / "broken.mp4"
    broken.write_text("not a video")
    rows[0]["path"] = str(broken)
    manifest = tmp_path / "manifest.jsonl"
    manifest.write_text("\n".join(json.dumps(row) for row in rows) + "\n")
    yaml = tmp_path / "space.yaml"
    yaml.write_text(SPACE.format(manifest=manifest, storage=tmp_path / "runs"))
    done = explorer("sweep", str(yaml), cwd=tmp_path, code=2)
    assert str(broken) in done.stderr and "Traceback" not in done.stderr
    assert not (tmp_path / "runs" / "whole-way" / "study.journal").exists()


def test_plan_check_reads_the_manifest(tmp_path):
    manifest = tmp_path / "manifest.jsonl"
    manifest.write_text("{not json}\n")
    yaml = tmp_path / "space.yaml"
    yaml.write_text(SPACE.format(manifest=manifest, storage=tmp_path / "runs"))
    done = explorer("plan", str(yaml), "--check", cwd=tmp_path, code=2)
    assert "line 1" in done.stderr


def test_the_timeline_says_so_where_nothing_was_used(tmp_path):
    from explorer.cli.predict import timeline
    from explorer.predict import VideoPrediction
    from trainables.contract import Decision, Prediction

    def shown(choice: str) -> str:
        decision = Decision(site="rgb", index=0, start_s=0.0, end_s=0.8, choice=choice)
        found = Prediction(probability_C=[1.0], decisions=[decision], gmacs={"paper": 1.0, "full": 1.0})
        video = VideoPrediction(
            path=tmp_path, label="disc", probability=1.0, gflops=1.0, convention="full", prediction=found
        )
        return "\n".join(timeline(video, all_on_gflops=2.0))

    assert "nothing was used" in shown("skip")
    assert "nothing was used" not in shown("use")


def test_the_timeline_tells_shares_of_segments_that_have_parts(tmp_path):
    from explorer.cli.predict import timeline
    from explorer.predict import VideoPrediction
    from trainables.contract import Decision, Prediction

    decisions = [
        Decision(site="layer", index=i, start_s=i, end_s=i + 1, choice="use" if share else "skip", share=share)
        for i, share in enumerate((0.0, 0.01, 0.5, 0.99, 1.0))
    ]
    found = Prediction(probability_C=[1.0], decisions=decisions, gmacs={"paper": 1.0, "full": 1.0})
    video = VideoPrediction(
        path=tmp_path, label="disc", probability=1.0, gflops=1.0, convention="full", prediction=found
    )
    text = "\n".join(timeline(video, all_on_gflops=2.0))
    assert "layer  · ▁ ▄ ▇ ■  50% on average" in text
    assert "between them a share" in text
