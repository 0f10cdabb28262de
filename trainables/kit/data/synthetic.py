"""Demonstration clips: real mp4 files in which what is worth looking at, and listening to, changes from segment to segment.

Six classes differ in the shape and motion that they show and in the sound that they make. In 40 % of the clips the class
is both seen and heard, in 30 % only seen, in 30 % only heard. A stream that carries it does so in 1 to 3 segments of
0.8 s; its other segments, and all of a stream that does not carry it, hold distractors: clutter or crackle, and often a faint
shape or sound of one wrong class. So adding everything up is not the best that can be done.

    FOLDER/videos/clip_00000.mp4   H.264 64x64 at 10 frames a second, AAC mono at 16 kHz
    FOLDER/manifest.jsonl          as ``manifest`` reads it; train, val, test 4 : 1 : 1
    FOLDER/truth.jsonl             which segments carry the class, by stream; for judging a policy, not for training one

Everything follows from the seed. Imports no torch.
"""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import numpy as np

from trainables.errors import InvalidInput, UserError
from trainables.kit.data.outputs import folder_problems

CLASSES = ("disc", "square", "triangle", "cross", "ring", "stripes")
KINDS: tuple[Literal["both", "image", "audio"], ...] = ("both",) * 4 + ("image",) * 3 + ("audio",) * 3
SPLIT_CYCLE = ("train", "train", "val", "train", "train", "test")
SIDE = 64
FRAME_RATE = 10
SAMPLE_RATE = 16_000
SEGMENT_FRAMES = 8
SEGMENT_S = SEGMENT_FRAMES / FRAME_RATE
FEWEST_SEGMENTS = 4
# Without B-frames and macroblock tree: with both, the same pictures gave up to five different files in fifteen runs.
ENCODER_OPTIONS = {"preset": "veryfast", "crf": "20", "bf": "0", "x264-params": "no-mbtree=1"}
FAINT_CHANCE = 0.7
CLUTTER_CHANCE = 0.5
FAINT_PICTURE = (0.3, 0.45)  # opacity of a wrong shape; the right one has 0.85 to 1
FAINT_SOUND = (0.15, 0.3)  # loudness of a wrong sound; the right one has 0.7 to 1


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What one clip shows: class, kind, and the segments in which each stream carries the class."""

    id: str
    index: int
    split: str
    label: int
    kind: str
    image_informative: tuple[bool, ...]
    audio_informative: tuple[bool, ...]


def synthesise(
    folder: Path | str,
    *,
    videos: int = 240,
    seed: int = 0,
    seconds: float = 8.0,
    on_progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Write the clips and return the manifest's path. Files of an earlier call are replaced, surplus clips removed.

    Raises:
        InvalidInput: too few or too short clips, a seed below 0, no folder that can be written to; nothing is written.
        UserError: the folder cannot be made.
    """
    folder = Path(folder)
    _check(folder, videos, seed, seconds)
    try:
        (folder / "videos").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"the folder of the clips must be one that can be made, got {folder} ({error})") from error
    plans = make_plans(videos, seed, round(seconds / SEGMENT_S))
    surplus = _earlier(folder) - {_file(plan) for plan in plans}
    with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:  # encoders and array arithmetic run side by side
        for done, _ in enumerate(pool.map(lambda plan: _write(folder, plan, seed), plans), start=1):
            if on_progress is not None:
                on_progress(done, videos)
    for name in surplus:  # before the manifest that names them goes: a call that is killed leaves none behind for good
        (folder / name).unlink(missing_ok=True)
    _write_lines(folder / "truth.jsonl", [_truth(plan) for plan in plans])
    _write_lines(folder / "manifest.jsonl", [_row(plan) for plan in plans])
    return folder / "manifest.jsonl"


def _check(folder: Path, videos: int, seed: int, seconds: float) -> None:
    problems = []
    if videos < len(CLASSES) * len(SPLIT_CYCLE):
        problems.append(
            f"videos must be {len(CLASSES) * len(SPLIT_CYCLE)} or more, one a class and split, got {videos}"
        )
    if not math.isfinite(seconds) or round(seconds / SEGMENT_S) < FEWEST_SEGMENTS:
        problems.append(f"seconds must be {FEWEST_SEGMENTS * SEGMENT_S:g} or more, got {seconds:g}")
    if seed < 0:
        problems.append(f"seed must be 0 or more, got {seed}")
    problems += [f"videos/ {problem}" for problem in folder_problems(folder / "videos")]
    for name in ("truth.jsonl", "manifest.jsonl"):
        if (folder / name).is_dir():
            problems.append(f"{name} must be a file, got the folder {folder / name}")
    if problems:
        raise InvalidInput("demonstration clips", problems)


def _earlier(folder: Path) -> set[str]:
    """The clips of an earlier call: those that its manifest and its truth both name, as only this module calls them."""
    try:
        truth, rows = (
            [json.loads(line) for line in (folder / name).read_text().splitlines()]
            for name in ("truth.jsonl", "manifest.jsonl")
        )
        made = {f"videos/{row['id']}.mp4" for row in truth if re.fullmatch(r"clip_\d{5,}", row["id"])}
        return made & {row["path"] for row in rows}
    except (OSError, ValueError, KeyError, TypeError):  # none, or files of another kind: nothing to remove
        return set()


def make_plans(videos: int, seed: int, segments: int) -> list[Plan]:
    """Classes in turn; splits in turn within a class; kinds in their shares within ten clips of a class."""
    plans = []
    for index in range(videos):
        label, turn = index % len(CLASSES), index // len(CLASSES)
        kinds = np.random.default_rng([seed, 1, label, turn // len(KINDS)]).permutation(len(KINDS))
        kind = KINDS[kinds[turn % len(KINDS)]]
        rng = np.random.default_rng([seed, 2, index])
        carriers = [_carriers(rng, segments) for _ in range(2)]  # drawn for both, so that kinds do not shift the draws
        plans.append(
            Plan(
                id=f"clip_{index:05d}",
                index=index,
                split=SPLIT_CYCLE[turn % len(SPLIT_CYCLE)],
                label=label,
                kind=kind,
                image_informative=carriers[0] if kind != "audio" else (False,) * segments,
                audio_informative=carriers[1] if kind != "image" else (False,) * segments,
            )
        )
    return plans


def write_clip(
    path: Path | str,
    frames_FHW3: np.ndarray,
    samples_N: np.ndarray | None,
    *,
    frame_rate: int = FRAME_RATE,
    sample_rate: int = SAMPLE_RATE,
    sound_start_s: float = 0.0,
    encoder_options: Mapping[str, str] = ENCODER_OPTIONS,
) -> None:
    """Encode uint8 RGB frames (sides even) and one channel of sound in [-1, 1] as mp4; None: no sound track."""
    import av

    with av.open(str(path), "w", format="mp4") as container:
        video: Any = container.add_stream("libx264", rate=frame_rate, options=dict(encoder_options))
        video.height, video.width = frames_FHW3.shape[1:3]
        video.pix_fmt = "yuv420p"
        video.codec_context.thread_count = 1  # clips are made side by side; and slices would change the bytes
        audio: Any = None
        if samples_N is not None:
            # The default coder searches twice as long for the same size at this rate.
            audio = container.add_stream("aac", rate=sample_rate, layout="mono", options={"aac_coder": "fast"})
            audio.bit_rate = 48_000
        for number, image in enumerate(frames_FHW3):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, frame_rate)
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        if samples_N is not None:
            sound = av.AudioFrame.from_ndarray(samples_N[None].astype(np.float32), format="fltp", layout="mono")
            sound.sample_rate, sound.time_base = sample_rate, Fraction(1, sample_rate)
            sound.pts = round(sound_start_s * sample_rate)
            container.mux(audio.encode(sound))
            container.mux(audio.encode(None))


def render_picture(label: int, informative: Sequence[bool], rng: np.random.Generator) -> np.ndarray:
    """The frames of one clip, uint8 ``[F, 64, 64, 3]``."""
    background = _background(rng)
    wrong = _other_class(label, rng)
    parts = []
    for carries in informative:
        image = np.broadcast_to(background, (SEGMENT_FRAMES, SIDE, SIDE, 3)).copy()
        faint, clutter = rng.random(2)
        if not carries and clutter < CLUTTER_CHANCE:
            _draw(image, _strokes(rng), rng.uniform(0.5, 0.9), rng)
        if carries:
            _draw(image, _shape(label, rng), rng.uniform(0.85, 1.0), rng)
        elif faint < FAINT_CHANCE:
            _draw(image, _shape(wrong, rng), rng.uniform(*FAINT_PICTURE), rng)
        parts.append(image)
    frames = np.concatenate(parts)
    frames += 4 * rng.standard_normal(frames.shape[:3], dtype=np.float32)[..., None]
    return frames.clip(0, 255).astype(np.uint8)


def render_sound(label: int, informative: Sequence[bool], rng: np.random.Generator) -> np.ndarray:
    """The sound of one clip, float32 ``[N]`` at 16 kHz."""
    wrong = _other_class(label, rng)
    parts = []
    for carries in informative:
        length = round(SEGMENT_S * SAMPLE_RATE)
        sound = np.zeros(length)
        faint, crackle = rng.random(2)
        if not carries and crackle < CLUTTER_CHANCE:
            clicks = rng.integers(0, length - 400, size=8)
            for click in clicks:
                sound[click : click + 400] += rng.uniform(0.1, 0.4) * _decay(400) * rng.standard_normal(400)
        if carries:
            sound += 0.3 * rng.uniform(0.7, 1.0) * _note(label, rng)
        elif faint < FAINT_CHANCE:
            sound += 0.3 * rng.uniform(*FAINT_SOUND) * _note(wrong, rng)
        parts.append(sound)
    whole = np.concatenate(parts)
    return (whole + rng.uniform(0.004, 0.012) * rng.standard_normal(len(whole))).clip(-1, 1).astype(np.float32)


def _carriers(rng: np.random.Generator, segments: int) -> tuple[bool, ...]:
    chosen = set(rng.permutation(segments)[: rng.integers(1, 4)].tolist())
    return tuple(segment in chosen for segment in range(segments))


def _other_class(label: int, rng: np.random.Generator) -> int:
    return int((label + rng.integers(1, len(CLASSES))) % len(CLASSES))


def _background(rng: np.random.Generator) -> np.ndarray:
    """A dark grey surface, lighter towards one side, float32 ``[64, 64, 3]``.

    Nearly the same in all clips: with a texture for each, a small net learns 160 clips by heart instead of their shapes
    (19 % of validation right).
    """
    slope = np.linspace(-10, 10, SIDE, dtype=np.float32)
    if rng.random() < 0.5:
        slope = slope[::-1]
    grey = np.float32(rng.uniform(50, 70)) + slope
    return np.broadcast_to(grey[:, None, None], (SIDE, SIDE, 3))


def _draw(image_FHW3: np.ndarray, mask_FHW: np.ndarray, opacity: float, rng: np.random.Generator) -> None:
    colour = rng.uniform(190, 250, size=3).astype(np.float32)
    image_FHW3 += np.float32(opacity) * mask_FHW[..., None] * (colour - image_FHW3)


def _shape(label: int, rng: np.random.Generator) -> np.ndarray:
    """The class's shape in the class's motion over one segment: coverage in [0, 1], float32 ``[8, 64, 64]``."""
    time_F = np.linspace(-1, 1, SEGMENT_FRAMES)
    directions = {0: (1.0, 0.0), 1: (-1.0, 0.0), 2: (0.0, -1.0), 3: (0.0, 1.0)}
    right, down = directions.get(label, (0.0, 0.0))
    x0_F = SIDE / 2 + rng.uniform(-6, 6) + 6 * right * time_F
    y0_F = SIDE / 2 + rng.uniform(-6, 6) + 6 * down * time_F
    radius_F = rng.uniform(15, 18) * (1 + (0.25 * time_F if label == 4 else 0 * time_F))  # the ring grows
    grid = np.arange(SIDE) + 0.5
    x = ((grid[None, None, :] - x0_F[:, None, None]) / radius_F[:, None, None]).astype(np.float32)
    y = ((grid[None, :, None] - y0_F[:, None, None]) / radius_F[:, None, None]).astype(np.float32)
    if label == 5:  # the stripes turn
        angle = (rng.uniform(-0.3, 0.3) + 0.5 * time_F)[:, None, None].astype(np.float32)
        x, y = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    distance = _OUTLINES[label](x, y) * radius_F[:, None, None].astype(np.float32)
    return np.clip(0.5 - distance, 0, 1)


# Signed distance (roughly, inside negative) to a shape of radius 1 at the origin.
_OUTLINES: tuple[Callable[[np.ndarray, np.ndarray], np.ndarray], ...] = (
    lambda x, y: np.hypot(x, y) - 1,
    lambda x, y: np.maximum(abs(x), abs(y)) - 0.85,
    lambda x, y: np.maximum(y - 0.6, 0.87 * abs(x) - 0.5 * y - 0.6),
    lambda x, y: np.minimum(np.maximum(abs(x), 3 * abs(y)), np.maximum(3 * abs(x), abs(y))) - 1,
    lambda x, y: abs(np.hypot(x, y) - 0.8) - 0.2,
    lambda x, y: np.maximum(np.maximum(abs(x), abs(y)) - 0.95, abs((x + 2) % 0.76 - 0.38) - 0.2),
)


def _strokes(rng: np.random.Generator) -> np.ndarray:
    """Three thin lines that stand still: clutter of no class, float32 ``[8, 64, 64]``."""
    grid = np.arange(SIDE, dtype=np.float32)
    mask = np.zeros((SIDE, SIDE), dtype=np.float32)
    for angle, offset in zip(rng.uniform(0, np.pi, 3), rng.uniform(-20, 20, 3), strict=True):
        line = np.cos(angle) * (grid[None] - SIDE / 2) + np.sin(angle) * (grid[:, None] - SIDE / 2) - offset
        mask = np.maximum(mask, np.clip(1.5 - abs(line), 0, 1))
    return np.broadcast_to(mask, (SEGMENT_FRAMES, SIDE, SIDE))


def _note(label: int, rng: np.random.Generator) -> np.ndarray:
    """The class's sound over one segment, peak about 1: 0.6 s of it, begun 0.05 to 0.15 s into the segment."""
    length, whole = round(0.6 * SAMPLE_RATE), round(SEGMENT_S * SAMPLE_RATE)
    time = np.arange(length) / SAMPLE_RATE
    part = time / 0.6
    pitch = rng.uniform(0.92, 1.08)
    hertz: dict[int, np.ndarray] = {
        0: np.full(length, 330.0),  # a steady tone
        1: 500 * 5**part,  # rising
        2: 2500 * 5**-part,  # falling
        3: np.full(length, 1300.0),  # beeps
        4: 1000 + 450 * np.sin(2 * np.pi * 6 * time),  # warbling
    }
    if label == 5:  # a hiss
        note = np.diff(rng.standard_normal(length + 1)) / 3
    else:
        phase = 2 * np.pi * np.cumsum(hertz[label] * pitch) / SAMPLE_RATE
        note = np.sin(phase) + 0.3 * np.sin(2 * phase)
    if label == 3:
        note *= (time * 8) % 1 < 0.5
    edge = round(0.03 * SAMPLE_RATE)
    note[:edge] *= np.linspace(0, 1, edge)
    note[-edge:] *= np.linspace(1, 0, edge)
    begin = round(rng.uniform(0.05, 0.15) * SAMPLE_RATE)
    return np.pad(note, (begin, whole - length - begin))


def _decay(length: int) -> np.ndarray:
    return np.exp(-5 * np.arange(length) / length)


def _write(folder: Path, plan: Plan, seed: int) -> None:
    rng = np.random.default_rng([seed, 3, plan.index])
    frames = render_picture(plan.label, plan.image_informative, rng)
    write_clip(folder / _file(plan), frames, render_sound(plan.label, plan.audio_informative, rng))


def _file(plan: Plan) -> str:
    return f"videos/{plan.id}.mp4"


def _row(plan: Plan) -> dict[str, object]:
    row = {"id": plan.id, "split": plan.split, "path": _file(plan), "label": plan.label}
    return {**row, "label_name": CLASSES[plan.label]}


def _truth(plan: Plan) -> dict[str, object]:
    return {
        "id": plan.id,
        "kind": plan.kind,
        "image_informative": [int(carries) for carries in plan.image_informative],
        "audio_informative": [int(carries) for carries in plan.audio_informative],
    }


def _write_lines(path: Path, rows: Sequence[dict[str, object]]) -> None:
    aside = path.with_name(f"{path.name}.tmp")
    aside.write_text("".join(json.dumps(row) + "\n" for row in rows))
    os.replace(aside, path)
