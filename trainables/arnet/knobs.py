"""What can be set after AR-Net is trained. No torch."""

from __future__ import annotations

from trainables.arnet.config import ArNetConfig
from trainables.contract import Knob
from trainables.kit.frames.knobs import with_frames

COST, SKIP = "bias.cost", "bias.skip"


def knobs(config: ArNetConfig) -> tuple[Knob, ...]:
    """Biases of the policy's logits; the number of frames and whether actions are drawn, where they are measured."""
    found = [Knob(name=COST, default=0.0, values=config.knobs.cost)]
    if config.actions != "resolutions":
        found.append(Knob(name=SKIP, default=0.0, values=config.knobs.skip))
    return with_frames(found, config)
