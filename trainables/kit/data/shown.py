"""Small pictures of segments for people: a frame, a spectrogram, a field of flow. Imports no torch.

Frames come from the video file, and from the decode-once cache where the file is gone; sound and flow from the cache alone.

Axes: ``F`` frame, ``S`` segment, ``H`` ``W`` pixel rows and columns, ``T`` step, ``B`` band; 3: red, green, blue.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from trainables.errors import DecodeError
from trainables.kit.data.cache import Clip, ClipCache
from trainables.kit.data.config import AudioConfig, DataConfig
from trainables.kit.data.decode import read_picture
from trainables.kit.data.entries import remembered_entry, source_of
from trainables.kit.data.manifest import Video
from trainables.kit.data.segments import SegmentSpec, end_frames, frame_indices, test_starts
from trainables.kit.data.sound import FULL_SCALE, cut_windows
from trainables.kit.data.spectrogram import FLOOR, before, samples_for
from trainables.kit.data.timeline import make_timeline
from trainables.pictures import VideoPictures

SHORTER_SIDE = 72  # pixels of a frame
SOUND_SIZE = (72, 96)  # rows, columns of a spectrogram
QUALITY = 80  # of the JPEG pictures: 2 to 4 kB each
LOUDNESS = (-10.0, 4.0)  # of log(power + 1e-6): what is shown darkest and brightest
# Five colours of viridis, which is read in the right order by the colour blind and in grey.
_VIRIDIS = np.array([(68, 1, 84), (59, 82, 139), (33, 145, 140), (94, 201, 98), (253, 231, 37)], dtype=float)


def segment_pictures(
    config: DataConfig, cache: Path, videos: Sequence[Video], sites: Sequence[str]
) -> dict[str, VideoPictures]:
    """By id, for those videos of which a picture can be had; ``sites`` are modalities."""
    found = {}
    for video in videos:
        shown = _Segments.of(video, config, cache)
        if shown is not None:
            found[video.id] = shown.pictures(sites)
    return found


@dataclass(frozen=True, kw_only=True)
class _Segments:
    """The segments of one video. ``frame``: a frame by its index, as JPEG. ``clip``: its cache entry, if there is one."""

    config: DataConfig
    frame: Callable[[int], bytes]
    clip: Clip | None
    edges_s: np.ndarray

    @classmethod
    def of(cls, video: Video, config: DataConfig, cache: Path) -> _Segments | None:
        """None where neither file nor entry gives a frame."""
        clip = _cached(video, config, cache)
        try:
            shown = read_picture(
                video.path,
                _encoded,
                frame_rate=config.frame_rate,
                frame_size=SHORTER_SIDE,
                part=source_of(video).part,
                fps=video.fps,
            )
        except DecodeError:
            if clip is None:
                return None
            frames, everything = clip.frames.frames_FHW3, slice(None)
            return cls(
                config=config,
                frame=lambda f: _encoded(frames[np.array([f]), everything, everything][0]),
                clip=clip,
                edges_s=clip.frames.edges_s,
            )
        return cls(config=config, frame=shown.frames.__getitem__, clip=clip, edges_s=shown.edges_s)

    def pictures(self, sites: Sequence[str]) -> VideoPictures:
        makers: Mapping[str, Callable[[], list[bytes] | None]] = {"audio": self._sound, "flow": self._flow}
        made = {site: makers.get(site, self._frames)() for site in sites}
        begin_s, end_s = self._bounds_s()
        return VideoPictures(
            jpeg={site: tuple(pictures) for site, pictures in made.items() if pictures is not None},
            bounds_s=tuple(zip(begin_s.tolist(), end_s.tolist(), strict=True)),
        )

    @property
    def _start_1S(self) -> np.ndarray:
        return test_starts(self._spec, self._count_1, self.config.segments.test)

    @property
    def _spec(self) -> SegmentSpec:
        return SegmentSpec.of(self.config.segments)

    @property
    def _count_1(self) -> np.ndarray:
        return np.array([len(self.edges_s) - 1])

    def _bounds_s(self) -> tuple[np.ndarray, np.ndarray]:
        start_S = self._start_1S[0]
        return self.edges_s[start_S], self.edges_s[end_frames(self._spec, self._start_1S, self._count_1)[0]]

    def _middles(self) -> list[int]:
        frame_ST = frame_indices(self._spec, self._start_1S, self._count_1)[0]
        return frame_ST[:, frame_ST.shape[1] // 2].tolist()

    def _frames(self) -> list[bytes]:
        return [self.frame(f) for f in self._middles()]

    def _sound(self) -> list[bytes] | None:
        sound = None if self.clip is None else self.clip.sound
        if sound is None or sound.samples_N is None:
            return None
        time = make_timeline([self.edges_s], [sound.start_s], [len(sound.samples_N)])
        first_S = time.sound_first(self.config, np.array([0]), self._start_1S)[0]
        return [_encoded(_spectrogram(_powers(sound.samples_N, first, self.config.audio))) for first in first_S]

    def _flow(self) -> list[bytes] | None:
        flow = None if self.clip is None else self.clip.flow_FHW2
        if flow is None:
            return None
        everything = slice(None)
        fields = (flow[np.array([f]), everything, everything][0] for f in self._middles())
        return [_encoded(_motion(field)) for field in fields]


def _cached(video: Video, config: DataConfig, cache: Path) -> Clip | None:
    entry = remembered_entry(video, cache)
    try:
        return None if entry is None else ClipCache(cache, config).read(entry)
    except (KeyError, OSError):
        return None


def _encoded(image_HW3: np.ndarray) -> bytes:
    import simplejpeg

    image = np.ascontiguousarray(image_HW3)
    return simplejpeg.encode_jpeg(image, quality=QUALITY, colorspace="RGB", colorsubsampling="420")


def _powers(samples_N: np.ndarray, first: int, audio: AudioConfig) -> np.ndarray:
    """The logarithm of a window's power at linear frequencies, ``[T, B]``, as a picture needs it: by NumPy, without torch."""
    cut_1N = np.zeros((1, samples_for(audio, audio.steps)), dtype=np.int16)
    cut_windows(samples_N, np.array([first - before(audio)]), cut_1N)
    frames_TN = np.lib.stride_tricks.sliding_window_view(cut_1N[0] / FULL_SCALE, audio.window)[:: audio.hop]
    return np.log(np.abs(np.fft.rfft(frames_TN * np.hanning(audio.window), audio.n_fft)) ** 2 + FLOOR)


def _spectrogram(sound_TB: np.ndarray) -> np.ndarray:
    """High bands above; each pixel is the nearest value."""
    low, high = LOUDNESS
    share_BT = np.clip((sound_TB.T[::-1] - low) / (high - low), 0, 1)
    rows, columns = (np.arange(n) * s // n for n, s in zip(SOUND_SIZE, share_BT.shape, strict=True))
    place = share_BT[np.ix_(rows, columns)] * (len(_VIRIDIS) - 1)
    channels = [np.interp(place, np.arange(len(_VIRIDIS)), _VIRIDIS[:, c]) for c in range(3)]
    return np.stack(channels, -1).astype(np.uint8)


def _motion(flow_HW2: np.ndarray) -> np.ndarray:
    """Motion to the right reddens, down bluens; still is grey."""
    red, blue = flow_HW2[..., 0], flow_HW2[..., 1]
    return np.stack([red, np.full_like(red, 128), blue], -1)
