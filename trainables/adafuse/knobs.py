"""What can be set after AdaFuse is trained. No torch."""

from __future__ import annotations

from trainables.adafuse.config import AdaFuseConfig
from trainables.contract import Knob
from trainables.kit.frames.knobs import with_frames

KEEP_BIAS, SKIP_BIAS = "bias.keep", "bias.skip"


def knobs(config: AdaFuseConfig) -> tuple[Knob, ...]:
    """Biases of the policies' logits; the number of frames and whether decisions are drawn, where they are measured."""
    found = [
        Knob(name=KEEP_BIAS, default=0.0, values=config.knobs.keep),
        Knob(name=SKIP_BIAS, default=0.0, values=config.knobs.skip),
    ]
    return with_frames(found, config)
