"""Picks: the chosen point as a folder that holds all that is needed to use it."""

import json
import shutil

import pytest
from safetensors.numpy import load_file

from explorer.api import Front, pick
from explorer.browse import FrontPoint
from explorer.errors import CheckpointMissing, NoPoint, UserError
from trainables.systems import load_system


@pytest.fixture
def front(real_space, tmp_path) -> Front:
    """The real front in a copy of its storage, free to be written to."""
    shutil.copytree(real_space.storage, tmp_path / "runs", ignore=shutil.ignore_patterns("picks"))
    return Front.load(tmp_path / "runs" / real_space.name)


def test_pick_writes_weights_facts_and_a_model_card(front):
    picked = pick(front, max_gflops=1.0)
    assert picked.folder == front.folder / "picks" / "budget-1gflops"
    assert sorted(p.name for p in picked.folder.iterdir()) == ["README.md", "pick.json", "weights.safetensors"]
    assert load_file(picked.folder / "weights.safetensors").keys() == load_file(picked.point.checkpoint).keys()
    facts = json.loads((picked.folder / "pick.json").read_text())
    assert facts["point_id"] == picked.point.point_id
    assert facts["knobs"] == dict(picked.point.point.knobs)
    assert facts["classes"] == [f"class-{c}" for c in range(4)]
    assert facts["measured"]["val"]["accuracy"] == picked.point.val.accuracy
    assert facts["measured"]["test"]["accuracy"] == picked.point.test.accuracy
    assert facts["provenance"]["key"] == picked.point.point.key
    assert facts["provenance"]["videos"] == {"train": 48, "val": 64, "test": 64}
    assert facts["wish"] == {"max_gflops": 1.0, "convention": "full"}


def test_picked_configuration_is_the_one_that_was_trained(front):
    facts = json.loads((pick(front, max_gflops=1.0).folder / "pick.json").read_text())
    config = load_system(facts["system"]).Config.model_validate(facts["config"])
    assert config.lambda_.rgb == facts["parameters"]["lambda.rgb"]


def test_json_is_the_point_with_its_test_measurement_and_folder(front):
    picked = pick(front, max_gflops=1.0)
    raw = json.loads(json.dumps(picked.to_json(), allow_nan=False))
    assert raw["point_id"] == picked.point.point_id and raw["folder"] == str(picked.folder)
    assert raw["split"] == "val" and raw["test"]["split"] == "test"
    assert raw["test"]["accuracy"] == picked.point.test.accuracy


def test_choice_is_made_on_validation_whatever_test_says(front, monkeypatch):
    best = max(front.points, key=lambda p: p.val.accuracy)
    monkeypatch.setattr(FrontPoint, "test", property(lambda self: None))
    assert pick(front, max_gflops=100).point.point_id == best.point_id


def test_model_card_states_both_splits_and_both_conventions(front):
    card = (pick(front, max_gflops=1.0).folder / "README.md").read_text()
    assert "| val (64 videos) | test (64 videos) |" in card
    assert "paper convention" in card and "full convention" in card
    assert "class-0, class-1" in card


def test_picking_again_replaces_the_folder_whole(front):
    first = pick(front, max_gflops=1.0, name="mine")
    (first.folder / "left-over").write_text("old")
    second = pick(front, max_gflops=1.0, name="mine")
    assert second.folder == first.folder
    assert not (second.folder / "left-over").exists()
    assert [p.name for p in second.folder.parent.iterdir()] == ["mine"]


def test_no_point_within_budget_writes_nothing_and_names_the_nearest(front):
    with pytest.raises(NoPoint, match="the cheapest costs"):
        pick(front, max_gflops=1e-9)
    assert not (front.folder / "picks").exists()


def test_a_named_point_is_picked_whatever_else_the_front_holds(front):
    for point in (front.points[0], front.points[-1], front.baselines[0]):
        picked = pick(front, point_id=point.point_id)
        assert picked.point is point and picked.folder.name == f"point-{point.name or point.point_id}"
        assert json.loads((picked.folder / "pick.json").read_text())["wish"]["point_id"] == point.point_id


def test_a_named_point_beside_a_budget_is_refused(front):
    with pytest.raises(UserError, match="--point names one point"):
        pick(front, point_id=front.points[0].point_id, max_gflops=1.0)


def test_a_named_point_whose_weights_were_dropped_is_refused_with_those_that_are_kept(front):
    point = front.points[-1]
    point.checkpoint.unlink()
    with pytest.raises(UserError, match=f"the weights of {point.point_id} were dropped"):
        pick(front, point_id=point.point_id)


@pytest.mark.parametrize("name", ["../out", "", ".hidden", "a/b"])
def test_a_name_that_cannot_be_a_folder_is_refused(front, name):
    if name == "":
        assert pick(front, max_gflops=1.0, name=name).folder.name == "budget-1gflops"
        return
    with pytest.raises(UserError, match="letters, digits"):
        pick(front, max_gflops=1.0, name=name)


def test_damaged_weights_are_never_handed_out(front):
    point = front.points[-1]
    point.checkpoint.write_bytes(b"damaged")
    with pytest.raises(CheckpointMissing):
        pick(front, max_gflops=100)
    assert not (front.folder / "picks" / "budget-100gflops").exists()
