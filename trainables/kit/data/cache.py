"""The decode-once cache: every video's tracks as memory-mapped files.

    CACHE/frames-SETTINGS/SHA.npy    uint8 [F, H, W, 3], or .jpegs: the same as JPEG pictures (see ``jpeg``)
    CACHE/sound-SETTINGS/SHA.npy     int16 [N], one channel of samples; absent if the file has no sound track
    CACHE/flow-SETTINGS/SHA.npy      uint8 [F, H, W, 2], or .jpegs
    CACHE/TRACK-SETTINGS/SHA.json    size in bytes, times; written last: an entry without it does not exist

SETTINGS is a hash of what that track depends on, SHA the hash of the video file's content (and of the part of it that is
meant). So an interrupted build goes on where it was, data sets share the videos that they have in common, a new sound
setting decodes no picture again, and flow is added to frames that are there.

Axes: ``F`` frame, ``H`` ``W`` pixel rows and columns, ``N`` sound sample.
"""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout

from trainables.contract import Json
from trainables.errors import DecodeError, InvalidInput
from trainables.kit.data import jpeg
from trainables.kit.data.config import STORED, DataConfig
from trainables.kit.data.decode import WHOLE, Part, Planes, decode_picture, decode_sound, read_picture
from trainables.kit.data.flow import FlowTrack, load_cv2, one_thread
from trainables.kit.data.hashing import Progress, hash_json
from trainables.kit.data.modalities.base import FrameTrack, TrackName
from trainables.kit.data.remote import Remote
from trainables.kit.data.seek import SeekTrack, index_picture
from trainables.kit.data.sound import to_16_bits

UPLOADS = 16  # files copied to the cache's second home side by side
FORMAT_VERSIONS: Mapping[TrackName, int] = {"frames": 2, "sound": 3, "flow": 1}


@dataclass(frozen=True, kw_only=True)
class Frames:
    """``frames_FHW3``, an array or JPEG pictures; ``edges_s`` [F + 1]: when each appears, and the end."""

    frames_FHW3: FrameTrack
    edges_s: np.ndarray


@dataclass(frozen=True, kw_only=True)
class SoundTrack:
    """``samples_N`` int16; None: the file has no sound. Sample 0 is heard at ``start_s``."""

    samples_N: np.ndarray | None
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
    """A video file, or a part of one. ``fps``: pictures a second, where ``path`` is a folder of them."""

    path: Path
    part: Part = WHOLE
    fps: float | None = None


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
        sound=decode_samples(source, config) if "sound" in config.tracks else None,
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
    track = SeekTrack(
        source.path,
        index,
        config.frame_size,
        stored=lambda image: jpeg.decode(jpeg.encode(image), 3),
        stored_planes=lambda planes: jpeg.decode(jpeg.encode_planes(planes), 3),
    )
    return Frames(frames_FHW3=track, edges_s=index.edges_s)


def lazy_flow(frames: Frames, config: DataConfig) -> FrameTrack:
    """Flow of a picture, computed when it is read. Raises UserError where it cannot be computed."""
    return _flow_of(frames.frames_FHW3, config)


def decode_frames(source: Source, config: DataConfig) -> Frames:
    """The picture of a video, as its cache entry holds it. Raises DecodeError."""
    how: Any = {
        "frame_rate": config.frame_rate,
        "frame_size": config.frame_size,
        "part": source.part,
        "fps": source.fps,
    }
    if config.cache_format == "raw":
        picture = decode_picture(source.path, **how)
        return Frames(frames_FHW3=picture.frames_FHW3, edges_s=picture.edges_s)
    shape: tuple[int, ...] = ()

    def keep(image_HW3: np.ndarray) -> bytes:
        nonlocal shape
        shape = image_HW3.shape
        return jpeg.encode(image_HW3)

    def keep_planes(planes: Planes) -> bytes:
        nonlocal shape
        shape = (*planes[0].shape, 3)
        return jpeg.encode_planes(planes)

    shown = read_picture(source.path, keep, keep_planes=keep_planes, **how)
    return Frames(frames_FHW3=jpeg.JpegTrack.of(shown.frames, shape), edges_s=shown.edges_s)


def decode_samples(source: Source, config: DataConfig) -> SoundTrack:
    """The sound of a video, as its cache entry holds it. Raises DecodeError."""
    sound = decode_sound(source.path, sample_rate=config.audio.sample_rate, part=source.part)
    if sound is None:
        return SoundTrack(samples_N=None, start_s=0.0)
    return SoundTrack(samples_N=to_16_bits(sound.samples_N), start_s=sound.start_s)


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
            sound=None if sound is None else SoundTrack(samples_N=self._sound(sha, sound), start_s=sound["start_s"]),
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
            sound = decode_samples(source, self.config)
            samples = 0 if sound.samples_N is None else len(sound.samples_N)
            self._write("sound", sha, sound.samples_N, source=name, start_s=sound.start_s, samples=samples)
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
        _write_aside(note, [np.frombuffer(json.dumps({"bytes": size, **record}).encode(), np.uint8)])


def save(path: Path, content: FrameTrack) -> int:
    """Write an array or JPEG pictures aside, then rename; returns the size in bytes."""
    if isinstance(content, jpeg.JpegTrack):
        return _write_aside(path, [content.file])
    whole = np.ascontiguousarray(content)
    return save_rows(path, iter([whole]), len(whole))


def save_rows(path: Path, parts: Iterator[np.ndarray], rows: int) -> int:
    """Write the array of ``rows`` that ``parts`` make one after the other, as ``np.load`` reads it. As :func:`save`."""
    first = next(parts)
    head = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        head, {"descr": first.dtype.str, "fortran_order": False, "shape": (rows, *first.shape[1:])}
    )
    return _write_aside(path, chain([np.frombuffer(head.getvalue(), np.uint8), first], parts))


def _write_aside(path: Path, parts: Iterable[np.ndarray]) -> int:
    # Written, not mapped and not by tofile: on a full disk the one ends the process by a signal, the other hides the reason.
    aside = path.with_name(f"{path.name}.tmp")  # one left by a builder that died is overwritten: we hold the lock
    try:
        with aside.open("wb") as file:
            for part in parts:
                file.write(np.ascontiguousarray(part).reshape(-1).view(np.uint8).data)
            size = file.tell()
        os.replace(aside, path)
    except OSError:
        aside.unlink(missing_ok=True)
        raise
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
        "stored": STORED[config.cache_format],
        "frame_rate": config.frame_rate,
        "size": config.frame_size,
    }
    settings: Mapping[TrackName, Callable[[], Json]] = {
        "frames": lambda: frames,
        "sound": lambda: {
            "format": FORMAT_VERSIONS["sound"],
            "sample_rate": config.audio.sample_rate,
        },
        "flow": lambda: {"format": FORMAT_VERSIONS["flow"], "frames": frames, **config.flow.model_dump()},
    }
    return hash_json(settings[track]())[:16]
