"""The part of a training recipe that every system's configuration has. Imports no torch."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from trainables.contract import Optimiser, SystemConfig


class OptimiserConfig(SystemConfig):
    """An optimiser and its schedule; ``milestones`` in epochs. The last four: see :class:`trainables.contract.Optimiser`."""

    name: Literal["sgd", "adam", "adamw"] = "sgd"
    lr: float = Field(0.001, gt=0, le=10)
    momentum: float = Field(0.9, ge=0, lt=1)
    weight_decay: float = Field(1e-4, ge=0)
    schedule: Literal["constant", "multistep", "cosine", "one_cycle"] = "constant"
    milestones: tuple[int, ...] = ()
    bias_times: float = Field(1.0, gt=0)
    linear_times: float = Field(1.0, gt=0)
    decay_biases: bool = True
    clip_norm: float | None = Field(None, gt=0)

    def declared(self) -> Optimiser:
        """The contract's value."""
        return Optimiser(**self.model_dump())
