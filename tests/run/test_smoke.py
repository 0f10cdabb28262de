"""``explorer sweep --smoke``: what a rehearsal keeps of its search space. The tutorial's test runs one."""

from __future__ import annotations

from pathlib import Path

import pytest

from explorer import submit
from explorer.errors import SweepFailed
from explorer.smoke import rehearsed, smoke
from explorer.spec.load import load_space
from explorer.spec.space import SearchSpace
from trainables.kit.data.manifest import read_manifest
from trainables.kit.data.sample import sample_manifest


def tiny(manifest: Path, storage: Path) -> SearchSpace:
    return load_space("adamml_small", [f"data.manifest={manifest}", f"storage={storage}", "tracking=none"])


def test_a_sample_keeps_every_class_and_no_more_videos_than_asked_for(clips, tmp_path):
    kept = sample_manifest(clips, tmp_path / "few.jsonl", split_seed=0, most={"train": 8, "val": 3, "test": 2})
    whole, few = read_manifest(clips), read_manifest(tmp_path / "few.jsonl")
    assert (kept, few.classes) == (8 + 3 + 2, whole.classes)
    assert set(few.videos) <= set(whole.videos)
    # So few that a class would be missing: it keeps one.
    sample_manifest(clips, tmp_path / "one.jsonl", split_seed=0, most={"train": 1, "val": 1, "test": 1})
    assert read_manifest(tmp_path / "one.jsonl").classes == whole.classes


def test_a_rehearsal_keeps_the_sizes_of_its_search_space_and_writes_into_its_own_folder_only(clips, tmp_path):
    space = tiny(clips, tmp_path / "runs")
    folder = tmp_path / "runs" / ".smoke" / space.name
    folder.mkdir(parents=True)
    small = rehearsed(space, folder)
    was, now = space.base_config(), small.base_config()
    assert {stage.epochs for stage in small.load_system().stages(now)} == {1}
    assert now.stages.joint.batch_size == was.stages.joint.batch_size
    assert now.recognition == was.recognition and now.data.segments == was.data.segments
    assert small.search == space.search and small.baselines == space.baselines
    places = (small.folder, small.store_folder, small.cache_folder, Path(now.data.manifest))
    assert all(place.is_relative_to(folder) for place in places)


def test_a_rehearsal_that_fails_names_the_folder_that_it_leaves(clips, tmp_path, monkeypatch):
    def fail(space, observers, address):
        raise SweepFailed("the loss is not a number")

    monkeypatch.setattr(submit, "sweep", fail)
    folder = tmp_path / "runs" / ".smoke" / "adamml-small"
    with pytest.raises(SweepFailed, match=f"not a number; its folder is left to look at: {folder}"):
        smoke(tiny(clips, tmp_path / "runs"))
    assert (folder / "manifest.jsonl").is_file()
