"""The decode-once cache: every video's tracks as memory-mapped files.

    CACHE/frames-SETTINGS/SHA.npy    uint8 [F, H, W, 3], or .jpegs: the same as JPEG pictures (see ``jpeg``)
    CACHE/sound-SETTINGS/SHA.npy     float16 [T, F], a log-spectrogram; absent if the file has no sound track
    CACHE/flow-SETTINGS/SHA.npy      uint8 [F, H, W, 2], or .jpegs
    CACHE/TRACK-SETTINGS/SHA.json    size in bytes, times; written last: an entry without it does not exist

SETTINGS is a hash of what that track depends on, SHA the hash of the video file's content (and of the part of it that is
meant). So an interrupted build goes on where it was, data sets share the videos that they have in common, a new sound
setting decodes no picture again, and flow is added to frames that are there.

Axes: ``F`` frame (``T`` step, ``F`` band for sound), ``H`` ``W`` pixel rows and columns.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from filelock import FileLock, Timeout

from trainables.contract import Json
from trainables.errors import DecodeError, InvalidInput
from trainables.kit.data import jpeg
from trainables.kit.data.config import DataConfig
from trainables.kit.data.decode import WHOLE, Part, decode_picture, decode_sound, read_picture
from trainables.kit.data.flow import FlowTrack, load_cv2, one_thread
from trainables.kit.data.hashing import Progress, hash_json
from trainables.kit.data.modalities.base import FrameTrack, TrackName
from trainables.kit.data.remote import Remote
from trainables.kit.data.seek import SeekTrack, index_picture
from trainables.kit.data.spectrogram import log_spectrogram

UPLOADS = 16  # files copied to the cache's second home side by side
FORMAT_VERSIONS: Mapping[TrackName, int] = {"frames": 2, "sound": 2, "flow": 1}


@dataclass(frozen=True, kw_only=True)
class Frames:
    """``frames_FHW3``, an array or JPEG pictures; ``edges_s`` [F + 1]: when each appears, and the end."""

    frames_FHW3: FrameTrack
    edges_s: np.ndarray


@dataclass(frozen=True, kw_only=True)
class SoundTrack:
    """``sound_TF`` float16; None: the file has no sound. Column 0 is centred on ``start_s``."""

    sound_TF: np.ndarray | None
    start_s: float


@dataclass(frozen=True, kw_only=True)
class Clip:
    """One decoded video. ``sound`` and ``flow_FHW2`` None: not among the tracks of its settings."""

    frames: Frames
    sound: SoundTrack | None
    flow_FHW2: FrameTrack | None

    def whole(self, track: TrackName) -> FrameTrack:
        """Frames or flow."""
        found = self.frames.frames_FHW3 if track == "frames" else self.flow_FHW2
        assert found is not None, f"track {track} was not decoded: name its modality in data.modalities or data.also"
        return found


@dataclass(frozen=True, kw_only=True)
class Source:
    """A video file, or a part of one."""

    path: Path
    part: Part = WHOLE


def decode_clip(source: Source, config: DataConfig) -> Clip:
    """Decode a video as ``config`` says, without any cache; flow is computed when it is read.

    What is read is what a cache would give, JPEG's losses included: networks see what they were trained on.

    Raises:
        DecodeError: see ``decode``.
        UserError: flow is asked for and cannot be computed here.
    """
    frames = decode_frames(source, config)
    return Clip(
        frames=frames,
        sound=decode_spectrogram(source, config) if "sound" in config.tracks else None,
        flow_FHW2=_flow_of(frames.frames_FHW3, config) if "flow" in config.tracks else None,
    )


def lazy_frames(source: Source, config: DataConfig) -> Frames:
    """The picture of a whole file, its frames decoded when they are read, as :func:`decode_frames` would give them.

    Files that do not tell where their frames are are decoded here and now.

    Raises:
        DecodeError: see ``decode``.
    """
    index = index_picture(source.path, config)
    if index is None:
        return decode_frames(source, config)
    if config.cache_format == "raw":
        return Frames(frames_FHW3=SeekTrack(source.path, index, config.frame_size), edges_s=index.edges_s)
    # JPEG's losses included: networks see what they were trained on.
    track = SeekTrack(source.path, index, config.frame_size, stored=lambda image: jpeg.decode(jpeg.encode(image), 3))
    return Frames(frames_FHW3=track, edges_s=index.edges_s)


def lazy_flow(frames: Frames, config: DataConfig) -> FrameTrack:
    """Flow of a picture, computed when it is read. Raises UserError where it cannot be computed."""
    return _flow_of(frames.frames_FHW3, config)


def decode_frames(source: Source, config: DataConfig) -> Frames:
    """The picture of a video, as its cache entry holds it. Raises DecodeError."""
    path, rate, size, part = source.path, config.frame_rate, config.frame_size, source.part
    if config.cache_format == "raw":
        picture = decode_picture(path, frame_rate=rate, frame_size=size, part=part)
        return Frames(frames_FHW3=picture.frames_FHW3, edges_s=picture.edges_s)
    shape: tuple[int, ...] = ()

    def keep(image_HW3: np.ndarray) -> bytes:
        nonlocal shape
        shape = image_HW3.shape
        return jpeg.encode(image_HW3)

    shown = read_picture(path, keep, frame_rate=rate, frame_size=size, part=part)
    return Frames(frames_FHW3=jpeg.JpegTrack.of(shown.frames, shape), edges_s=shown.edges_s)


def decode_spectrogram(source: Source, config: DataConfig) -> SoundTrack:
    """The sound of a video. Raises DecodeError."""
    sound = decode_sound(source.path, sample_rate=config.audio.sample_rate, part=source.part)
    if sound is None:
        return SoundTrack(sound_TF=None, start_s=0.0)
    spectrogram = log_spectrogram(sound.samples_N, config.audio)
    return SoundTrack(sound_TF=spectrogram.half().numpy(), start_s=sound.start_s)


def decode_all(cache: ClipCache, files: Mapping[str, Source], workers: int | None = None) -> Iterator[str | None]:
    """Make entries on this machine, ``workers`` (by default: one a core) at a time. See :data:`Make`."""
    # Threads, not processes: nothing has to be imported again (spawning costs 3 s) and they work inside any worker.
    # Decoder, encoder, transforms and flow let go of the interpreter lock: 2 threads on 2 cores build 1.7 times faster at
    # 340x256. At 64x64 Python's share (13 ms a file in all) leaves nothing to gain; processes got 1.1 there.
    with cache.quiet_cv2(), ThreadPoolExecutor(max_workers=workers or os.cpu_count() or 1) as pool:
        jobs: list[Future[None]] = [pool.submit(cache.add, sha, source) for sha, source in files.items()]
        try:
            for job in as_completed(jobs):
                error = job.exception()
                if error is not None and not isinstance(error, DecodeError):
                    raise error
                yield None if error is None else str(error)
        finally:
            pool.shutdown(cancel_futures=True)


# Makes entries (name -> source) of a cache whose locks are held, and gives one answer a file when it is done with it: None,
# or why the file does not decode.
Make = Callable[["ClipCache", Mapping[str, Source]], Iterator[str | None]]


class ClipCache:
    """Entries of one decoding setting. Building is safe beside other builders and readers of the same folder."""

    def __init__(self, cache: Path, config: DataConfig) -> None:
        self.root, self.config = cache, config
        self.tracks = config.tracks
        self.folders = {track: cache / f"{track}-{_settings_key(track, config)}" for track in self.tracks}
        self._locks = {track: FileLock(folder / ".lock") for track, folder in self.folders.items()}
        self._remote = None if config.cache_url is None else Remote(config.cache_url)
        self._there: dict[TrackName, frozenset[str]] = {}

    def build(self, files: Mapping[str, Source], on_progress: Progress | None = None, make: Make = decode_all) -> None:
        """Make what is missing of every video (name of its entry -> source), by ``make``: here, or on a cluster.

        While another process builds, this one waits and reports that one's progress.

        Raises:
            InvalidInput: files that do not decode, all of them, each with its reason. The others are cached.
            UserError: flow is missing and cannot be computed here, or ``data.cache_url`` cannot be read.
        """
        report = on_progress or (lambda done, total: None)
        if not self.missing(files):
            return
        with self.one_builder(lambda: report(len(files) - len(self.missing(files)), len(files))):
            todo = self.missing(files)
            if "flow" in self.tracks:
                load_cv2()  # before hours of decoding, not after
            bad = []
            outcomes = make(self, {sha: files[sha] for sha in todo})
            for done, problem in enumerate(outcomes, start=len(files) - len(todo) + 1):
                if problem is not None:
                    bad.append(problem)
                report(done, len(files))
        if bad:
            raise InvalidInput("videos that do not decode", sorted(bad))

    def publish(self, shas: Sequence[str], on_progress: Progress | None = None) -> None:
        """Copy entries to ``data.cache_url`` as far as it lacks them; nothing without one.

        Raises:
            UserError: it cannot be read.
        """
        if self._remote is None:
            return
        there = {track: self._remote.names(folder.name) for track, folder in self.folders.items()}
        lacking = [
            (track, sha) for track in self.tracks for sha in dict.fromkeys(shas) if f"{sha}.json" not in there[track]
        ]
        with ThreadPoolExecutor(max_workers=UPLOADS) as pool:
            for done, _ in enumerate(pool.map(self._put, *zip(*lacking, strict=True)) if lacking else (), start=1):
                if on_progress is not None:
                    on_progress(done, len(lacking))

    def _put(self, track: TrackName, sha: str) -> None:
        assert self._remote is not None
        array = self._array(track, sha)
        for path in (array, array.with_suffix(".json")):
            if path.exists():
                self._remote.put(path, f"{path.parent.name}/{path.name}")

    def missing(self, shas: Mapping[str, Source] | Sequence[str]) -> list[str]:
        """Entries of which a track is not there."""
        return [sha for sha in shas if any(self.record(track, sha) is None for track in self.tracks)]

    def record(self, track: TrackName, sha: str) -> Json | None:
        """What is noted beside an array, or None if there is no entry or its array has not the size that was written."""
        try:
            record = json.loads((self.folders[track] / f"{sha}.json").read_text())
            size = record["bytes"]
            whole = size == 0 or self._array(track, sha).stat().st_size == size
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return record if whole else None

    def read(self, sha: str) -> Clip:
        """An entry as memory-mapped arrays.

        Raises:
            KeyError: there is no such entry; ``build`` comes first.
        """
        records: dict[TrackName, Json] = {track: self.record(track, sha) for track in self.tracks}
        if None in records.values():
            raise KeyError(sha)
        sound = records.get("sound")
        return Clip(
            frames=Frames(frames_FHW3=self._pictures("frames", sha), edges_s=np.asarray(records["frames"]["edges_s"])),
            sound=None if sound is None else SoundTrack(sound_TF=self._sound(sha, sound), start_s=sound["start_s"]),
            flow_FHW2=self._pictures("flow", sha) if "flow" in records else None,
        )

    @contextmanager
    def one_builder(self, waiting: Callable[[], None] = lambda: None) -> Iterator[None]:
        """Hold the tracks' locks, which the system frees if their holder dies; call ``waiting`` each second until then.

        All builders take them in the order of ``TRACKS``, so none waits for one that waits for it.
        """
        with ExitStack() as held:
            for track, lock in self._locks.items():
                self.folders[track].mkdir(parents=True, exist_ok=True)
                while not lock.is_locked:
                    try:
                        held.enter_context(lock.acquire(timeout=1.0))
                    except Timeout:
                        waiting()
            yield

    def quiet_cv2(self) -> AbstractContextManager[None]:
        """Around work on several files side by side."""
        return one_thread() if "flow" in self.tracks else nullcontext()

    def add(self, sha: str, source: Source) -> None:
        """Make what is missing of one entry. Raises DecodeError."""
        missing = [track for track in self.tracks if self.record(track, sha) is None and not self._fetched(track, sha)]
        name = source.path.name
        if "frames" in missing:
            frames = decode_frames(source, self.config)
            self._write("frames", sha, frames.frames_FHW3, source=name, edges_s=frames.edges_s.tolist())
        if "sound" in missing:
            sound = decode_spectrogram(source, self.config)
            steps = 0 if sound.sound_TF is None else len(sound.sound_TF)
            self._write("sound", sha, sound.sound_TF, source=name, start_s=sound.start_s, steps=steps)
        if "flow" in missing:
            flow = _flow_of(self._pictures("frames", sha), self.config)
            self._write("flow", sha, _whole_flow(flow, self.config), source=name)

    def _fetched(self, track: TrackName, sha: str) -> bool:
        """Whether the track was in the cache's second home, and now is here."""
        if self._remote is None:
            return False
        folder = self.folders[track]
        if track not in self._there:  # one listing for all entries
            self._there[track] = self._remote.names(folder.name)
        if f"{sha}.json" not in self._there[track]:
            return False
        array = self._array(track, sha)
        for path in (array, folder / f"{sha}.json"):
            if path.name in self._there[track]:
                self._remote.fetch(f"{folder.name}/{path.name}", path)
        return self.record(track, sha) is not None

    def _array(self, track: TrackName, sha: str) -> Path:
        encoded = track != "sound" and self.config.cache_format == "jpeg"
        return self.folders[track] / f"{sha}.{'jpegs' if encoded else 'npy'}"

    def _pictures(self, track: TrackName, sha: str) -> FrameTrack:
        path = self._array(track, sha)
        return jpeg.JpegTrack.open(path) if path.suffix == ".jpegs" else np.load(path, mmap_mode="r")

    def _sound(self, sha: str, record: Json) -> np.ndarray | None:
        return np.load(self._array("sound", sha), mmap_mode="r") if record["bytes"] else None

    def _write(self, track: TrackName, sha: str, content: FrameTrack | None, **record: Json) -> None:
        array, note = self._array(track, sha), self.folders[track] / f"{sha}.json"
        size = 0 if content is None else save(array, content)
        aside = note.with_name(f"{note.name}.tmp")
        aside.write_text(json.dumps({"bytes": size, **record}))
        os.replace(aside, note)


def save(path: Path, content: FrameTrack) -> int:
    """Write an array or JPEG pictures aside, then rename; returns the size in bytes."""
    aside = path.with_name(f"{path.name}.tmp")
    with aside.open("wb") as file:
        if isinstance(content, jpeg.JpegTrack):
            content.file.tofile(file)
        else:
            np.save(file, content)  # type: ignore[arg-type]  # what is no JPEG is an array
        size = file.tell()
    os.replace(aside, path)
    return size


def _flow_of(frames: FrameTrack, config: DataConfig) -> FlowTrack:
    if config.cache_format == "raw":
        return FlowTrack(frames, config.flow)
    return FlowTrack(frames, config.flow, stored=lambda field_HW2: jpeg.decode(jpeg.encode(field_HW2), 2))


def _whole_flow(flow: FlowTrack, config: DataConfig) -> FrameTrack:
    if config.cache_format == "raw":
        return flow.all()
    pictures = [jpeg.encode(flow.compute(frame)) for frame in range(flow.shape[0])]
    return jpeg.JpegTrack.of(pictures, flow.shape[1:])


def _settings_key(track: TrackName, config: DataConfig) -> str:
    frames: Json = {
        "format": FORMAT_VERSIONS["frames"],
        "stored": "raw" if config.cache_format == "raw" else f"jpeg {jpeg.QUALITY}",
        "frame_rate": config.frame_rate,
        "size": config.frame_size,
    }
    settings: Mapping[TrackName, Callable[[], Json]] = {
        "frames": lambda: frames,
        "sound": lambda: {
            "format": FORMAT_VERSIONS["sound"],
            **config.audio.model_dump(include={"sample_rate", "n_fft", "window", "hop", "mels"}),
        },
        "flow": lambda: {"format": FORMAT_VERSIONS["flow"], "frames": frames, **config.flow.model_dump()},
    }
    return hash_json(settings[track]())[:16]
