"""Train, val, test: taken from the manifest, completed where it names fewer than three. Imports no torch.

With none or one of the names given, all videos are divided anew, 80/10/10. With ``train`` and one other, the third is
carved from ``train`` as 10 % of it. The division is seeded, keeps the shares of every label, and never tears a ``group``
(or, where none is named, the parts of one file) apart.
"""

from __future__ import annotations

import json
import os
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from trainables.errors import InvalidInput
from trainables.kit.data.hashing import hash_json
from trainables.kit.data.manifest import SPLITS, Video

Rule = Literal["given", "three_way_80_10_10", "val_10_percent_of_train", "test_10_percent_of_train"]
# What a rule means, for people.
MEANINGS: Mapping[Rule, str] = {
    "given": "as the source says",
    "three_way_80_10_10": "divided 80/10/10",
    "val_10_percent_of_train": "val is a tenth of what was train",
    "test_10_percent_of_train": "test is a tenth of what was train",
}
ALGORITHM_VERSION = 1


@dataclass(frozen=True, kw_only=True)
class Splits:
    """Which split each video is in, and how that came about. ``seed`` is None when the manifest gave all three."""

    assignment: Mapping[str, str]
    rule: Rule
    seed: int | None

    @property
    def key(self) -> str:
        """Short content hash: names the record."""
        return hash_json([dict(self.assignment), self.rule, self.seed, ALGORITHM_VERSION])[:16]

    def ids(self, split: str) -> tuple[str, ...]:
        """Ids of one split, sorted."""
        return tuple(sorted(name for name, where in self.assignment.items() if where == split))

    def write_into(self, videos: Sequence[Video]) -> list[Video]:
        """The videos, each with its split."""
        return [replace(video, split=self.assignment[video.id]) for video in videos]


def complete_splits(videos: Sequence[Video], seed: int) -> Splits:
    """Assign every video to train, val or test.

    Raises:
        InvalidInput: the given splits have no ``train``, or a split would be empty.
    """
    given = {video.split for video in videos} - {None}
    fixed = {video.id: str(video.split) for video in videos if video.split is not None}
    rule: Rule
    if given == set(SPLITS):
        return Splits(assignment=fixed, rule="given", seed=None)
    if len(given) <= 1:
        rule, made = "three_way_80_10_10", _divide(videos, {"train": 0.8, "val": 0.1, "test": 0.1}, seed)
    elif "train" not in given:
        raise InvalidInput("splits", ["a manifest with val and test must have train, got no video in it; name some"])
    else:
        missing = next(name for name in SPLITS if name not in given)
        rule = "val_10_percent_of_train" if missing == "val" else "test_10_percent_of_train"
        train = [video for video in videos if video.split == "train"]
        made = {**fixed, **_divide(train, {"train": 0.9, missing: 0.1}, seed)}
    sizes = Counter(made.values())
    empty = [name for name in SPLITS if not sizes[name]]
    if empty:
        raise InvalidInput(
            "splits",
            [
                f"{name} must hold at least one video, got none of {len(videos)} in all; add videos or name the splits"
                for name in empty
            ],
        )
    return Splits(assignment=made, rule=rule, seed=seed)


def record_splits(splits: Splits, folder: Path) -> Path:
    """Write the assignment as ``splits-HASH.json`` into ``folder``, unless it is there already."""
    path = folder / f"splits-{splits.key}.json"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        aside = path.with_name(f"{path.name}.{os.getpid()}.tmp")
        record = {"rule": splits.rule, "seed": splits.seed, "assignment": dict(splits.assignment)}
        aside.write_text(json.dumps(record, indent=1, sort_keys=True))
        os.replace(aside, path)
    return path


def _divide(videos: Sequence[Video], shares: Mapping[str, float], seed: int) -> dict[str, str]:
    """Greedy: groups in random order, the largest first, each to the split that lacks most of its labels.

    Ties go to the split that lacks most videos in all.
    """
    groups: dict[str, list[Video]] = defaultdict(list)
    for video in sorted(videos, key=lambda video: video.id):
        groups[video.source].append(video)
    members = list(groups.values())
    order = sorted(np.random.default_rng([seed, 1]).permutation(len(members)), key=lambda i: -len(members[i]))
    labels = Counter(label for video in videos for label in video.labels)
    lacking = {name: {label: share * count for label, count in labels.items()} for name, share in shares.items()}
    total = {name: share * len(videos) for name, share in shares.items()}
    assignment = {}
    for index in order:
        group = members[index]
        need = {name: sum(lacking[name][label] for video in group for label in video.labels) for name in shares}
        best = max(shares, key=lambda name: (round(need[name], 9), total[name]))
        for video in group:
            assignment[video.id] = best
            for label in video.labels:
                lacking[best][label] -= 1
        total[best] -= len(group)
    return assignment
