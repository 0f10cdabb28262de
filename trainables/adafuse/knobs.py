"""What can be set after AdaFuse is trained, and the settings that a measurement holds. No torch."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

from trainables.adafuse.config import AdaFuseConfig
from trainables.contract import Knob

KEEP_BIAS, SKIP_BIAS, FRAMES, SAMPLED, DRAW = "bias.keep", "bias.skip", "frames", "sampled", "draw"
DRAWS = 8  # over which drawn decisions are averaged, where they are drawn by default


def knobs(config: AdaFuseConfig) -> tuple[Knob, ...]:
    """Biases of the policies' logits; the number of frames and whether decisions are drawn, where they are measured."""
    found = [
        Knob(name=KEEP_BIAS, default=0.0, values=config.knobs.keep),
        Knob(name=SKIP_BIAS, default=0.0, values=config.knobs.skip),
    ]
    if config.knobs.frames:
        values = tuple(sorted({*config.knobs.frames, config.data.segments.test}))
        found.append(Knob(name=FRAMES, default=config.data.segments.test, values=tuple(map(float, values))))
    if config.knobs.sampled:
        found.append(Knob(name=SAMPLED, default=0.0, values=(0.0, 1.0)))
    return tuple(found)


def settings(config: AdaFuseConfig, mode: str) -> tuple[Mapping[str, float], ...]:
    """The settings that a table of ``mode`` holds, the default first."""
    if mode == "sampled":
        return tuple({DRAW: float(n)} for n in range(DRAWS))
    if mode != "policy":
        return ({},)
    free = knobs(config)
    default = {knob.name: float(knob.default) for knob in free}
    grid = (dict(zip(default, values, strict=True)) for values in itertools.product(*(k.values for k in free)))
    return (default, *(setting for setting in grid if setting != default))
