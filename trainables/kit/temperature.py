"""Temperature of a Gumbel-softmax and how it falls: shared by every system that anneals one. Imports no torch."""

from __future__ import annotations

import math
from typing import Literal

from pydantic import Field

from trainables.contract import SystemConfig


class Anneal(SystemConfig):
    """How the temperature falls over a stage's epochs; it never falls below ``floor``.

    ``exponential`` multiplies by ``decay`` each epoch; ``linear`` and ``cosine`` go from ``initial`` to ``floor``;
    ``constant`` stays.
    """

    rule: Literal["exponential", "linear", "cosine", "constant"] = "exponential"
    decay: float = Field(0.965, ge=0, le=1)
    floor: float = Field(0.01, gt=0, le=1)


class Temperature(SystemConfig):
    """Temperature of the Gumbel-softmax. It shapes gradients only: a hard draw does not depend on it."""

    initial: float = Field(5.0, gt=0, le=100)
    anneal: Anneal = Anneal()


def temperature_at(temperature: Temperature, epoch: int, epochs: int) -> float:
    """Temperature of ``epoch`` (0-based) of ``epochs``."""
    rule, initial, floor = temperature.anneal.rule, temperature.initial, temperature.anneal.floor
    share = epoch / max(1, epochs - 1)
    value = {
        "exponential": initial * temperature.anneal.decay**epoch,
        "linear": initial + (floor - initial) * share,
        "cosine": floor + (initial - floor) * 0.5 * (1 + math.cos(math.pi * share)),
        "constant": initial,
    }[rule]
    return max(floor, value)
