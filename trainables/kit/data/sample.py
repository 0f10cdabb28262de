"""A few videos of a manifest, as a manifest: for a rehearsal. Imports no torch."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import chain, zip_longest
from pathlib import Path

from trainables.kit.data.manifest import SPLITS, Video, read_manifest, write_manifest
from trainables.kit.data.splits import complete_splits


def sample_manifest(manifest: Path | str, out: Path, *, split_seed: int, most: Mapping[str, int]) -> int:
    """Write a part of ``manifest`` to ``out`` and return its number of videos.

    Each split keeps at most so many videos, its classes in turn; every class of the whole keeps one at least (then there may
    be more), since labels have no gaps. Splits that the manifest does not name are made first.

    Raises:
        UserError: the manifest is broken or cannot be split, or ``out`` cannot be written.
    """
    read = read_manifest(manifest)
    videos = complete_splits(read.videos, split_seed).write_into(read.videos)
    kept: dict[str, Video] = {}
    for split in SPLITS:
        turns = _in_turn([video for video in videos if video.split == split])
        kept |= {video.id: video for video in turns[: most[split]]}
    there = {label for video in kept.values() for label in video.labels}
    for video in videos:
        if not there.issuperset(video.labels):
            kept[video.id] = video
            there.update(video.labels)
    write_manifest(out, [kept[name] for name in sorted(kept)], multi_label=read.multi_label)
    return len(kept)


def _in_turn(videos: Sequence[Video]) -> list[Video]:
    """One of each class, then a second of each, and so on."""
    by_class: dict[int, list[Video]] = defaultdict(list)
    for video in videos:
        by_class[video.label].append(video)
    turns = zip_longest(*(by_class[label] for label in sorted(by_class)))
    return [video for video in chain.from_iterable(turns) if video is not None]
