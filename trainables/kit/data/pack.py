"""All clips of a data set behind one interface: packed into one array a track where they are small, one by one where not.

A pack lets a batch be gathered by a few vectorised reads (48 videos of 5 segments in 4 ms of processor time, against
30 ms when every video's files are opened), and its pages are shared by all processes of a machine. It holds centre
crops, so it serves settings without a random crop only.

Axes: ``N`` video of the data set, ``B`` video of the batch, ``S`` segment, ``T`` frame or step, ``F`` band.
"""

from __future__ import annotations

import abc
import os
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np

from trainables.contract import Json
from trainables.kit.data.cache import Clip, ClipCache
from trainables.kit.data.config import DataConfig
from trainables.kit.data.hashing import hash_json
from trainables.kit.data.modalities.base import FrameTrack, TrackName
from trainables.kit.data.modalities.pictures import centre_box
from trainables.kit.data.spectrogram import SILENCE

PACK_LIMIT_BYTES = 4 << 30
PIXEL_BYTES = {"frames": 3, "flow": 2, "sound": 0}
OPEN_CLIPS = 128  # open clips that are read one by one, each up to 3 files; a process may often have 1,024


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


class TimedClips(abc.ABC):
    """:class:`trainables.kit.data.modalities.base.Clips`, and when everything is."""

    timeline: Timeline
    tracks: tuple[TrackName, ...]

    @property
    def frames_N(self) -> np.ndarray:
        """Number of frames of every video."""
        return self.timeline.frames_N

    @property
    def sound_steps_N(self) -> np.ndarray:
        """Length of every sound track in spectrogram columns; 0: there is none."""
        return self.timeline.sound_steps_N

    @abc.abstractmethod
    def whole(self, track: TrackName, video: int) -> FrameTrack:
        """All of one video, uncropped."""

    @abc.abstractmethod
    def pictures(self, track: TrackName, video_B: np.ndarray, index: np.ndarray) -> np.ndarray:
        """Centre crops uint8 ``[*index.shape, crop, crop, C]``; ``index`` has the videos as its first axis."""

    @abc.abstractmethod
    def sounds(self, video_B: np.ndarray, first_BS: np.ndarray, steps: int) -> np.ndarray:
        """Windows of ``steps`` columns, float16 ``[B, S, T, F]``; silence outside the tracks."""


class SingleClips(TimedClips):
    """Clips read one by one."""

    def __init__(self, config: DataConfig, timeline: Timeline) -> None:
        self.config, self.timeline, self.tracks = config, timeline, config.tracks

    @abc.abstractmethod
    def clip(self, video: int) -> Clip:
        """One of them."""

    def whole(self, track: TrackName, video: int) -> FrameTrack:
        return self.clip(video).whole(track)

    def pictures(self, track: TrackName, video_B: np.ndarray, index: np.ndarray) -> np.ndarray:
        crops = []
        for video, wanted in zip(video_B, index, strict=True):
            whole = self.whole(track, int(video))
            crops.append(whole[wanted, *centre_box(whole.shape, self.config.crop_size)])
        return np.stack(crops)

    def sounds(self, video_B: np.ndarray, first_BS: np.ndarray, steps: int) -> np.ndarray:
        sound_BSTF = np.full((*first_BS.shape, steps, self.config.audio.bands), SILENCE, dtype=np.float16)
        for row, video in enumerate(video_B):
            track = self.clip(int(video)).sound
            if track is not None and track.sound_TF is not None:
                cut_windows(track.sound_TF, first_BS[row], sound_BSTF[row])
        return sound_BSTF


class ClipFiles(SingleClips):
    """Cached clips, the most recent kept open."""

    def __init__(self, cache: ClipCache, shas: Sequence[str]) -> None:
        self._cache, self._shas = cache, shas
        self._open: OrderedDict[int, Clip] = OrderedDict()
        super().__init__(cache.config, _timeline_of(cache, shas))

    def clip(self, video: int) -> Clip:
        if video in self._open:
            self._open.move_to_end(video)
        else:
            self._open[video] = self._cache.read(self._shas[video])
            if len(self._open) > OPEN_CLIPS:
                self._open.popitem(last=False)
        return self._open[video]


class OneClip(SingleClips):
    """A single decoded video."""

    def __init__(self, clip: Clip, config: DataConfig) -> None:
        self._clip = clip
        steps = 0 if clip.sound is None or clip.sound.sound_TF is None else len(clip.sound.sound_TF)
        start_s = 0.0 if clip.sound is None else clip.sound.start_s
        super().__init__(config, make_timeline([clip.frames.edges_s], [start_s], [steps]))

    def clip(self, video: int) -> Clip:
        return self._clip


class ClipPack(TimedClips):
    """One array a track: uint8 [sum of frames, crop, crop, C] and float16 [sum of steps + 1, bands].

    The last row of the sound is silence, so that steps outside a track can be read like any other.
    """

    def __init__(self, paths: dict[TrackName, Path], timeline: Timeline) -> None:
        # asarray: the same mapped memory without np.memmap's bookkeeping at every index.
        self._arrays = {track: np.asarray(np.load(path, mmap_mode="r")) for track, path in paths.items()}
        self.timeline, self.tracks = timeline, tuple(paths)
        self._frame_offset_N = np.cumsum(timeline.frames_N) - timeline.frames_N
        self._step_offset_N = np.cumsum(timeline.sound_steps_N) - timeline.sound_steps_N

    def whole(self, track: TrackName, video: int) -> FrameTrack:
        raise AssertionError("a pack holds centre crops")

    def pictures(self, track: TrackName, video_B: np.ndarray, index: np.ndarray) -> np.ndarray:
        offset = self._frame_offset_N[video_B].reshape(-1, *[1] * (index.ndim - 1))
        return self._arrays[track][offset + index]

    def sounds(self, video_B: np.ndarray, first_BS: np.ndarray, steps: int) -> np.ndarray:
        sound_TF = self._arrays["sound"]
        step_BST = first_BS[..., None] + np.arange(steps)
        inside = (step_BST >= 0) & (step_BST < self.timeline.sound_steps_N[video_B][:, None, None])
        row_BST = np.where(inside, self._step_offset_N[video_B][:, None, None] + step_BST, len(sound_TF) - 1)
        return sound_TF[row_BST]


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


def _timeline_of(cache: ClipCache, shas: Sequence[str]) -> Timeline:
    frames: list[Json] = [cache.record("frames", sha) for sha in shas]
    mute = {"start_s": 0.0, "steps": 0}
    sounds: list[Json] = [cache.record("sound", sha) if "sound" in cache.tracks else mute for sha in shas]
    assert None not in frames and None not in sounds, "ClipCache.build comes before reading"
    return make_timeline(
        [np.asarray(record["edges_s"]) for record in frames],
        [record["start_s"] for record in sounds],
        [record["steps"] for record in sounds],
    )


def can_pack(config: DataConfig, frames: int) -> bool:
    """Whether a data set of so many frames is small enough, and is augmented without a random crop."""
    return config.augment.resize is None and pack_bytes(config, frames) <= PACK_LIMIT_BYTES


def pack_bytes(config: DataConfig, frames: int) -> int:
    """Size of the packs of so many frames, and of their flow."""
    return frames * config.crop_size**2 * sum(PIXEL_BYTES[track] for track in config.tracks)


def pack_name(shas: Sequence[str], config: DataConfig) -> str:
    """File name of the packs of these clips in this order."""
    return f"pack-{hash_json([list(shas), config.crop_size])[:16]}.npy"


def open_pack(cache: ClipCache, shas: Sequence[str], files: ClipFiles) -> ClipPack:
    """The pack of these clips in this order; made first where there is none. ``files`` are the same clips."""
    name = pack_name(shas, cache.config)
    paths = {track: folder / name for track, folder in cache.folders.items()}
    if not all(path.exists() for path in paths.values()):
        with cache.one_builder():
            for track, path in paths.items():
                if not path.exists():
                    _make_pack(track, path, files)
    return ClipPack(paths, files.timeline)


def _make_pack(track: TrackName, path: Path, files: ClipFiles) -> None:
    time = files.timeline
    rows = int(time.sound_steps_N.sum()) + 1 if track == "sound" else int(time.frames_N.sum())
    parts = _sounds(files) if track == "sound" else _centre_crops(track, files)
    aside = path.with_name(f"{path.name}.tmp")  # one left by a builder that died is overwritten: we hold the lock
    first = next(parts)
    packed = np.lib.format.open_memmap(aside, mode="w+", dtype=first.dtype, shape=(rows, *first.shape[1:]))
    row = 0
    for part in chain([first], parts):
        packed[row : row + len(part)] = part
        row += len(part)
    packed.flush()
    os.rename(aside, path)


def _centre_crops(track: TrackName, files: ClipFiles) -> Iterator[np.ndarray]:
    for video in range(len(files.frames_N)):
        whole = files.whole(track, video)
        yield whole[np.arange(whole.shape[0]), *centre_box(whole.shape, files.config.crop_size)]


def _sounds(files: ClipFiles) -> Iterator[np.ndarray]:
    for video in range(len(files.frames_N)):
        sound = files.clip(video).sound
        if sound is not None and sound.sound_TF is not None:
            yield sound.sound_TF
    yield np.full((1, files.config.audio.bands), SILENCE, dtype=np.float16)


def cut_windows(sound_TF: np.ndarray, first_S: np.ndarray, out_STF: np.ndarray) -> None:
    """Write the windows that begin at steps ``first_S`` into ``out_STF``; steps outside the track are left alone."""
    steps = out_STF.shape[1]
    for window_TF, first in zip(out_STF, first_S, strict=True):
        begin, end = max(first, 0), min(first + steps, len(sound_TF))
        if begin < end:
            window_TF[begin - first : end - first] = sound_TF[begin:end]
