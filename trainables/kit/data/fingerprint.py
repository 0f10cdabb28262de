"""What identifies a data set: equal fingerprint, equal training result. Imports no torch."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from trainables.kit.data.config import DataConfig
from trainables.kit.data.hashing import Progress, default_cache, hash_files, hash_json
from trainables.kit.data.manifest import Video, read_manifest
from trainables.kit.data.splits import Splits, complete_splits


def fingerprint(
    videos: Sequence[Video], splits: Splits, cache: Path | None = None, on_progress: Progress | None = None
) -> str:
    """Hash over ids, labels, splits, parts and the content of every file, in hex.

    Neither the order of lines nor the place of the files enters. ``cache`` is where file hashes are remembered
    (default: the user's cache folder), so that a second call reads no video.
    """
    ordered = sorted(videos, key=lambda video: video.id)
    digests = hash_files([video.path for video in ordered], cache or default_cache(), on_progress)
    rows = [
        [
            *(video.id, list(video.labels), list(video.label_names), splits.assignment[video.id], digest),
            *(video.start_s, video.end_s, *([] if video.fps is None else [video.fps])),
        ]
        for video, digest in zip(ordered, digests, strict=True)
    ]
    return hash_json(rows)


def data_fingerprint(config: DataConfig, cache: Path | None = None, on_progress: Progress | None = None) -> str:
    """Fingerprint of the data set that ``config`` names.

    Raises:
        UserError: the manifest is missing or broken, or cannot be split.
    """
    try:
        status = Path(config.manifest).stat()
        videos, splits = _read(config.manifest, config.split_seed, status.st_size, status.st_mtime_ns)
    except OSError:  # the reader tells it better
        videos, splits = _read.__wrapped__(config.manifest, config.split_seed, 0, 0)
    return fingerprint(videos, splits, cache, on_progress)


@lru_cache(maxsize=4)  # asked for with every trial; reading 100,000 lines takes 3 s
def _read(manifest: str, split_seed: int, size: int, mtime_ns: int) -> tuple[tuple[Video, ...], Splits]:
    """Videos and splits of a manifest of this size and time of change."""
    videos = read_manifest(manifest).videos
    return videos, complete_splits(videos, split_seed)
