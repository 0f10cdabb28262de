"""A manifest as batches: :class:`trainables.contract.Data` for picture and sound, and single files for ``predict``.

Axes: ``B`` video, ``S`` segment, ``M`` modality.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from trainables.contract import Batch
from trainables.errors import StageFailed
from trainables.kit.data.assemble import Assembler, Draws, Inputs
from trainables.kit.data.cache import Clip, ClipCache, decode_clip
from trainables.kit.data.config import DataConfig
from trainables.kit.data.hashing import Progress, hash_files
from trainables.kit.data.manifest import SPLITS, read_manifest
from trainables.kit.data.pack import ClipFiles, ClipPack, Timeline, can_pack, make_timeline, open_pack
from trainables.kit.data.segments import test_starts, train_starts
from trainables.kit.data.splits import complete_splits, record_splits

# Batch norm over fewer values than this fails or misleads: a last batch below it is left out.
SMALLEST_SHARE = 2


class VideoData:
    """An opened data set, see :class:`trainables.contract.Data`.

    A training batch is drawn for all ranks together; each takes every ``ranks``-th video of it. So what is trained on does
    not depend on the number of ranks.
    """

    def __init__(self, config: DataConfig, cache: Path, on_progress: Progress | None = None) -> None:
        """Decode what the cache does not hold yet (``on_progress(done, total)`` in videos), and open it.

        Raises:
            UserError: the manifest is broken or cannot be split, or files do not decode (all are named).
        """
        manifest = read_manifest(config.manifest)
        videos = manifest.videos
        self.config = config
        self.classes: Sequence[str] = manifest.classes
        self.splits = complete_splits(videos, config.split_seed)
        record_splits(self.splits, cache)
        shas = hash_files([video.path for video in videos], cache)
        store = ClipCache(cache, config)
        store.build({sha: video.path for sha, video in zip(shas, videos, strict=True)}, on_progress)
        files = ClipFiles(store, shas)
        packed = can_pack(config, int(files.timeline.frames_N.sum()))
        clips: ClipFiles | ClipPack = open_pack(store, shas, files) if packed else files
        self._assembler = Assembler(clips, config)
        self._label_N = np.array([video.label for video in videos], dtype=np.int64)
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
            draws = Draws.of(np.random.default_rng([*draw, 1, first]), len(position_B), segments).take(share)
            position_B = position_B[share]
            frames_B = self._assembler.clips.timeline.frames_N[number_N[position_B]]
            start_BS = train_starts(self._assembler.spec, frames_B, draws.place_BS)
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
            frames_B = self._assembler.clips.timeline.frames_N[number_N[position_B]]
            start_BS = test_starts(self._assembler.spec, frames_B, segments)
            yield self._batch(split, position_B, start_BS, modalities)

    def silent(self) -> Sequence[str]:
        """Ids of the videos without a sound track."""
        steps_N = self._assembler.clips.timeline.sound_steps_N
        return [
            name
            for split in SPLITS
            for name, number in zip(self._ids[split], self._numbers[split], strict=True)
            if not steps_N[number]
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
        return _as_batch(inputs, self._label_N[video_B], position_B)


@dataclass(frozen=True, kw_only=True)
class LoadedFile:
    """One file's segments: a batch of one video (its label is -1) and when each segment begins and ends, in seconds."""

    batch: Batch
    start_s_S: tuple[float, ...]
    end_s_S: tuple[float, ...]


def load_file(
    path: Path | str, config: DataConfig, *, segments: int | None = None, modalities: Sequence[str] | None = None
) -> LoadedFile:
    """Decode one file, which needs no manifest, into a test batch; ``segments`` defaults to the configuration's.

    Raises:
        DecodeError: the file does not decode.
    """
    assembler = Assembler(_OneClip(decode_clip(Path(path), config)), config)
    video_B = np.zeros(1, dtype=np.int64)
    frames_B = assembler.clips.timeline.frames_N
    start_BS = test_starts(assembler.spec, frames_B, segments or config.segments.test)
    begin_s, end_s = assembler.bounds_s(video_B, start_BS)
    inputs = assembler.inputs(video_B, start_BS, modalities or config.modalities)
    return LoadedFile(
        batch=_as_batch(inputs, np.array([-1]), video_B),
        start_s_S=tuple(begin_s[0].tolist()),
        end_s_S=tuple(end_s[0].tolist()),
    )


class _OneClip:
    """A single decoded video, as :class:`trainables.kit.data.assemble.Clips`."""

    def __init__(self, clip: Clip) -> None:
        self._clip = clip
        steps = 0 if clip.sound_TF is None else len(clip.sound_TF)
        self.timeline: Timeline = make_timeline([clip.edges_s], [clip.sound_start_s], [steps])

    def __getitem__(self, video: int) -> Clip:
        return self._clip


def _as_batch(inputs: Inputs, label_B: np.ndarray, position_B: np.ndarray) -> Batch:
    return Batch(
        inputs=inputs.tensors,
        label_B=torch.from_numpy(label_B),
        present_BSM=inputs.present_BSM,
        index_B=torch.from_numpy(position_B),
    )
