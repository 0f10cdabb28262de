"""How large a cache will be, said before hours of decoding; and whether the disk holds it."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import av

from trainables.errors import DecodeError, UserError
from trainables.kit.data.cache import ClipCache, Source, decode_frames
from trainables.kit.data.check.records import Records, is_current
from trainables.kit.data.config import DataConfig
from trainables.kit.data.decode import Part
from trainables.kit.data.frame_folder import pictures_in, read_one
from trainables.kit.data.pack import can_pack, pack_bytes
from trainables.kit.data.streams import READ_ERRORS, announced_s, picture_stream, sound_stream

HEADERS = 64  # files whose headers are read where no check has measured all of them
PICTURES = 12  # files of which a few frames are encoded, to learn the bytes of a pixel
GLIMPSE_S = 0.15
FLOW_BYTES_PER_PIXEL = 0.2  # both channels together, JPEG: 0.06 on synthetic scenes; real motion is busier
RESERVE = 1.05


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """``need_bytes``: about what will be written. ``basis``: what that is reckoned from."""

    videos: int
    missing: int
    need_bytes: int
    free_bytes: int
    basis: str

    def require_room(self, folder: Path) -> None:
        """Raises UserError where the disk cannot hold it."""
        if self.need_bytes * RESERVE > self.free_bytes:
            raise UserError(
                f"the cache of {self.missing} videos needs about {self.need_bytes / 1e9:.1f} GB ({self.basis}), "
                f"{folder} has {self.free_bytes / 1e9:.1f} GB free; make room, choose another storage, "
                "or take less: data.cache=jpeg, a smaller data.frame_size, a lower data.frame_rate"
            )


@dataclass(frozen=True, kw_only=True)
class _Length:
    """One video's picture at its own size, and its sound."""

    frames: float
    seconds: float
    width: int
    height: int
    sound_s: float


def forecast(store: ClipCache, files: Mapping[str, Source], manifest: Path) -> Forecast:
    """Reckon what the entries that are missing take, from the file that ``data check`` wrote or from some files' headers."""
    todo = [files[sha] for sha in store.missing(files)]
    lengths, basis = _measured(todo, manifest), "measured by data check"
    if lengths is None:
        sample = _spread(todo, HEADERS)
        lengths, basis = [found for source in sample if (found := _from_header(source))], "headers of a sample"
        basis = f"{basis} of {len(lengths)}"
    each = _bytes(lengths, todo, store.config) / len(lengths) if lengths else 0.0
    place = next(folder for folder in (store.root, *store.root.resolve().parents) if folder.exists())
    return Forecast(
        videos=len(files),
        missing=len(todo),
        need_bytes=round(each * len(todo)),
        free_bytes=shutil.disk_usage(place).free,
        basis=basis,
    )


def _bytes(lengths: Sequence[_Length], todo: Sequence[Source], config: DataConfig) -> float:
    audio = config.audio
    frames = sum(_cached_frames(length, config) for length in lengths)
    pixels = sum(_cached_frames(length, config) * _cached_pixels(length, config) for length in lengths)
    sound = sum(length.sound_s for length in lengths) * audio.sample_rate * 2
    packed = sound / audio.hop * audio.bands if config.segments.grid else sound
    raw = config.cache_format == "raw"
    total = pixels * (3.0 if raw else _bytes_per_pixel(todo, config))
    if "sound" in config.tracks:
        total += sound
    if "flow" in config.tracks:
        total += pixels * (2.0 if raw else FLOW_BYTES_PER_PIXEL)
    if lengths and can_pack(config, round(frames * len(todo) / len(lengths))):
        total += pack_bytes(config, round(frames)) + (packed if "sound" in config.tracks else 0)
    return total


def _bytes_per_pixel(todo: Sequence[Source], config: DataConfig) -> float:
    """Of JPEG pictures of these videos: a glimpse of the middle of some."""
    coded = pixels = 0
    for source in _spread(todo, PICTURES):
        length = _from_header(source)
        if length is None:
            continue
        middle_s = max(source.part.start_s, 0) + length.seconds / 2
        try:
            frames = decode_frames(
                replace(source, part=Part(start_s=middle_s, end_s=middle_s + GLIMPSE_S)), config
            ).frames_FHW3
        except DecodeError:
            continue  # the build names it
        coded += frames.file.size  # type: ignore[attr-defined]  # asked for as JPEG
        pixels += frames.shape[0] * frames.shape[1] * frames.shape[2]
    return coded / pixels if pixels else 0.5


def _cached_frames(length: _Length, config: DataConfig) -> float:
    return length.frames if config.frame_rate == "native" else length.seconds * config.frame_rate


def _cached_pixels(length: _Length, config: DataConfig) -> float:
    scale = config.frame_size / min(length.width, length.height)
    return round(length.width * scale) * round(length.height * scale)


def _measured(todo: Sequence[Source], manifest: Path) -> list[_Length] | None:
    known, lengths = Records(manifest).read(), []
    for source in todo:
        probe = known.get(source.path)
        if probe is None or not is_current(probe, source.path, source.fps):
            return None
        if (picture := probe.picture) is not None:
            seconds = _within(source.part, picture.start_s, picture.end_s)
            sound_s = 0.0 if probe.sound is None else _within(source.part, probe.sound.start_s, probe.sound.end_s)
            lengths.append(
                _Length(
                    frames=seconds * picture.frame_rate,
                    seconds=seconds,
                    width=picture.width,
                    height=picture.height,
                    sound_s=sound_s,
                )
            )
    return lengths


def _from_header(source: Source) -> _Length | None:
    try:
        if source.path.is_dir():
            return _of_pictures(source)
        with av.open(str(source.path)) as container:
            picture: Any = picture_stream(container)
            if picture is None or not picture.average_rate or not min(picture.width, picture.height):
                return None
            seconds = _within(source.part, 0.0, announced_s(picture, container) or 0.0)
            sound = sound_stream(container)
            sound_s = 0.0 if sound is None else _within(source.part, 0.0, announced_s(sound, container) or 0.0)
            return _Length(
                frames=seconds * float(picture.average_rate),
                seconds=seconds,
                width=picture.width,
                height=picture.height,
                sound_s=sound_s,
            )
    except READ_ERRORS:
        return None  # the build names it


def _of_pictures(source: Source) -> _Length | None:
    pictures = pictures_in(source.path)
    if not pictures or source.fps is None:
        return None
    first, seconds = read_one(pictures[0].path), _within(source.part, 0.0, len(pictures) / source.fps)
    return _Length(frames=seconds * source.fps, seconds=seconds, width=first.width, height=first.height, sound_s=0.0)


def _within(part: Part, start_s: float, end_s: float) -> float:
    return max(0.0, min(end_s, part.end_s) - max(start_s, part.start_s))


def _spread(sources: Sequence[Source], count: int) -> Sequence[Source]:
    return sources[:: max(1, -(-len(sources) // count))]
