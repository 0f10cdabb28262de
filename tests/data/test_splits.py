from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from trainables.errors import InvalidInput
from trainables.kit.data.manifest import Video
from trainables.kit.data.splits import complete_splits, record_splits


def videos(
    count: int, *, labels: int = 4, split: str | None = None, groups: int | None = None, first: int = 0
) -> list[Video]:
    return [
        Video(
            id=f"v{i:04d}",
            path=Path(f"v{i}.mp4"),
            labels=(i % labels,),
            label_names=(str(i % labels),),
            split=split,
            group=None if groups is None else f"g{i % groups}",
        )
        for i in range(first, first + count)
    ]


@pytest.mark.parametrize("split", [None, "train"])
def test_none_or_one_given_makes_80_10_10_of_every_label(split: str | None) -> None:
    given = videos(400, split=split)
    splits = complete_splits(given, seed=3)
    assert (splits.rule, splits.seed) == ("three_way_80_10_10", 3)
    counts = Counter((splits.assignment[video.id], video.label) for video in given)
    assert counts == {
        (name, label): size for name, size in (("train", 80), ("val", 10), ("test", 10)) for label in range(4)
    }


def test_missing_third_is_a_tenth_of_train_and_the_rest_stays() -> None:
    given = videos(200, split="train") + videos(40, split="val", first=200)
    splits = complete_splits(given, seed=0)
    assert splits.rule == "test_10_percent_of_train"
    assert {name: len(splits.ids(name)) for name in ("train", "val", "test")} == {"train": 180, "val": 40, "test": 20}
    assert all(splits.assignment[video.id] == "val" for video in given[200:])


def test_three_given_splits_are_kept() -> None:
    given = videos(4, split="train") + videos(2, split="val", first=4) + videos(2, split="test", first=6)
    splits = complete_splits(given, seed=0)
    assert (splits.rule, splits.seed) == ("given", None)
    assert dict(splits.assignment) == {video.id: video.split for video in given}


def test_groups_stay_together() -> None:
    given = videos(300, groups=37)
    splits = complete_splits(given, seed=0)
    homes: dict[str | None, set[str]] = {}
    for video in given:
        homes.setdefault(video.group, set()).add(splits.assignment[video.id])
    assert all(len(home) == 1 for home in homes.values())
    assert abs(len(splits.ids("train")) - 240) <= 15


def test_parts_of_a_file_stay_together() -> None:
    given = [replace(video, path=Path(f"{index // 10}.mp4")) for index, video in enumerate(videos(300))]
    splits = complete_splits(given, seed=0)
    homes = {(video.path, splits.assignment[video.id]) for video in given}
    assert len(homes) == 30


def test_shares_of_every_label_are_kept_where_videos_have_several() -> None:
    given = [
        replace(video, labels=(index % 4, 4 + index % 3), label_names=("x", "y"))
        for index, video in enumerate(videos(1200))
    ]
    splits = complete_splits(given, seed=0)
    counts = Counter((splits.assignment[video.id], label) for video in given for label in video.labels)
    whole = Counter(label for video in given for label in video.labels)
    for (split, label), count in counts.items():
        assert count == pytest.approx({"train": 0.8, "val": 0.1, "test": 0.1}[split] * whole[label], abs=3)


def test_splits_are_written_into_the_videos() -> None:
    given = videos(40)
    splits = complete_splits(given, seed=5)
    assert {video.id: video.split for video in splits.write_into(given)} == splits.assignment


def test_same_seed_same_splits_whatever_the_order_and_another_seed_differs() -> None:
    given = videos(100)
    assert complete_splits(given, 1) == complete_splits(given[::-1], 1)
    assert complete_splits(given, 1).assignment != complete_splits(given, 2).assignment


def test_a_split_that_would_be_empty_is_an_error() -> None:
    with pytest.raises(InvalidInput, match="must hold at least one video"):
        complete_splits(videos(2), seed=0)
    with pytest.raises(InvalidInput, match="must have train"):
        complete_splits(videos(4, split="val") + videos(4, split="test", first=4), seed=0)


def test_record_names_rule_seed_and_every_video(tmp_path: Path) -> None:
    splits = complete_splits(videos(40), seed=5)
    path = record_splits(splits, tmp_path)
    record = json.loads(path.read_text())
    assert path.name.startswith("splits-")
    assert (record["rule"], record["seed"]) == ("three_way_80_10_10", 5)
    assert record["assignment"] == splits.assignment
    assert record_splits(splits, tmp_path) == path
