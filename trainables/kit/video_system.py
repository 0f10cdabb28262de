"""What every system that reads a manifest of video files does alike: :class:`VideoSystem`. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from trainables.contract import Data, Json, System
from trainables.errors import InvalidInput, UserError
from trainables.kit.data.fingerprint import data_fingerprint
from trainables.kit.data.manifest import read_manifest
from trainables.kit.data.sample import sample_manifest
from trainables.kit.data.splits import complete_splits
from trainables.kit.nets.config import NetConfig, missing_files
from trainables.pictures import VideoPictures

REHEARSED = 16  # videos to validate on and to test on in a rehearsal


class VideoSystem(System):
    """A system whose configuration has ``data: DataConfig``; it says which of its nets are in use (:meth:`nets`)."""

    def nets(self, config: Any) -> Iterator[tuple[str, NetConfig]]:
        """Dotted path and settings of every network that ``config`` uses."""
        raise NotImplementedError

    def data_fingerprint(self, config: Any) -> str:
        return data_fingerprint(config.data)

    def check_data(self, config: Any) -> None:
        problems = [problem for path, net in self.nets(config) for problem in missing_files(path, net)]
        if problems:
            raise InvalidInput("files that the configuration names", problems)
        read_manifest(config.data.manifest)

    def class_count(self, config: Any) -> int | None:
        try:
            return len(read_manifest(config.data.manifest).classes)
        except (UserError, OSError):  # what is wrong with it is told where it is needed
            return None

    def prepare_data(self, config: Any, cache: Path) -> None:
        self.open_data(config, cache)

    def rehearsal(self, config: Any, folder: Path) -> Mapping[str, Json]:
        manifest = folder / "manifest.jsonl"
        known = (*self.stages(config), *(s for stages in self.baseline_stages(config).values() for s in stages))
        sample_manifest(
            config.data.manifest,
            manifest,
            split_seed=config.data.split_seed,
            most={"train": max(stage.batch_size for stage in known), "val": REHEARSED, "test": REHEARSED},
        )
        return {**super().rehearsal(config, folder), "data.manifest": str(manifest)}

    def open_data(self, config: Any, cache: Path) -> Data:
        from trainables.kit.data.dataset import VideoData

        return VideoData(config.data, cache)

    def val_files(self, config: Any) -> Mapping[str, Path]:
        videos = read_manifest(config.data.manifest).videos
        val = set(complete_splits(videos, config.data.split_seed).ids("val"))
        return {video.id: video.path for video in videos if video.id in val}

    def pictures(self, config: Any, cache: Path, video_ids: Sequence[str]) -> Mapping[str, VideoPictures]:
        """A picture a segment for each modality, as the page's gallery shows them."""
        from trainables.kit.data.shown import segment_pictures

        by_id = {video.id: video for video in read_manifest(config.data.manifest).videos}
        videos = [by_id[name] for name in video_ids if name in by_id]
        return segment_pictures(config.data, cache, videos, config.data.modalities)
