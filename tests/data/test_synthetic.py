from __future__ import annotations

import hashlib
import json
from collections import Counter
from pathlib import Path

import av
import pytest
from typer.testing import CliRunner

from explorer.cli.data import data_app
from trainables.errors import InvalidInput
from trainables.kit.data.manifest import read_manifest
from trainables.kit.data.synthetic import CLASSES, make_plans, synthesise


def test_clips_are_h264_and_aac_of_the_stated_sizes(clips: Path) -> None:
    video = read_manifest(clips).videos[0]
    with av.open(str(video.path)) as container:
        picture, sound = container.streams.video[0], container.streams.audio[0]
        assert (picture.codec_context.name, picture.width, picture.height, picture.average_rate) == ("h264", 64, 64, 10)
        assert picture.frames == 32
        assert (sound.codec_context.name, sound.rate, sound.channels) == ("aac", 16_000, 1)


def test_manifest_names_three_splits_of_every_class(clips: Path) -> None:
    manifest = read_manifest(clips)
    assert manifest.classes == CLASSES
    counts = Counter((video.split, video.label) for video in manifest.videos)
    assert counts == {
        (split, label): size for split, size in (("train", 4), ("val", 1), ("test", 1)) for label in range(6)
    }


def test_truth_says_which_stream_carries_the_class_and_where() -> None:
    plans = make_plans(240, seed=0, segments=10)
    assert Counter(plan.kind for plan in plans) == {"both": 96, "image": 72, "audio": 72}
    for plan in plans:
        assert (sum(plan.image_informative) in (1, 2, 3)) == (plan.kind != "audio")
        assert (sum(plan.audio_informative) in (1, 2, 3)) == (plan.kind != "image")


def test_same_seed_same_bytes_and_another_seed_differs(tmp_path: Path) -> None:
    def digest(folder: str, seed: int) -> str:
        synthesise(tmp_path / folder, videos=36, seconds=3.2, seed=seed)
        files = sorted(path for path in (tmp_path / folder).rglob("*") if path.is_file())
        return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()

    assert digest("a", 1) == digest("b", 1)
    assert digest("a", 2) != digest("b", 1)


def test_too_few_or_too_short_clips_are_refused_together(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput) as caught:
        synthesise(tmp_path, videos=3, seconds=0.5)
    assert [problem.split()[0] for problem in caught.value.problems] == ["videos", "seconds"]


def test_synth_prints_one_json_document(tmp_path: Path) -> None:
    done = CliRunner().invoke(data_app, ["synth", str(tmp_path), "--videos", "36", "--seconds", "3.2", "--json"])
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert told["videos"] == 36
    assert len(read_manifest(told["manifest"]).videos) == 36


def test_every_wrong_argument_is_told_at_once_and_nothing_is_left_behind(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InvalidInput) as caught:
        synthesise(tmp_path / "file", videos=3, seed=-1, seconds=float("nan"))
    assert [problem.split()[0] for problem in caught.value.problems] == ["videos", "seconds", "seed", "videos/"]
    for seconds in (float("inf"), float("-inf")):
        with pytest.raises(InvalidInput, match=r"seconds must be 3\.2 or more"):
            synthesise(tmp_path / "new", videos=36, seconds=seconds)
    assert sorted(tmp_path.iterdir()) == [tmp_path / "file"]


def test_clips_of_an_earlier_call_go_and_other_files_stay(tmp_path: Path) -> None:
    manifest = synthesise(tmp_path, videos=38, seconds=3.2)
    (tmp_path / "videos" / "clip_99999.mp4").touch()  # like ours, but none that we made
    with manifest.open("a") as file:
        file.write(json.dumps({"id": "mine", "path": "videos/clip_99999.mp4"}) + "\n")
    synthesise(tmp_path, videos=36, seconds=3.2)
    names = sorted(path.name for path in (tmp_path / "videos").iterdir())
    assert names == [*(f"clip_{n:05d}.mp4" for n in range(36)), "clip_99999.mp4"]
