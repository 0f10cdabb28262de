"""All clips of a data set behind one interface: packed into one array a track where they are small, one by one where not.

A pack lets a batch be gathered by a few vectorised reads (48 videos of 5 segments in 4 ms of processor time, against
30 ms when every video's files are opened), and its pages are shared by all processes of a machine. It holds centre
crops, so it serves settings without a random crop only.

Axes: ``N`` video of the data set, ``B`` video of the batch, ``S`` segment, ``T`` frame or step, ``F`` band.
"""

from __future__ import annotations

import abc
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from trainables.contract import Json
from trainables.kit.data.cache import Clip, ClipCache, save_rows
from trainables.kit.data.config import DataConfig
from trainables.kit.data.hashing import hash_json
from trainables.kit.data.modalities.base import FrameTrack, TrackName
from trainables.kit.data.modalities.pictures import centre_box
from trainables.kit.data.sound import spectrograms, whole_spectrogram
from trainables.kit.data.spectrogram import SILENCE
from trainables.kit.data.timeline import Timeline, make_timeline

PACK_LIMIT_BYTES = 4 << 30
PIXEL_BYTES = {"frames": 3, "flow": 2, "sound": 0}
OPEN_CLIPS = 128  # open clips that are read one by one, each up to 3 files; a process may often have 1,024


class TimedClips(abc.ABC):
    """:class:`trainables.kit.data.modalities.base.Clips`, and when everything is."""

    timeline: Timeline
    tracks: tuple[TrackName, ...]

    @property
    def frames_N(self) -> np.ndarray:
        """Number of frames of every video."""
        return self.timeline.frames_N

    @property
    def sound_samples_N(self) -> np.ndarray:
        """Length of every sound track in samples; 0: there is none."""
        return self.timeline.sound_samples_N

    @abc.abstractmethod
    def whole(self, track: TrackName, video: int) -> FrameTrack:
        """All of one video, uncropped."""

    @abc.abstractmethod
    def pictures(self, track: TrackName, video_B: np.ndarray, index: np.ndarray) -> np.ndarray:
        """Centre crops uint8 ``[*index.shape, crop, crop, C]``; ``index`` has the videos as its first axis."""

    @abc.abstractmethod
    def sounds(self, video_B: np.ndarray, first_BS: np.ndarray) -> np.ndarray:
        """Spectrograms of the windows that begin at samples ``first_BS``, float16 ``[B, S, T, F]``; silence outside the tracks."""


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

    def sounds(self, video_B: np.ndarray, first_BS: np.ndarray) -> np.ndarray:
        return spectrograms([self.samples(int(video)) for video in video_B], list(first_BS), self.config.audio)

    def samples(self, video: int) -> np.ndarray | None:
        """The sound of one, int16 ``[N]``; None: it has none."""
        sound = self.clip(video).sound
        return None if sound is None else sound.samples_N


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
        samples = 0 if clip.sound is None or clip.sound.samples_N is None else len(clip.sound.samples_N)
        start_s = 0.0 if clip.sound is None else clip.sound.start_s
        super().__init__(config, make_timeline([clip.frames.edges_s], [start_s], [samples]))

    def clip(self, video: int) -> Clip:
        return self._clip


class ClipPack(TimedClips):
    """One array a track: uint8 [sum of frames, crop, crop, C]; of the sound int16 [sum of samples], or its spectrogram.

    The spectrogram, float16 [sum of columns + 1, bands], is that of whole tracks and serves data whose segments lie on one
    grid. Its last row is silence, so that steps outside a track can be read like any other.
    """

    def __init__(
        self, paths: dict[TrackName, Path], timeline: Timeline, config: DataConfig, columns: Columns | None
    ) -> None:
        """``columns``: where those of the spectrogram are; None: the pack holds samples."""
        # asarray: the same mapped memory without np.memmap's bookkeeping at every index.
        self._arrays = {track: np.asarray(np.load(path, mmap_mode="r")) for track, path in paths.items()}
        self.timeline, self.tracks, self._audio, self._columns = timeline, tuple(paths), config.audio, columns
        self._frame_offset_N = np.cumsum(timeline.frames_N) - timeline.frames_N
        self._sample_edge_N = np.concatenate([[0], np.cumsum(timeline.sound_samples_N)])

    def whole(self, track: TrackName, video: int) -> FrameTrack:
        raise AssertionError("a pack holds centre crops")

    def pictures(self, track: TrackName, video_B: np.ndarray, index: np.ndarray) -> np.ndarray:
        offset = self._frame_offset_N[video_B].reshape(-1, *[1] * (index.ndim - 1))
        return self._arrays[track][offset + index]

    def sounds(self, video_B: np.ndarray, first_BS: np.ndarray) -> np.ndarray:
        sound, columns = self._arrays["sound"], self._columns
        if columns is None:
            tracks = [sound[slice(*self._sample_edge_N[video : video + 2])] for video in video_B.tolist()]
            return spectrograms(tracks, list(first_BS), self._audio)
        step_BS = (first_BS - columns.first_N[video_B][:, None]) // self._audio.hop
        step_BST = step_BS[..., None] + np.arange(self._audio.steps)
        inside = (step_BST >= 0) & (step_BST < columns.count_N[video_B][:, None, None])
        offset_N = np.cumsum(columns.count_N) - columns.count_N
        return sound[np.where(inside, offset_N[video_B][:, None, None] + step_BST, len(sound) - 1)]


@dataclass(frozen=True, kw_only=True)
class Columns:
    """The packed columns of every video: the sample on which the first is centred, how many there are (0: it is mute)."""

    first_N: np.ndarray
    count_N: np.ndarray

    @classmethod
    def of(cls, timeline: Timeline, config: DataConfig) -> Columns | None:
        """All columns that see any of a track; None where its segments do not lie on one grid."""
        place_N, audio = timeline.sound_grid(config), config.audio
        if place_N is None:
            return None
        margin = -(-audio.n_fft // audio.hop)
        count_N = (timeline.sound_samples_N - place_N) // audio.hop + 2 * margin + 1
        return cls(first_N=place_N - margin * audio.hop, count_N=np.where(timeline.sound_samples_N > 0, count_N, 0))


def _timeline_of(cache: ClipCache, shas: Sequence[str]) -> Timeline:
    frames: list[Json] = [cache.record("frames", sha) for sha in shas]
    mute = {"start_s": 0.0, "samples": 0}
    sounds: list[Json] = [cache.record("sound", sha) if "sound" in cache.tracks else mute for sha in shas]
    assert None not in frames and None not in sounds, "ClipCache.build comes before reading"
    return make_timeline(
        [np.asarray(record["edges_s"]) for record in frames],
        [record["start_s"] for record in sounds],
        [record["samples"] for record in sounds],
    )


def can_pack(config: DataConfig, frames: int) -> bool:
    """Whether a data set of so many frames is small enough, and is augmented without a random crop."""
    return config.augment.resize is None and pack_bytes(config, frames) <= PACK_LIMIT_BYTES


def pack_bytes(config: DataConfig, frames: int) -> int:
    """Size of the packs of so many frames, and of their flow."""
    return frames * config.crop_size**2 * sum(PIXEL_BYTES[track] for track in config.tracks)


def pack_names(shas: Sequence[str], config: DataConfig) -> dict[TrackName, tuple[str, ...]]:
    """File names of the packs of these clips in this order, by track; of the sound that of its spectrogram, and of samples."""
    pictures: Json = [list(shas), config.crop_size]
    samples: Json = [list(shas), "samples"]
    spectrogram: Json = [
        *(list(shas), config.frame_rate, config.segments.span_frames),
        config.audio.model_dump(mode="json", exclude={"mean", "std", "missing"}),
    ]
    keys = {"frames": (pictures,), "sound": (spectrogram, samples), "flow": (pictures,)}
    return {track: tuple(f"pack-{hash_json(key)[:16]}.npy" for key in keys[track]) for track in config.tracks}


def open_pack(cache: ClipCache, shas: Sequence[str], files: ClipFiles) -> ClipPack:
    """The pack of these clips in this order; made first where there is none. ``files`` are the same clips."""
    columns = Columns.of(files.timeline, cache.config) if "sound" in cache.tracks else None
    names = {track: each[-1] if columns is None else each[0] for track, each in pack_names(shas, cache.config).items()}
    paths = {track: folder / names[track] for track, folder in cache.folders.items()}
    if not all(path.exists() for path in paths.values()):
        with cache.one_builder():
            for track, path in paths.items():
                if not path.exists():
                    parts = _sounds(files, columns) if track == "sound" else _centre_crops(track, files)
                    rows = _sound_rows(files, columns) if track == "sound" else int(files.frames_N.sum())
                    save_rows(path, parts, rows)
    return ClipPack(paths, files.timeline, cache.config, columns)


def _centre_crops(track: TrackName, files: ClipFiles) -> Iterator[np.ndarray]:
    for video in range(len(files.frames_N)):
        whole = files.whole(track, video)
        yield whole[np.arange(whole.shape[0]), *centre_box(whole.shape, files.config.crop_size)]


def _sound_rows(files: ClipFiles, columns: Columns | None) -> int:
    return int(files.sound_samples_N.sum() if columns is None else columns.count_N.sum()) + 1


def _sounds(files: ClipFiles, columns: Columns | None) -> Iterator[np.ndarray]:
    """One track after the other, then a row of silence: for columns outside of tracks, and since no empty file can be mapped."""
    for video in range(len(files.frames_N)):
        samples_N = files.samples(video)
        if samples_N is not None and columns is None:
            yield samples_N
        elif samples_N is not None and columns is not None:
            first, count = int(columns.first_N[video]), int(columns.count_N[video])
            yield whole_spectrogram(samples_N, first, count, files.config.audio)
    silence = np.full((1, files.config.audio.bands), SILENCE, dtype=np.float16)
    yield np.zeros(1, dtype=np.int16) if columns is None else silence
