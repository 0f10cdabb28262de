"""``explorer init``: from class folders to a manifest and a search space that plan accepts."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from explorer.cli.app import run
from explorer.spec.load import load_space
from tests import tour
from trainables.kit.data.manifest import read_manifest
from trainables.kit.data.synthetic import write_clip


@pytest.fixture
def class_folders(clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The session's clips in a folder for each class; the working folder is the one above."""
    monkeypatch.chdir(tmp_path)
    return tour.class_folders(clips, tmp_path / "videos")


def begin(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict:
    assert run(["init", *arguments, "--json"]) == 0
    found: dict = json.loads(capsys.readouterr().out)
    return found


def test_a_folder_of_class_folders_becomes_a_manifest_and_a_space_that_checks(class_folders, capsys):
    begun = begin(capsys, "videos")
    manifest = read_manifest(begun["manifest"])
    assert set(manifest.classes) == {folder.name for folder in class_folders.iterdir()}
    assert begun["videos"] == len(manifest.videos) == sum(begun["splits"].values())
    assert {video.split for video in manifest.videos} == {"train", "val", "test"}
    space = load_space("videos.yaml")
    assert (space.name, space.base_config().data.modalities) == ("videos", ("rgb", "audio"))
    assert set(space.search) == {"lambda.rgb", "lambda.audio", "temperature.initial", "policy.conditioning"}
    assert run(["plan", "videos.yaml"]) == 0
    assert "warning" not in capsys.readouterr().out
    verbs = [command.split()[:3] for command in begun["next"]]
    assert verbs == [["explorer", verb, "videos.yaml"] for verb in ("sweep", "sweep", "pick")]


def test_mute_videos_give_a_search_without_sound(tmp_path, monkeypatch, capsys):
    import numpy as np

    monkeypatch.chdir(tmp_path)
    for number in range(20):
        place = tmp_path / "mute films" / ("left", "right")[number % 2]
        place.mkdir(parents=True, exist_ok=True)
        write_clip(place / f"{number}.mp4", np.full((10, 32, 32, 3), number, np.uint8), None)
    begun = begin(capsys, "mute films")
    assert (begun["modalities"], begun["mute"]) == (["rgb"], 20)
    assert "lambda.audio" not in load_space("mute-films.yaml").search


def test_nothing_is_overwritten(class_folders, capsys):
    Path("videos.yaml").write_text("mine")
    assert run(["init", "videos"]) == 2
    assert "videos.yaml is there already" in capsys.readouterr().err
    assert Path("videos.yaml").read_text() == "mine"
    assert not Path("videos.jsonl").exists()
    begin(capsys, "videos", "--name", "other")


@pytest.mark.parametrize("name", ["2024", "yes", "a-name-that-is-longer-than-the-column-of-the-comments"])
def test_any_name_that_a_sweep_can_have_makes_a_search_space(class_folders, capsys, name):
    begun = begin(capsys, "videos", "--name", name)
    assert load_space(begun["space"]).name == name


def test_files_without_a_use_are_left_out_and_named(class_folders, capsys):
    first = next(class_folders.iterdir())
    (first / "broken.mp4").write_bytes(b"no video")
    (class_folders / "beside.mp4").write_bytes(b"in no class folder")
    assert run(["init", "videos"]) == 0
    told = capsys.readouterr().out
    assert "left out      2" in told and f"{first.name}/broken.mp4: does not open" in told and "beside.mp4" in told
    assert "broken" not in Path("videos.jsonl").read_text()


@pytest.mark.parametrize(
    ("prepare", "says"),
    [
        (lambda folder: None, "does not exist"),
        (lambda folder: folder.mkdir(), "no class folders"),
        (lambda folder: folder.write_text("a list"), "explorer data import"),
        (lambda folder: (folder / "one").mkdir(parents=True) or (folder / "one" / "a.txt").touch(), "no line could be"),
    ],
)
def test_nonsense_is_refused_with_its_reason_and_nothing_is_written(prepare, says, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    prepare(tmp_path / "given")
    assert run(["init", "given"]) == 2
    assert says in capsys.readouterr().err
    assert not list(tmp_path.glob("*.yaml")) and not list(tmp_path.glob("*.jsonl"))


def test_a_single_class_is_refused(class_folders, capsys):
    keep, *others = sorted(class_folders.iterdir())
    for folder in others:
        shutil.rmtree(folder)
    assert run(["init", "videos"]) == 2
    assert f"at least 2 class folders with videos in them, got {keep.name}" in capsys.readouterr().err
