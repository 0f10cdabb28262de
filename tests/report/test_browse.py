"""The front as loaded from a sweep: what is on it, what is beside it, and what scripts read."""

import dataclasses
import json

import pytest

from explorer.browse import Front, hypervolume_history
from explorer.errors import NotFound, UserError
from explorer.fronts import hypervolume
from explorer.records import find_sweep, read_sweep
from explorer.store import Store
from tests.report.planted import planted_sweep
from tests.report.real_sweep import RealSweep, toy_space

POINT_KEYS = {
    "point_id", "system", "trial", "epoch", "knobs", "parameters", "split", "accuracy", "gflops", "rates", "checkpoint",
}  # fmt: skip


def test_json_has_the_keys_that_scripts_rely_on(planted):
    raw = json.loads(json.dumps(planted.to_json(), allow_nan=False))
    assert {"metric", "convention", "hypervolume", "reference", "points", "baselines"} <= raw.keys()
    assert raw["points"] and all(point.keys() >= POINT_KEYS for point in raw["points"])
    assert {base["name"] for base in raw["baselines"]} == {"unimodal.rgb", "unimodal.audio", "weighted_fusion"}
    assert all(base.keys() >= POINT_KEYS for base in raw["baselines"])
    costs = [point["gflops"] for point in raw["points"]]
    assert costs == sorted(costs)


def test_front_holds_no_baseline_and_no_point_behind_another(planted):
    assert all(p.name is None for p in planted.points)
    for a in planted.points:
        assert not any(
            b.val.accuracy >= a.val.accuracy and b.val.gflops["full"] < a.val.gflops["full"] for b in planted.candidates
        )


def test_reference_is_everything_on_at_the_best_unimodal_less_five_points(planted):
    reference = planted.reference
    unimodal = [b.test.accuracy for b in planted.baselines if b.name.startswith("unimodal")]
    assert reference.accuracy == pytest.approx(max(unimodal) - 0.05)
    assert reference.gflops == pytest.approx((14_300_000 + 3_900_000) * 5 / 1e9)
    assert reference.split == "test"
    assert planted.hypervolume == pytest.approx(
        hypervolume(planted.points, all_on_gflops=reference.gflops, reference_accuracy=reference.accuracy, split="test")
    )


def test_hypervolume_history_ends_at_the_hypervolume(planted):
    volumes = hypervolume_history(planted, range(7))
    assert len(volumes) == 7
    assert volumes[-1] == pytest.approx(planted.hypervolume)
    assert volumes[6] == volumes[5]  # the last trial has no point yet


def test_reference_without_unimodal_baselines_is_chance(tmp_path):
    record = dataclasses.replace(planted_sweep(tmp_path), baselines={})
    reference = Front.of(record).reference
    assert (reference.accuracy, reference.source) == (pytest.approx(1 / 6), "chance")


def test_conventions_differ_in_cost_and_in_nothing_else(tmp_path):
    record = planted_sweep(tmp_path)
    full, paper = Front.of(record), Front.of(record, convention="paper")
    assert paper.to_json()["convention"] == "paper"
    assert paper.all_on_gflops["paper"] == pytest.approx(17_800_000 * 5 / 1e9)
    cost = {p.point_id: p.val.gflops for p in full.candidates}
    assert all(p["gflops"] == cost[p["point_id"]]["paper"] for p in paper.to_json()["points"])


def test_points_whose_weights_were_dropped_are_not_offered(tmp_path):
    record = planted_sweep(tmp_path)
    best = Front.of(record).points[-1]
    best.checkpoint.unlink()
    again = Front.of(record)
    assert best.point_id not in {p.point_id for p in again.points}
    assert best.point_id in {p.point_id for p in again.candidates}


def test_point_ids_are_unique_and_do_not_depend_on_other_trials(tmp_path):
    few, many = Front.of(planted_sweep(tmp_path / "a", trials=2)), Front.of(planted_sweep(tmp_path / "b", trials=6))
    ids = [p.point_id for p in (*many.candidates, *many.baselines)]
    assert len(set(ids)) == len(ids)
    assert {p.point_id for p in few.candidates} < {p.point_id for p in many.candidates}


def test_find_takes_an_id_its_hash_or_a_baseline(planted):
    point = planted.points[0]
    assert planted.find(point.point_id) is point
    assert planted.find(point.point_id.rpartition("-")[2]) is point
    assert planted.find("weighted_fusion").name == "weighted_fusion"


def test_find_says_which_points_there_are(planted):
    with pytest.raises(NotFound, match=f"no point 'nothing'.*{planted.points[0].point_id}"):
        planted.find("nothing")


def test_a_stage_that_two_trials_share_counts_once_for_the_first(tmp_path):
    record = planted_sweep(tmp_path, trials=2)
    twin = dataclasses.replace(record.trials[0], number=9)
    front = Front.of(dataclasses.replace(record, trials=(twin, *record.trials)))
    assert len(front.candidates) == len(Front.of(record).candidates)
    assert {p.trial for p in front.candidates} == {0, 1}


def test_a_sweep_without_a_finished_stage_has_an_empty_front(tmp_path):
    record = dataclasses.replace(planted_sweep(tmp_path), stages={})
    front = Front.of(record)
    raw = front.to_json()
    assert (raw["points"], raw["baselines"], raw["hypervolume"], raw["reference"]) == ([], [], 0.0, None)


# --- a real folder ----------------------------------------------------------------------------------------------------


def test_front_is_loaded_from_the_study_and_the_store(real_space):
    front = Front.load(real_space.folder)
    store = Store(real_space.store_folder)
    assert front.name == "toy-sweep" and front.system == "toy" and front.trials == 4
    assert {b.name for b in front.baselines} == {"unimodal.rgb", "unimodal.audio", "weighted_fusion"}
    assert {p.point.stage for p in front.candidates} == {"joint", "finetune"}
    measured = sum(
        len(store.points(key))
        for trial in read_sweep(real_space.folder).trials
        for stage, key in trial.chain.items()
        if stage != "warmup"
    )
    assert len(front.candidates) == measured
    for point in front.points:
        assert point.checkpoint.is_file()
        assert set(point.parameters) == {"lambda.rgb", "temperature.initial"}


def test_a_sweep_that_still_runs_can_be_browsed(tmp_path):
    sweep = RealSweep(toy_space(tmp_path))
    sweep.trial()
    sweep.begin_trial()  # running: nothing of it is in the store
    front = Front.load(sweep.space.folder)
    assert {p.trial for p in front.candidates} == {0}
    assert front.baselines == ()
    sweep.book.close()


def test_a_sweep_is_found_by_folder_and_by_name(real_space):
    assert find_sweep(real_space.folder) == real_space.folder
    assert find_sweep("toy-sweep", runs=real_space.folder.parent) == real_space.folder


def test_an_unknown_sweep_is_refused_with_the_ones_there_are(real_space):
    with pytest.raises(NotFound, match=r"no sweep 'other'.*sweeps in .*: toy-sweep"):
        find_sweep("other", runs=real_space.folder.parent)


def test_a_folder_that_is_no_sweep_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"there is no sweep in .*space\.yaml is missing"):
        Front.load(tmp_path)
