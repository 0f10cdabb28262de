"""One file, decoded from beginning to end: what is in it and whether anything is wrong. Imports no torch.

Headers lie, and decoders repair damaged pictures without an error (of 150 one-second clips with flipped bits 60 decoded to
wrong pictures that way). So a file is first decoded strictly: FFmpeg told to raise instead of repairing. What fails is
decoded a second time with the ordinary settings, those that trainings use, while FFmpeg's own complaints and its marks on
repaired frames are collected: a file is corrupt only if that finds damage as well.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import stat
import statistics
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import av
import av.logging

from trainables.kit.data.check.cuts import cut_off
from trainables.kit.data.check.facts import Bad, PictureFacts, Probe, SoundFacts
from trainables.kit.data.check.folder import measure_folder
from trainables.kit.data.check.reasons import Note, Reason
from trainables.kit.data.check.second import second_opinion
from trainables.kit.data.frame_folder import signature
from trainables.kit.data.hashing import hash_path
from trainables.kit.data.streams import (
    READ_ERRORS,
    SHORTFALL_S,
    announced_s,
    has_decoder,
    is_cover,
    is_cut_short,
    picture_stream,
    sound_stream,
)

Beat = Callable[[], None]  # called while there is progress: a watchdog's bone

STRICT = {"err_detect": "crccheck+bitstream+buffer+explode"}
# What FFmpeg says (some of it as mere information) when it replaces what it cannot decode.
REPAIRS = ("concealing", "error while decoding", "damaged", "corrupt decoded frame", "invalid nal unit size")
MP4, MATROSKA = "mp4", "matroska"  # each among the names of FFmpeg's reader of its kin
OF_A_CUT: tuple[Reason, ...] = ("unreadable", "corrupt", "not_a_video")  # what is found where the rest is missing
FRAMES_LOST_SHARE = 0.05
HASH_BYTES = 1 << 22


@dataclass(frozen=True)
class _Complaint:
    """A line of FFmpeg's log; the lower the level, the worse."""

    level: int
    name: str
    text: str


@dataclass(kw_only=True)
class _Track:
    """What one stream has given so far."""

    stream: Any
    all_packets: int = 0  # also those that are decoded but not shown
    packets: int = 0
    frames: int = 0
    times_s: list[float] = field(default_factory=list)
    end_s: float = 0.0
    sizes: set[tuple[int, int]] = field(default_factory=set)
    rotation: int = 0
    interlaced: bool = False
    marked: int = 0  # frames that the decoder calls corrupt


def probe_file(path: Path, *, fps: float | None = None, strict: bool = True, beat: Beat = lambda: None) -> Probe:
    """Measure a file, or a folder of pictures (``fps`` of them a second), whatever state it is in; raises nothing for a bad one.

    ``strict=False`` skips the strict decoder, for a file on which it crashed.
    """
    known: dict[str, Any] = {"fps": fps}
    try:
        if fps is not None and path.is_dir():
            return _probe_folder(path, fps, known, beat)
        status = _regular(path)
        known |= {"size_bytes": status.st_size, "mtime_ns": status.st_mtime_ns}
        if not status.st_size:
            raise Bad("unreadable", "is empty")
        known["sha256"] = _sha256(path, beat)
        try:
            picture, sound, notes = _measure(path, strict=strict, beat=beat)
        except Bad as first:
            if not first.doubtful or not strict:
                raise
            picture, sound, notes = _again(path, first, beat)
        if cut := cut_off(path):
            raise Bad("truncated", cut)
        return Probe(picture=picture, sound=sound, notes=notes, **known)
    except Bad as bad:
        reason, detail = bad.reason, bad.detail
        if reason in OF_A_CUT and "sha256" in known and (cut := cut_off(path, damaged=True)):
            reason, detail = "truncated", f"{cut}; {detail}"
        return Probe(reason=reason, detail=detail, passing=bad.passing, **known)


def _probe_folder(path: Path, fps: float, known: dict[str, Any], beat: Beat) -> Probe:
    """As :func:`probe_file`; raises Bad."""
    try:
        known["size_bytes"], known["mtime_ns"] = signature(path)
        picture, notes = measure_folder(path, fps, beat)
        known["sha256"] = hash_path(path)
    except OSError as error:
        raise Bad("unreadable", error.strerror or str(error), passing=True) from error
    return Probe(picture=picture, notes=notes, **known)


def _again(path: Path, first: Bad, beat: Beat) -> tuple[PictureFacts, SoundFacts | None, tuple[Note, ...]]:
    try:
        picture, sound, notes = _measure(path, strict=False, beat=beat)
    except Bad as second:
        if second.reason != "corrupt":
            raise
        strictly = "" if first.detail == second.detail else f" (strictly decoded: {first.detail})"
        told = "" if second.in_sound else second_opinion(path, beat)
        raise Bad("corrupt", f"{second.detail}{strictly}{told}") from second
    return picture, sound, (*notes, "irregular")


def _regular(path: Path) -> os.stat_result:
    try:
        status = path.stat()
    except FileNotFoundError as error:
        detail = "is a link to a file that does not exist" if path.is_symlink() else "does not exist"
        raise Bad("missing_file", detail) from error
    except OSError as error:  # a loop of links, no permission on a folder
        raise Bad("unreadable", error.strerror or str(error), passing=True) from error
    if not stat.S_ISREG(status.st_mode):
        raise Bad("unreadable", "is a folder" if stat.S_ISDIR(status.st_mode) else "is no ordinary file")
    return status


def _sha256(path: Path, beat: Beat) -> str:
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while chunk := file.read(HASH_BYTES):
                digest.update(chunk)
                beat()
    except OSError as error:
        raise Bad("unreadable", error.strerror or str(error), passing=True) from error
    return digest.hexdigest()


def _measure(path: Path, *, strict: bool, beat: Beat) -> tuple[PictureFacts, SoundFacts | None, tuple[Note, ...]]:
    level, log = av.logging.get_level(), av.logging.Capture()
    av.logging.set_level(av.logging.INFO)
    av.logging.set_skip_repeated(False)  # else the second of two equally damaged files would be silent
    try:
        # Titles in another encoding than UTF-8 are no reason to refuse a file.
        with log, av.open(str(path), metadata_errors="ignore") as container:
            stream, heard = picture_stream(container), sound_stream(container)
            if stream is None:
                covers = sum(map(is_cover, container.streams.video))
                if not all(map(has_decoder, container.streams.video)):
                    raise Bad("unreadable", "its video is in a format for which there is no decoder")
                raise Bad("no_video", "holds a cover picture only" if covers else "has no video stream")
            if heard is None and container.streams.audio:
                raise Bad("unreadable", "its sound is in a format for which there is no decoder")
            tracks = {s.index: _Track(stream=s) for s in (stream, heard) if s is not None}
            for track in tracks.values():
                track.stream.codec_context.thread_count = 1  # files are decoded side by side instead
                if strict:
                    track.stream.codec_context.options = STRICT
            _decode(container, tracks, beat)
            seen, sounding = tracks[stream.index], tracks[heard.index] if heard is not None else None
            _compare_with_header(path, container, tracks)
            return _judge(container, seen, sounding, [_Complaint(*entry) for entry in log.logs])
    except READ_ERRORS as error:
        # Only opening gets here: what happens later is told with the place where it happened.
        told = [text.strip() for level, _, text in log.logs if level <= av.logging.ERROR]
        raise Bad("unreadable", f"does not open ({_say(error)}{': ' if told else ''}{'; '.join(told[:2])})") from error
    finally:
        av.logging.set_level(level)


def _decode(container: Any, tracks: dict[int, _Track], beat: Beat) -> None:
    where = "at its beginning"
    packets = container.demux(*(track.stream for track in tracks.values()))
    while True:
        try:
            packet = next(packets, None)
        except READ_ERRORS as error:
            raise Bad("corrupt", f"does not read on {where} ({_say(error)})", doubtful=True) from error
        if packet is None:
            return
        track = tracks[packet.stream.index]
        track.all_packets += packet.size > 0
        track.packets += packet.size > 0 and not packet.is_discard
        try:
            for frame in packet.decode():
                _note(track, frame)
                where = f"after {track.end_s:.2f} s"
        except READ_ERRORS as error:
            in_sound = track.stream.type == "audio"
            detail = f"{'sound' if in_sound else 'picture'} does not decode {where} ({_say(error)})"
            raise Bad("corrupt", detail, doubtful=True, in_sound=in_sound) from error
        beat()


def _note(track: _Track, frame: Any) -> None:
    start_s = frame.time if frame.time is not None else track.end_s
    track.times_s.append(start_s)
    track.frames += 1
    track.marked += frame.is_corrupt
    if track.stream.type == "audio":
        track.end_s = start_s + frame.samples / frame.sample_rate
        return
    if not track.sizes:
        frame.reformat(format="rgb24", threads=1)  # as a training will
        track.rotation = round(frame.rotation)
    track.sizes.add((frame.width, frame.height))
    track.interlaced |= frame.interlaced_frame
    rate = track.stream.average_rate
    length_s = float(frame.duration * frame.time_base) if frame.duration and frame.time_base else 0.0
    track.end_s = start_s + (length_s or (float(1 / rate) if rate else 0.0))


def _compare_with_header(path: Path, container: Any, tracks: dict[int, _Track]) -> None:
    """An mp4 lists its packets: none may be missing. Those outside of its edit list are left out at first, and then asked for."""
    if MP4 not in container.format.name or all(t.all_packets >= t.stream.frames for t in tracks.values()):
        return
    counts = dict.fromkeys(tracks, 0)
    with av.open(str(path), metadata_errors="ignore", options={"ignore_editlist": "1"}) as whole:
        for packet in whole.demux(*(whole.streams[index] for index in tracks)):
            counts[packet.stream.index] += packet.size > 0
    for index, track in tracks.items():
        if counts[index] < track.stream.frames:
            what = "pictures" if track.stream.type == "video" else "pieces of sound"
            raise Bad(
                "truncated", f"{counts[index]} of the {track.stream.frames} {what} that its header lists are there"
            )


def _judge(
    container: Any, seen: _Track, sounding: _Track | None, complaints: list[_Complaint]
) -> tuple[PictureFacts, SoundFacts | None, tuple[Note, ...]]:
    """From what was decoded to facts, or to what is bad about it."""
    if not seen.frames:
        raise Bad("corrupt", "no picture decodes", doubtful=True)
    picture = _picture_facts(container, seen)
    _check_length("picture", picture, seen, container)
    if seen.frames == 1:
        raise Bad("not_a_video", "holds a single picture")
    sound = None
    if sounding is not None and sounding.frames:
        sound = _sound_facts(container, sounding)
        _check_length("sound", sound, sounding, container)
    elif sounding is not None:
        raise Bad("corrupt", "has a sound track from which nothing decodes", doubtful=True, in_sound=True)
    _check_container(container.format.name, complaints)
    for damage in _damage(seen, complaints):
        raise Bad("corrupt", damage, doubtful=True)
    return picture, sound, tuple(_notes(seen, picture, sound))


def _check_length(what: str, facts: PictureFacts | SoundFacts, track: _Track, container: Any) -> None:
    length_s = facts.end_s - facts.start_s
    if is_cut_short(length_s, track.stream, container):
        detail = f"{length_s:.2f} s of {what} decode, its header announces {facts.announced_s:.2f} s"
        raise Bad("truncated", detail)


def _check_container(name: str, complaints: list[_Complaint]) -> None:
    """Errors that the container's reader told and then read on. Those of other containers are told of good files as well."""
    if MP4 not in name and MATROSKA not in name:
        return
    for said in complaints:
        if said.name == name and said.level <= av.logging.ERROR:
            reason: Reason = "truncated" if "prematurely" in said.text else "corrupt"
            raise Bad(reason, f"its container is damaged: {said.text.strip()}", doubtful=reason == "corrupt")


def _damage(seen: _Track, complaints: list[_Complaint]) -> list[str]:
    """Every sign that pictures are not what was recorded."""
    signs = []
    if seen.marked:
        signs.append(f"{seen.marked} of {seen.frames} pictures are damaged")
    if repairs := [said.text.strip() for said in complaints if any(mark in said.text.lower() for mark in REPAIRS)]:
        signs.append(f"pictures were repaired: {repairs[0]}")
    lost = seen.packets - seen.frames
    if lost > max(1, FRAMES_LOST_SHARE * seen.packets) and not seen.interlaced:  # two fields may come as two packets
        signs.append(f"{lost} of {seen.packets} pictures do not decode")
    back = sum(late < early for early, late in itertools.pairwise(seen.times_s))
    if back:
        signs.append(f"times of pictures run backwards in {back} places")
    return signs


def _picture_facts(container: Any, seen: _Track) -> PictureFacts:
    stream, steps_s = seen.stream, [late - early for early, late in itertools.pairwise(seen.times_s)]
    length_s = seen.end_s - seen.times_s[0]
    middle_s = statistics.median(steps_s) if steps_s else length_s
    # Containers round times to their ticks, so that even frames lie one tick off.
    slack_s = max(1.5 * float(stream.time_base or 0), 0.0005)
    width, height = stream.codec_context.width, stream.codec_context.height
    return PictureFacts(
        stream=stream.index,
        streams=sum(not is_cover(other) for other in container.streams.video),
        codec=stream.codec_context.name,
        start_s=round(seen.times_s[0], 6),
        end_s=round(seen.end_s, 6),
        announced_s=announced_s(stream, container),
        frames=seen.frames,
        frame_rate=round(seen.frames / length_s, 4) if length_s > 0 else 0.0,
        variable_rate=any(abs(step_s - middle_s) > slack_s for step_s in steps_s),
        longest_frame_s=round(max(steps_s, default=length_s), 6),
        width=width,
        height=height,
        rotation=seen.rotation,
    )


def _sound_facts(container: Any, track: _Track) -> SoundFacts:
    context = track.stream.codec_context
    return SoundFacts(
        stream=track.stream.index,
        streams=len(container.streams.audio),
        codec=context.name,
        start_s=round(track.times_s[0], 6),
        end_s=round(track.end_s, 6),
        announced_s=announced_s(track.stream, container),
        sample_rate=context.sample_rate,
        channels=context.channels,
    )


def _notes(seen: _Track, picture: PictureFacts, sound: SoundFacts | None) -> list[Note]:
    notes: list[Note] = []
    if sound is None:
        notes.append("no_audio")
    elif sound.start_s - picture.start_s > SHORTFALL_S or picture.end_s - sound.end_s > SHORTFALL_S:
        notes.append("audio_partial")
    if picture.variable_rate:
        notes.append("variable_rate")
    if picture.rotation:
        notes.append("rotated")
    if len(seen.sizes) > 1:
        notes.append("size_changes")
    return notes


def _say(error: BaseException) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
