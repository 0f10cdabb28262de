"""Registered picks: version, alias, tags, and the way back by models:/NAME@ALIAS; as a pyfunc on a table of paths."""

import json

import pandas
import pytest
from mlflow import MlflowClient

from explorer.api import load_model, pick
from explorer.cli.app import run
from explorer.errors import NotFound, TrackingFailed, UserError
from explorer.tracking.models import quiet
from explorer.tracking.registry import download
from explorer.tracking.where import tracking_of

NAME = "clips-recogniser"


@pytest.fixture(scope="module")
def registered(video_front):
    return pick(video_front, max_gflops=1000, register=NAME)


@pytest.fixture(scope="module")
def client(video_front) -> MlflowClient:
    return MlflowClient(tracking_uri=tracking_of(video_front.folder))


def test_a_registered_pick_is_a_version_with_an_alias_for_its_budget_and_tags(registered, client):
    assert registered.registered.uri == f"models:/{NAME}@budget-1000gflops"
    version = client.get_model_version_by_alias(NAME, "budget-1000gflops")
    point = registered.point
    assert version.tags["sweep"] == "video-sweep" and version.tags["trial"] == str(point.trial)
    assert float(version.tags["gflops.full.val"]) == pytest.approx(point.val.gflops["full"], rel=1e-4)
    assert float(version.tags["threshold.rgb"]) == point.point.knobs["threshold.rgb"]
    assert float(version.tags["lambda.rgb"]) == pytest.approx(point.parameters["lambda.rgb"], rel=1e-4)
    trial = client.get_run(version.run_id)
    assert trial.data.tags["trial_id"] == str(point.trial)


def test_registering_the_same_point_again_moves_the_alias_and_stores_nothing_new(registered, video_front, client):
    count = len(client.search_model_versions(f"name = '{NAME}'"))
    again = pick(video_front, max_gflops=2000.5, register=NAME).registered
    assert (again.version, again.created) == (registered.registered.version, False)
    assert again.alias == "budget-2000_5gflops"  # MLflow takes no dot in an alias
    assert len(client.search_model_versions(f"name = '{NAME}'")) == count


def test_another_point_takes_over_the_alias_of_its_budget(registered, video_front, client):
    front = video_front
    other = next(
        p
        for p in (*front.candidates, *front.baselines)
        if p.identity != registered.point.identity and p.checkpoint.is_file()
    )
    by_id = pick(front, point_id=other.point_id, register=NAME).registered
    assert by_id.version != registered.registered.version
    assert client.get_model_version_by_alias(NAME, by_id.alias).tags["point_id"] == other.point_id


def test_a_registered_model_predicts_as_its_folder_does(registered, video_front, videos, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", tracking_of(video_front.folder))
    by_name = load_model(registered.registered.uri).label(videos[0])
    assert by_name.to_json() == load_model(registered.folder).label(videos[0]).to_json()


def test_an_unknown_address_names_those_that_there_are(registered, video_front, tmp_path):
    tracking = tracking_of(video_front.folder)
    with pytest.raises(NotFound, match=f"models:/{NAME}@budget-1000gflops"):
        download(f"models:/{NAME}@budget-7gflops", tmp_path, tracking=tracking)
    with pytest.raises(UserError, match="must be given as models:/NAME@ALIAS"):
        download(f"models:/{NAME}", tmp_path, tracking=tracking)


def test_a_registry_that_does_not_answer_is_a_failure_and_no_stack_trace(registered, tmp_path, monkeypatch, capfd):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")  # the discard port: refused at once
    with pytest.raises(TrackingFailed, match=r"http://127\.0\.0\.1:9"):
        load_model(registered.registered.uri)
    assert run(["predict", registered.registered.uri, str(registered.folder)]) == 2  # no video there, told first
    assert "Traceback" not in capfd.readouterr().err


@pytest.mark.parametrize("name", ["a/b", "models:/x", " ", "a@b"])
def test_a_name_that_no_address_can_hold_is_refused_before_anything_is_written(video_front, name):
    with pytest.raises(UserError, match="registered model's name"):
        pick(video_front, max_gflops=1000, name="never", register=name)
    assert not (video_front.folder / "picks" / "never").exists()


# --- logged models and pyfunc -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def logged(video_front, client):
    experiment = client.get_experiment_by_name("video-sweep")
    return client.search_logged_models([experiment.experiment_id], "tags.`front` = 'yes'")


def test_every_checkpoint_of_the_front_is_one_small_logged_model_and_no_other_is(video_front, logged):
    checkpoints = {f"{p.point.key}/{p.point.epoch}" for p in video_front.points}
    assert {model.tags["checkpoint"] for model in logged} == checkpoints and len(logged) == len(checkpoints)
    offered = {p["point_id"] for model in logged for p in json.loads(model.tags["points"])}
    assert offered == {p.point_id for p in video_front.points}
    assert all(metric.model_id for model in logged for metric in model.metrics)


def test_a_logged_model_takes_paths_and_thresholds_and_gives_labels_decisions_and_cost(
    logged, videos, tmp_path, client
):
    import mlflow.artifacts
    import mlflow.pyfunc

    with quiet():
        local = mlflow.artifacts.download_artifacts(artifact_uri=logged[0].artifact_location, dst_path=str(tmp_path))
        loaded = mlflow.pyfunc.load_model(local)
    assert {p.name for p in loaded.metadata.signature.params.params} >= {
        "threshold.rgb",
        "threshold.audio",
        "convention",
        "budget_gflops",
        "mean_gflops",
    }
    assert loaded.metadata.get_input_schema().input_names() == ["path"]
    assert not list(tmp_path.rglob("*.pkl")) and sum(f.stat().st_size for f in tmp_path.rglob("*") if f.is_file()) < 5e6
    table = pandas.DataFrame({"path": [str(videos[0]), str(tmp_path / "none.mp4")]})
    everything = loaded.predict(table, params={"threshold.rgb": 0.0, "threshold.audio": 0.0})
    nothing = loaded.predict(table, params={"threshold.rgb": 1.0, "threshold.audio": 1.0})
    assert {d["choice"] for d in json.loads(everything["decisions"][0])} == {"use"}
    assert {d["choice"] for d in json.loads(nothing["decisions"][0])} == {"skip"}
    assert everything["gflops"][0] > nothing["gflops"][0]
    cheapest = json.loads(next(tmp_path.rglob("pick.json")).read_text())["curve"][0]
    by_knobs = loaded.predict(table, params=cheapest["knobs"])
    for budget in ("budget_gflops", "mean_gflops"):
        within = loaded.predict(table, params={budget: cheapest["gflops"]["full"]})
        assert within["decisions"].tolist() == by_knobs["decisions"].tolist()
    assert everything["error"][0] == "" and everything["label"][1] == "" and "none.mp4" in everything["error"][1]
