"""All clips of a data set behind one interface: packed into two arrays where they are small, one by one where not.

A pack lets a batch be gathered by a few vectorised reads (48 videos of 5 segments in 4 ms of processor time, against
30 ms when every video's files are opened), and its pages are shared by all processes of a machine. It holds centre
crops, so it serves settings without a random crop only.

Axes: ``N`` video of the data set, ``B`` video of the batch, ``S`` segment, ``T`` frame or step, ``F`` band.
"""

from __future__ import annotations

import os
import shutil
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from trainables.kit.data.cache import Clip, ClipCache
from trainables.kit.data.config import DataConfig
from trainables.kit.data.hashing import hash_json
from trainables.kit.data.spectrogram import SILENCE

PACK_LIMIT_BYTES = 4 << 30
OPEN_CLIPS = 128  # open files of clips that are read one by one; a process may often have 1,024


@dataclass(frozen=True, kw_only=True)
class Timeline:
    """When everything is, for all videos. ``edges_s`` holds the videos' frame edges one after the other."""

    frames_N: np.ndarray
    edges_s: np.ndarray
    edge_offset_N: np.ndarray
    sound_start_s_N: np.ndarray
    sound_steps_N: np.ndarray  # 0: no sound track

    def edge_s(self, video_B: np.ndarray, frame_BS: np.ndarray) -> np.ndarray:
        """Presentation time of frames (or of the end, for the index one past the last), ``[B, S]``."""
        return self.edges_s[self.edge_offset_N[video_B][:, None] + frame_BS]


class ClipFiles:
    """Clips read one by one, the most recent kept open."""

    def __init__(self, cache: ClipCache, shas: Sequence[str]) -> None:
        self._cache = cache
        self._shas = shas
        self._open: OrderedDict[int, Clip] = OrderedDict()
        records = [record for sha in shas if (record := cache.entry(sha)) is not None]
        assert len(records) == len(shas), "ClipCache.build comes before reading"
        self.timeline = make_timeline(
            [np.asarray(record["edges_s"]) for record in records],
            [record["sound_start_s"] for record in records],
            [record["sound_steps"] for record in records],
        )

    def __getitem__(self, video: int) -> Clip:
        if video in self._open:
            self._open.move_to_end(video)
        else:
            self._open[video] = self._cache.read(self._shas[video])
            if len(self._open) > OPEN_CLIPS:
                self._open.popitem(last=False)
        return self._open[video]


class ClipPack:
    """Centre crops ``frames`` uint8 [sum of frames, crop, crop, 3] and ``sound_TF`` float16 [sum of steps + 1, bands].

    The last row of ``sound_TF`` is silence, so that steps outside a track can be read like any other.
    """

    def __init__(self, folder: Path, timeline: Timeline) -> None:
        # asarray: the same mapped memory without np.memmap's bookkeeping at every index.
        self.frames = np.asarray(np.load(folder / "frames.npy", mmap_mode="r"))
        self.sound_TF = np.asarray(np.load(folder / "sound.npy", mmap_mode="r"))
        self.timeline = timeline
        self._frame_offset_N = np.cumsum(timeline.frames_N) - timeline.frames_N
        self._step_offset_N = np.cumsum(timeline.sound_steps_N) - timeline.sound_steps_N

    def pictures(self, video_B: np.ndarray, index_BST: np.ndarray) -> np.ndarray:
        """Frames uint8 ``[B, S, T, crop, crop, 3]``."""
        return self.frames[self._frame_offset_N[video_B][:, None, None] + index_BST]

    def sounds(self, video_B: np.ndarray, first_BS: np.ndarray, steps: int) -> np.ndarray:
        """Windows of ``steps`` columns, float16 ``[B, S, T, F]``; silence outside the tracks."""
        step_BST = first_BS[..., None] + np.arange(steps)
        inside = (step_BST >= 0) & (step_BST < self.timeline.sound_steps_N[video_B][:, None, None])
        row_BST = np.where(inside, self._step_offset_N[video_B][:, None, None] + step_BST, len(self.sound_TF) - 1)
        return self.sound_TF[row_BST]


def make_timeline(edges: Sequence[np.ndarray], sound_start_s: Sequence[float], sound_steps: Sequence[int]) -> Timeline:
    """Lay the videos' times one after the other."""
    lengths = np.array([len(edge) for edge in edges], dtype=np.int64)
    return Timeline(
        frames_N=lengths - 1,
        edges_s=np.concatenate(edges),
        edge_offset_N=np.cumsum(lengths) - lengths,
        sound_start_s_N=np.asarray(sound_start_s, dtype=np.float64),
        sound_steps_N=np.asarray(sound_steps, dtype=np.int64),
    )


def can_pack(config: DataConfig, frames: int) -> bool:
    """Whether a data set of so many frames is small enough, and is augmented without a random crop."""
    return config.augment.resize is None and frames * config.crop_size**2 * 3 <= PACK_LIMIT_BYTES


def open_pack(cache: ClipCache, shas: Sequence[str], files: ClipFiles) -> ClipPack:
    """The pack of these clips in this order; made first where there is none. ``files`` are the same clips."""
    folder = cache.folder / f"pack-{hash_json([list(shas), cache.config.crop_size])[:16]}"
    if not folder.exists():
        with cache.one_builder():
            if not folder.exists():
                _make_pack(folder, cache.config, files)
    return ClipPack(folder, files.timeline)


def _make_pack(folder: Path, config: DataConfig, files: ClipFiles) -> None:
    aside = folder.with_name(f"{folder.name}.tmp")
    shutil.rmtree(aside, ignore_errors=True)  # left by a builder that died; we hold the lock
    aside.mkdir()
    time, crop = files.timeline, config.crop_size
    frame_rows = (int(time.frames_N.sum()), crop, crop, 3)
    sound_rows = (int(time.sound_steps_N.sum()) + 1, config.audio.bands)
    frames = np.lib.format.open_memmap(aside / "frames.npy", mode="w+", dtype=np.uint8, shape=frame_rows)
    sound = np.lib.format.open_memmap(aside / "sound.npy", mode="w+", dtype=np.float16, shape=sound_rows)
    frame, step = 0, 0
    for video in range(len(time.frames_N)):
        clip = files[video]
        frames[frame : frame + len(clip.frames_FHW3)] = centre_crop(clip.frames_FHW3, crop)
        frame += len(clip.frames_FHW3)
        if clip.sound_TF is not None:
            sound[step : step + len(clip.sound_TF)] = clip.sound_TF
            step += len(clip.sound_TF)
    sound[-1] = SILENCE
    frames.flush()
    sound.flush()
    os.rename(aside, folder)


def centre_crop(frames_FHW3: np.ndarray, size: int) -> np.ndarray:
    """The middle ``size`` x ``size`` of frames ``[..., H, W, 3]``."""
    top, left = (frames_FHW3.shape[-3] - size) // 2, (frames_FHW3.shape[-2] - size) // 2
    return frames_FHW3[..., top : top + size, left : left + size, :]
