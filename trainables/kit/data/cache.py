"""The decode-once cache: every video's frames and log-spectrogram as memory-mapped arrays.

    CACHE/SETTINGS/SHA.rgb.npy      uint8 [F, H, W, 3]
    CACHE/SETTINGS/SHA.audio.npy    float16 [T, F]; absent if the file has no sound track
    CACHE/SETTINGS/SHA.json         times, sizes in bytes, the file's name; written last: an entry without it does not exist

SETTINGS is a hash of what decoding depends on, SHA the hash of the video file's content. So an interrupted build goes on
where it was, and data sets share the videos that they have in common.

Axes: ``F`` frame (``T`` step, ``F`` band for sound), ``H`` ``W`` pixel rows and columns.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from filelock import FileLock, Timeout

from trainables.contract import Json
from trainables.errors import DecodeError, InvalidInput
from trainables.kit.data.config import DataConfig
from trainables.kit.data.decode import decode_picture, decode_sound
from trainables.kit.data.hashing import Progress, hash_json
from trainables.kit.data.spectrogram import log_spectrogram

FORMAT_VERSION = 1


@dataclass(frozen=True, kw_only=True)
class Clip:
    """One decoded video. ``edges_s`` [F + 1]: when each frame appears, and the end. ``sound_TF`` None: no sound track."""

    frames_FHW3: np.ndarray
    edges_s: np.ndarray
    sound_TF: np.ndarray | None
    sound_start_s: float


def decode_clip(path: Path, config: DataConfig) -> Clip:
    """Decode a file as ``config`` says, without any cache.

    Raises:
        DecodeError: see ``decode``.
    """
    picture = decode_picture(path, frame_rate=config.frame_rate, frame_size=config.frame_size)
    sound = decode_sound(path, sample_rate=config.audio.sample_rate) if "audio" in config.modalities else None
    spectrogram = None if sound is None else log_spectrogram(sound.samples_N, config.audio)
    return Clip(
        frames_FHW3=picture.frames_FHW3,
        edges_s=picture.edges_s,
        sound_TF=None if spectrogram is None else spectrogram.to(torch.float16).numpy(),
        sound_start_s=0.0 if sound is None else sound.start_s,
    )


class ClipCache:
    """Entries of one decoding setting. Building is safe beside other builders and readers of the same folder."""

    def __init__(self, cache: Path, config: DataConfig) -> None:
        self.config = config
        self.folder = cache / f"clips-{_settings_key(config)}"
        self._lock = FileLock(self.folder / ".lock")

    def build(self, files: Mapping[str, Path], on_progress: Progress | None = None) -> None:
        """Decode every file (content hash -> path) that has no entry yet, on all cores.

        While another process builds, this one waits and reports that one's progress.

        Raises:
            InvalidInput: files that do not decode, all of them, each with its reason. The others are cached.
        """
        report = on_progress or (lambda done, total: None)
        if not self.missing(files):
            return
        with self.one_builder(lambda: report(len(files) - len(self.missing(files)), len(files))):
            todo = self.missing(files)
            done = len(files) - len(todo)
            bad: list[DecodeError] = []
            # Threads, not processes: nothing has to be imported again (spawning costs 3 s) and they work inside any worker.
            # Decoder and transforms let go of the interpreter lock: 2 threads on 2 cores build 1.7 times faster at
            # 340x256. At 64x64 Python's share (13 ms a file in all) leaves nothing to gain; processes got 1.1 there.
            with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
                jobs: list[Future[None]] = [pool.submit(self._add, sha, files[sha]) for sha in todo]
                try:
                    for job in as_completed(jobs):
                        if isinstance(error := job.exception(), DecodeError):
                            bad.append(error)
                        elif error is not None:
                            raise error
                        done += 1
                        report(done, len(files))
                except BaseException:
                    pool.shutdown(cancel_futures=True)
                    raise
        if bad:
            raise InvalidInput("videos that do not decode", sorted(str(error) for error in bad))

    def missing(self, shas: Mapping[str, Path] | Sequence[str]) -> list[str]:
        """Content hashes without a whole entry."""
        return [sha for sha in shas if self.entry(sha) is None]

    def entry(self, sha: str) -> Json | None:
        """The entry's record, or None if there is none or a file of it has not the size that was written."""
        try:
            record = json.loads((self.folder / f"{sha}.json").read_text())
            whole = all((self.folder / name).stat().st_size == size for name, size in record["bytes"].items())
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None
        return record if whole else None

    def read(self, sha: str) -> Clip:
        """An entry as memory-mapped arrays.

        Raises:
            KeyError: there is no such entry; ``build`` comes first.
        """
        record = self.entry(sha)
        if record is None:
            raise KeyError(sha)
        rgb, audio = f"{sha}.rgb.npy", f"{sha}.audio.npy"
        return Clip(
            frames_FHW3=np.load(self.folder / rgb, mmap_mode="r"),
            edges_s=np.asarray(record["edges_s"]),
            sound_TF=np.load(self.folder / audio, mmap_mode="r") if audio in record["bytes"] else None,
            sound_start_s=record["sound_start_s"],
        )

    @contextmanager
    def one_builder(self, waiting: Callable[[], None] = lambda: None) -> Iterator[None]:
        """Hold the folder's lock, which the system frees if its holder dies; call ``waiting`` each second until then."""
        self.folder.mkdir(parents=True, exist_ok=True)
        while True:
            try:
                self._lock.acquire(timeout=1.0)
                break
            except Timeout:
                waiting()
        try:
            yield
        finally:
            self._lock.release()

    def _add(self, sha: str, path: Path) -> None:
        clip = decode_clip(path, self.config)
        sizes = {f"{sha}.rgb.npy": self._save(f"{sha}.rgb.npy", clip.frames_FHW3)}
        if clip.sound_TF is not None:
            sizes[f"{sha}.audio.npy"] = self._save(f"{sha}.audio.npy", clip.sound_TF)
        record = {
            "bytes": sizes,
            "edges_s": clip.edges_s.tolist(),
            "sound_start_s": clip.sound_start_s,
            "sound_steps": 0 if clip.sound_TF is None else len(clip.sound_TF),
            "source": path.name,
        }
        aside = self.folder / f"{sha}.json.tmp"
        aside.write_text(json.dumps(record))
        os.replace(aside, self.folder / f"{sha}.json")

    def _save(self, name: str, array: np.ndarray) -> int:
        aside = self.folder / f"{name}.tmp"
        with aside.open("wb") as file:
            np.save(file, array)
            size = file.tell()
        os.replace(aside, self.folder / name)
        return size


def _settings_key(config: DataConfig) -> str:
    decoding: dict[str, Json] = {
        "format": FORMAT_VERSION,
        "frame_rate": config.frame_rate,
        "frame_size": config.frame_size,
    }
    if "audio" in config.modalities:
        decoding["audio"] = config.audio.model_dump(include={"sample_rate", "n_fft", "window", "hop", "mels"})
    return hash_json(decoding)[:16]
