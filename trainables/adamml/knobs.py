"""What can be set after AdaMML is trained: thresholds, and the efficiency weights of a conditioned policy. No torch."""

from __future__ import annotations

import math

from trainables.adamml.config import AdaMMLConfig
from trainables.contract import Knob
from trainables.kit.measure.replay import JOINT_THRESHOLD, LAMBDA

THRESHOLDS = (0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98)
# Weights do the thresholds' work, and better; the product of all values is what an epoch is scored at.
CONDITIONED_THRESHOLDS = (0.1, 0.3, 0.5, 0.7, 0.9, 0.98)
_GRID = 49  # settings of the weights that a table holds at most


def knobs(config: AdaMMLConfig) -> tuple[Knob, ...]:
    """A threshold a modality (or the joint decision's), and ``lambda.NAME`` a modality of a conditioned policy."""
    joint = config.policy.decision == "joint"
    names = [JOINT_THRESHOLD] if joint else [f"threshold.{m}" for m in config.data.modalities]
    values = CONDITIONED_THRESHOLDS if config.conditioned else THRESHOLDS
    thresholds = tuple(Knob(name=name, default=0.5, values=values) for name in names)
    if not config.conditioned:
        return thresholds
    weights = tuple(
        Knob(name=lambda_knob(m), default=middle(config, m), values=lambda_values(config, m))
        for m in config.data.modalities
    )
    return (*weights, *thresholds)


def lambda_knob(modality: str) -> str:
    """The knob of a modality's efficiency weight."""
    return LAMBDA + modality


def middle(config: AdaMMLConfig, modality: str) -> float:
    """The weight in the middle of its range's logarithm."""
    values = lambda_values(config, modality)
    return values[len(values) // 2]


def lambda_values(config: AdaMMLConfig, modality: str) -> tuple[float, ...]:
    """The values of a modality's weight that are measured: evenly spaced in the logarithm, an odd number, ends included."""
    count = max(3, int(_GRID ** (1 / len(config.data.modalities)) + 1e-9))
    count -= 1 - count % 2
    lowest, highest = (math.log(end) for end in config.lambda_range(modality))
    steps = (lowest + i * (highest - lowest) / (count - 1) for i in range(count))
    return tuple(float(f"{math.exp(step):.6g}") for step in steps)
