"""A manifest as batches: :class:`trainables.contract.Data` for picture and sound, and single files for ``predict``.

Axes: ``B`` video, ``S`` segment, ``M`` modality.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import torch

from trainables.contract import Batch
from trainables.errors import StageFailed
from trainables.kit.data.assemble import Assembler
from trainables.kit.data.cache import (
    Clip,
    ClipCache,
    Make,
    SoundTrack,
    Source,
    decode_all,
    decode_samples,
    lazy_flow,
    lazy_frames,
)
from trainables.kit.data.config import DataConfig
from trainables.kit.data.draws import Draws
from trainables.kit.data.entries import entries_of
from trainables.kit.data.hashing import Progress
from trainables.kit.data.manifest import SPLITS, Video, read_manifest
from trainables.kit.data.modalities import MODALITIES
from trainables.kit.data.pack import ClipFiles, OneClip, TimedClips, can_pack, open_pack
from trainables.kit.data.segments import test_starts, train_starts
from trainables.kit.data.splits import complete_splits, record_splits
from trainables.kit.memory import keep_freed_memory

# Batch norm over fewer values than this fails or misleads: a last batch below it is left out.
SMALLEST_SHARE = 2


class VideoData:
    """An opened data set, see :class:`trainables.contract.Data`.

    A training batch is drawn for all ranks together; each takes every ``ranks``-th video of it. So what is trained on does
    not depend on the number of ranks.
    """

    def __init__(
        self, config: DataConfig, cache: Path, on_progress: Progress | None = None, make: Make = decode_all
    ) -> None:
        """Decode what the cache does not hold yet (``on_progress(done, total)`` in videos), by ``make``, and open it.

        Raises:
            UserError: the manifest is broken or cannot be split, files do not decode (all are named), or flow is asked for
                and cannot be computed here.
        """
        keep_freed_memory()
        manifest = read_manifest(config.manifest)
        videos = manifest.videos
        self.config = config
        self.classes: Sequence[str] = manifest.classes
        self.splits = complete_splits(videos, config.split_seed)
        record_splits(self.splits, cache)
        sources = entries_of(videos, cache)
        entries = [name for name, _ in sources]
        store = ClipCache(cache, config)
        store.build(dict(sources), on_progress, make)
        files = ClipFiles(store, entries)
        packed = can_pack(config, int(files.timeline.frames_N.sum()))
        clips: TimedClips = open_pack(store, entries, files) if packed else files
        self._assembler = Assembler(clips, config)
        self._label_N = np.array([video.label for video in videos], dtype=np.int64)
        self._labels_NC = _multi_hot(videos, len(self.classes)) if manifest.multi_label else None
        number = {video.id: index for index, video in enumerate(videos)}
        self._ids = {split: self.splits.ids(split) for split in SPLITS}
        self._numbers = {
            split: np.array([number[name] for name in ids], dtype=np.int64) for split, ids in self._ids.items()
        }

    def ids(self, split: str) -> Sequence[str]:
        """Video ids of ``train``, ``val`` or ``test``, sorted."""
        return self._ids[split]

    def train_batches(
        self,
        *,
        modalities: Sequence[str],
        segments: int,
        batch_size: int,
        draw: tuple[int, ...],
        rank: int = 0,
        ranks: int = 1,
    ) -> Iterator[Batch]:
        """Shuffled, augmented batches; ``batch_size`` counts the videos of all ranks together.

        ``draw`` = (seed, epoch, pass) fixes order, segments and augmentation. Every rank gets the same number of
        batches. A last batch of fewer than two videos a rank is left out.

        Raises:
            StageFailed: there are too few training videos for one batch.
        """
        number_N = self._numbers["train"]
        order = np.random.default_rng([*draw, 0]).permutation(len(number_N))
        smallest = SMALLEST_SHARE * ranks
        if len(order) < smallest:
            raise StageFailed(f"training needs at least {smallest} videos for {ranks} ranks, got {len(order)}")
        share = slice(rank, None, ranks)
        for first in range(0, len(order), batch_size):
            position_B = order[first : first + batch_size]
            if first and len(position_B) < smallest:
                return
            draws = Draws(key=(*draw, 1, first), videos=len(position_B), segments=segments, share=share)
            position_B = position_B[share]
            frames_B = self._assembler.clips.frames_N[number_N[position_B]]
            start_BS = train_starts(self._assembler.spec, frames_B, draws.place_BS())
            yield self._batch("train", position_B, start_BS, modalities, draws)

    def eval_batches(
        self,
        split: str,
        *,
        modalities: Sequence[str],
        segments: int,
        batch_size: int,
        rank: int = 0,
        ranks: int = 1,
    ) -> Iterator[Batch]:
        """Every ``ranks``-th video of ``split``, in order, ``batch_size`` at a time; no video twice, none left out."""
        number_N = self._numbers[split]
        mine = np.arange(rank, len(number_N), ranks)
        for first in range(0, len(mine), batch_size):
            position_B = mine[first : first + batch_size]
            frames_B = self._assembler.clips.frames_N[number_N[position_B]]
            start_BS = test_starts(self._assembler.spec, frames_B, segments)
            yield self._batch(split, position_B, start_BS, modalities)

    def silent(self) -> Sequence[str]:
        """Ids of the videos without a sound track."""
        samples_N = self._assembler.clips.sound_samples_N
        return [
            name
            for split in SPLITS
            for name, number in zip(self._ids[split], self._numbers[split], strict=True)
            if not samples_N[number]
        ]

    def _batch(
        self,
        split: str,
        position_B: np.ndarray,
        start_BS: np.ndarray,
        modalities: Sequence[str],
        draws: Draws | None = None,
    ) -> Batch:
        video_B = self._numbers[split][position_B]
        inputs = self._assembler.inputs(video_B, start_BS, modalities, draws)
        return Batch(
            inputs=inputs.tensors,
            label_B=torch.from_numpy(self._label_N[video_B]),
            present_BSM=inputs.present_BSM,
            index_B=torch.from_numpy(position_B),
            labels_BC=None if self._labels_NC is None else torch.from_numpy(self._labels_NC[video_B]),
        )


class LoadedFile:
    """One file's segments as in a test; what is not read is neither decoded nor computed.

    ``start_s_S`` and ``end_s_S``: when each segment begins and ends, in seconds.
    """

    def __init__(self, path: Path, config: DataConfig, segments: int) -> None:
        self._source, self._config = Source(path=path), config
        self._frames = lazy_frames(self._source, config)
        self._pictures = self._assembler(None)
        self._video_B = np.zeros(1, dtype=np.int64)
        self._start_BS = test_starts(self._pictures.spec, self._pictures.clips.frames_N, segments)
        begin_s, end_s = self._pictures.bounds_s(self._video_B, self._start_BS)
        self.start_s_S: tuple[float, ...] = tuple(begin_s[0].tolist())
        self.end_s_S: tuple[float, ...] = tuple(end_s[0].tolist())

    def read(self, modality: str, segments: Sequence[int]) -> torch.Tensor:
        """The input of some of the segments, ``[len(segments), T, C, H, W]``; only their frames are decoded.

        Raises:
            DecodeError: what they need does not decode.
        """
        start_BS = self._start_BS[:, list(segments)]
        return self._of(modality).inputs(self._video_B, start_BS, (modality,)).tensors[modality][0]

    def present(self, modality: str) -> list[bool]:
        """For every segment, whether there is a signal."""
        return self._of(modality).present(self._video_B, self._start_BS, (modality,))[0, :, 0].tolist()

    def _of(self, modality: str) -> Assembler:
        return self._sounds if "sound" in MODALITIES[modality].tracks else self._pictures

    @cached_property
    def _sounds(self) -> Assembler:
        """Sound is decoded whole, which takes a tenth of the picture's time, and only where something asks for it."""
        return self._assembler(decode_samples(self._source, self._config))

    def _assembler(self, sound: SoundTrack | None) -> Assembler:
        flow = lazy_flow(self._frames, self._config) if "flow" in self._config.tracks else None
        return Assembler(OneClip(Clip(frames=self._frames, sound=sound, flow_FHW2=flow), self._config), self._config)


def load_file(path: Path | str, config: DataConfig, *, segments: int | None = None) -> LoadedFile:
    """One file, which needs no manifest; ``segments`` defaults to the configuration's for tests.

    Raises:
        DecodeError: the file is not a video, or is cut off.
        UserError: flow is among the inputs and cannot be computed here.
    """
    return LoadedFile(Path(path), config, segments or config.segments.test)


def _multi_hot(videos: Sequence[Video], classes: int) -> np.ndarray:
    """Bool ``[N, C]``: all labels of every video."""
    labels_NC = np.zeros((len(videos), classes), bool)
    for number, video in enumerate(videos):
        labels_NC[number, list(video.labels)] = True
    return labels_NC
