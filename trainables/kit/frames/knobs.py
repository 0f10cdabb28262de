"""Knobs of systems that decide frame by frame, and the settings that one measurement holds. Imports no torch."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

from trainables.contract import Knob
from trainables.kit.frames.config import FrameConfig

FRAMES, SAMPLED, DRAW = "frames", "sampled", "draw"
DRAWS = 8  # over which drawn decisions are averaged, where they are drawn by default


def with_frames(biases: Sequence[Knob], config: FrameConfig) -> tuple[Knob, ...]:
    """``biases``, the number of frames and whether decisions are drawn, where those are measured."""
    found = list(biases)
    if config.knobs.frames:
        values = tuple(sorted({*config.knobs.frames, config.data.segments.test}))
        found.append(Knob(name=FRAMES, default=config.data.segments.test, values=tuple(map(float, values))))
    if config.knobs.sampled:
        found.append(Knob(name=SAMPLED, default=0.0, values=(0.0, 1.0)))
    return tuple(found)


def settings(knobs: Sequence[Knob], mode: str) -> tuple[Mapping[str, float], ...]:
    """The settings that a table of ``mode`` holds, the default first."""
    if mode == "sampled":
        return tuple({DRAW: float(n)} for n in range(DRAWS))
    if mode != "policy":
        return ({},)
    default = {knob.name: float(knob.default) for knob in knobs}
    grid = (dict(zip(default, values, strict=True)) for values in itertools.product(*(k.values for k in knobs)))
    return (default, *(setting for setting in grid if setting != default))


def by_frames(settings: Sequence[Mapping[str, float]], usual: int) -> dict[int, list[Mapping[str, float]]]:
    """Number of frames -> the settings that take so many."""
    found: dict[int, list[Mapping[str, float]]] = {}
    for setting in settings:
        found.setdefault(int(setting.get(FRAMES, usual)), []).append(setting)
    return found
