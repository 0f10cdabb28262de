"""What lies below the plot: decisions, history, importances, the paper's rows, seconds."""

import json
import re
import subprocess
import sys

import numpy as np
import optuna
import pytest

from explorer.browse import Front
from explorer.errors import UserError
from explorer.report.page.analysis import dimensions, history
from explorer.report.page.decisions import chosen_videos, decisions
from explorer.report.page.published import published_rows
from explorer.report.page.sweep import sweep_data
from explorer.report.tables import time_table
from explorer.search.importance import FEWEST_TRIALS, importances
from explorer.times import measure_times, read_times
from tests.report.planted import CLASSES, SEGMENTS, joint_settings, planted_sweep, replay, write_planted_times
from tests.tour import ROOT, commands_of
from trainables.kit.data.config import DATA_PRESETS, DataConfig
from trainables.kit.data.manifest import read_manifest
from trainables.kit.data.shown import segment_pictures
from trainables.timing import TimedPart, TimeTable

# --- seconds ----------------------------------------------------------------------------------------------------------


TIMES = TimeTable(
    parts=(
        TimedPart(name="decode", kind="preprocess", seconds=0.2, sites=("rgb",), policy=True, by_segment=False),
        TimedPart(name="flow", kind="preprocess", seconds=10.0, sites=("flow",)),
        TimedPart(name="policy", kind="network", seconds=0.1, sites=(), policy=True),
        TimedPart(name="rgb", kind="network", seconds=1.0, sites=("rgb",)),
    ),
    videos=1, batch=10, device="cpu", threads=1, torch="0",
)  # fmt: skip


def test_seconds_are_rates_times_measured_parts_and_the_policy_s_own_are_always_paid():
    assert TIMES.seconds({"rgb": 0.5, "flow": 0.1}, policy=True) == {
        "decode": 0.2,
        "flow": 1.0,
        "policy": 0.1,
        "rgb": 0.5,
    }
    assert TIMES.network_s({"rgb": 0.5, "flow": 0.1}, policy=True) == pytest.approx(0.6)
    assert TIMES.total_s({"rgb": 0.0, "flow": 0.0}, policy=True) == pytest.approx(0.3)


def test_a_forced_mode_pays_for_no_policy_and_decodes_only_what_it_uses():
    assert TIMES.seconds({"rgb": 1.0}, policy=False) == {"decode": 0.2, "flow": 0.0, "policy": 0.0, "rgb": 1.0}
    assert TIMES.total_s({"audio": 1.0}, policy=False) == 0.0


def test_fronts_in_seconds_are_their_own(tmp_path):
    write_planted_times(tmp_path)
    front = Front.of(planted_sweep(tmp_path))
    data = sweep_data(front)
    times = front.times.times
    on_front = {row["id"] for row in data["rows"] if row["front"]["total_s"]}
    for a in (p for p in front.candidates if p.point_id in on_front):
        assert not any(
            b.val.accuracy >= a.val.accuracy and b.total_s(times) < a.total_s(times) for b in front.candidates
        )
    row = data["rows"][0]
    assert sum(row["seconds"]) == pytest.approx(row["cost"]["total_s"], rel=1e-2)


def test_a_table_of_seconds_ends_in_their_sum_and_says_where_it_was_measured(tmp_path):
    from tests.report.test_pages import text_of

    write_planted_times(tmp_path)
    text = text_of(time_table(Front.of(planted_sweep(tmp_path))))
    assert "decode pictures" in text and "290" in text and "a planted processor" in " ".join(text.split())


def test_a_damaged_measurement_is_as_none(tmp_path):
    write_planted_times(tmp_path)
    (tmp_path / "times.json").write_text("{")
    assert read_times(tmp_path) is None


def test_a_system_without_files_says_that_it_measures_no_time(real_space):
    with pytest.raises(UserError, match="offers no measurement of time"):
        measure_times(real_space.folder)


def test_real_files_and_networks_are_timed(clips):
    from trainables.adamml.system import AdaMMLSystem

    system = AdaMMLSystem()
    raw = {
        **system.presets["tiny"],
        "data": {**DATA_PRESETS["tiny"], "manifest": str(clips), "modalities": ["rgb", "flow", "audio"]},
    }
    config = system.Config.model_validate(raw)
    files = list(system.val_files(config).values())
    assert len(files) == 6
    table = system.measure_time(config, 6, files[:2])
    parts = {part.name: part for part in table.parts}
    assert all(part.seconds > 0 for part in table.parts) and table.videos == 2
    assert {
        "rgb: decode, crop",
        "decode sound",
        "spectrogram",
        "flow",
        "policy network",
        "flow network",
    } <= parts.keys()
    assert parts["rgb: decode, crop"].policy and parts["rgb: decode, crop"].by_segment
    assert parts["decode sound"].sites == ("audio",) and not parts["decode sound"].by_segment
    assert parts["flow"].by_segment and parts["rgb network"].sites == ("rgb",)


# --- decisions --------------------------------------------------------------------------------------------------------


def test_shares_by_class_and_segment_are_those_of_the_replay_table(tmp_path):
    front = Front.of(planted_sweep(tmp_path, trials=2))
    point = next(p for p in front.candidates if p.trial == 1 and p.point.epoch == 2)
    found = decisions(front, [point])["chosen"][point.point_id]
    table = replay(0, "val", **joint_settings(1, 2))
    use_BS = table.use(point.point.knobs)[:, :, 0]
    assert found["columns"] == ["rgb", "audio"] and not found["stacked"]
    assert [line[0] for line in found["by_unit"]] == pytest.approx(use_BS.mean(0), abs=1e-3)
    expected = [use_BS[table.label_B == c].mean() for c in range(CLASSES)]
    assert [line[0] for line in found["by_class"]] == pytest.approx(expected, abs=1e-3)
    assert len(found["by_unit"]) == SEGMENTS
    assert found["sites"]["rgb"] == pytest.approx({"use": use_BS.mean(), "skip": 1 - use_BS.mean()}, abs=1e-3)


def test_gallery_without_files_says_why(tmp_path):
    front = Front.of(planted_sweep(tmp_path, trials=1))
    missing = decisions(front, front.candidates)["gallery"]["missing"]
    assert "cannot be shown" in missing and "planted.jsonl" in missing


def test_chosen_videos_are_spread_over_classes_most_varied_first():
    label_B = np.array([0, 0, 0, 1, 1, 1])
    use_BS = np.zeros((6, 4), bool)
    use_BS[1, :2] = use_BS[5, :2] = use_BS[2, :1] = True
    assert chosen_videos({"rgb": use_BS}, label_B, count=2) == [1, 5]
    assert chosen_videos({"rgb": use_BS}, label_B, count=4) == [1, 2, 3, 5]
    assert chosen_videos({"rgb": use_BS}, np.arange(6), count=3) == [0, 2, 4]


def test_pictures_come_from_the_file_and_from_the_cache_where_it_is_gone(clips, media_cache, tmp_path):
    import shutil

    from trainables.kit.data.dataset import VideoData

    folder = tmp_path / "clips"
    shutil.copytree(clips.parent, folder)
    config = DataConfig(manifest=str(folder / clips.name), **DATA_PRESETS["tiny"])
    cache = tmp_path / "cache"
    VideoData(config, cache)
    video = read_manifest(config.manifest).videos[0]
    shown = segment_pictures(config, cache, [video], config.modalities)[video.id]
    assert {site: len(row) for site, row in shown.jpeg.items()} == {"rgb": 10, "audio": 10}
    assert all(jpeg.startswith(b"\xff\xd8") for row in shown.jpeg.values() for jpeg in row)
    assert all(begin < end for begin, end in shown.bounds_s)
    video.path.unlink()
    again = segment_pictures(config, cache, [video], config.modalities)[video.id]
    assert again.jpeg["audio"] == shown.jpeg["audio"] and len(again.jpeg["rgb"]) == 10
    assert segment_pictures(config, tmp_path / "no-cache", [video], config.modalities) == {}


# --- the search -------------------------------------------------------------------------------------------------------


def test_history_counts_passes_once_a_stage_and_hours_from_the_first_trial(tmp_path):
    found = history(Front.of(planted_sweep(tmp_path, trials=3)))
    assert found["trials"] == [0, 1, 2]
    assert found["passes"] == [3, 6, 9]
    assert found["hours"] == pytest.approx([50 / 3600, 110 / 3600, 170 / 3600], rel=1e-3)
    assert found["hypervolume"]["full"] == sorted(found["hypervolume"]["full"])


def test_dimensions_keep_the_scale_of_the_search(planted):
    assert dimensions(planted.record) == [
        {"name": "lambda.rgb", "scale": "log"},
        {"name": "temperature.initial", "scale": "linear"},
    ]


def test_importance_is_of_the_parameter_that_an_objective_follows(tmp_path):
    study = _study(tmp_path / "study.journal", trials=40)
    found = importances(study, {"accuracy": "max", "gflops": "min"})
    assert found["accuracy"]["a"] > 0.8 and found["gflops"]["b"] > 0.8
    assert sum(found["accuracy"].values()) == pytest.approx(1)


def test_importance_of_few_trials_is_not_given(tmp_path):
    assert (
        importances(_study(tmp_path / "s.journal", trials=FEWEST_TRIALS - 1), {"accuracy": "max", "gflops": "min"})
        == {}
    )


def _study(path, trials: int):
    """Accuracy follows ``a`` alone, GFLOPs ``b`` alone."""
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    storage = JournalStorage(JournalFileBackend(str(path)))
    sampler = optuna.samplers.RandomSampler(seed=0)
    study = optuna.create_study(storage=storage, directions=["maximize", "minimize"], sampler=sampler)
    study.optimize(lambda t: (t.suggest_float("a", 0, 1), t.suggest_float("b", 0, 1)), n_trials=trials)
    return path


# --- the paper's rows -------------------------------------------------------------------------------------------------


def test_the_paper_s_rows_are_those_of_the_same_modalities_in_top_1(planted):
    found = published_rows(planted)
    rows = {row["method"]: row for row in found["rows"]}
    assert {"RGB", "Audio", "Weighted Fusion", "AdaMML"} <= rows.keys()
    assert {row["data_set"] for row in found["rows"]} == {"Kinetics-Sounds"}
    assert rows["AdaMML"]["share"] == pytest.approx(100 * 76.45 / 145.17)
    assert rows["AdaMML"]["accuracy"] == pytest.approx(0.8817)
    assert not found["same_networks"]


def test_a_system_without_a_paper_has_no_rows_to_compare(real_space):
    assert published_rows(Front.load(real_space.folder))["rows"] == []


# --- the whole of it on a real sweep ----------------------------------------------------------------------------------


@pytest.mark.ray
def test_the_commands_of_the_docs_measure_and_draw_a_real_sweep_and_tell_its_decisions(tour, tmp_path):
    page = tmp_path / "front.html"
    said = {}
    for words in commands_of(ROOT / "docs" / "front-page.md"):
        given = [{"quickstart": str(tour.sweep), "front.html": str(page)}.get(word, word) for word in words[1:]]
        done = subprocess.run(
            [sys.executable, "-m", "explorer.cli.app", *given], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        said[words[3]] = done.stdout
    assert "Milliseconds a video" in said["--measure-time"]
    assert "by class:" in said["--decisions"] and "rgb %" in said["--decisions"]
    [sweep] = json.loads(re.search(r'<script id="data"[^>]*>(.*?)</script>', page.read_text(), re.DOTALL)[1])["sweeps"]
    assert sweep["times"]["all_on"]["total_s"] > sweep["times"]["all_on"]["network_s"] > 0
    assert all(row["cost"]["total_s"] > 0 for row in sweep["rows"])
    assert sweep["gallery"]["videos"] and sweep["gallery"]["videos"][0]["pictures"].keys() == {"rgb", "audio"}
    assert page.stat().st_size < 8_000_000
