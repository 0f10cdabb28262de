"""What a sampler is given and what it gives. A proposal depends on this alone: no hidden state, no global draw."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from explorer.spec.dimension import Dimension, Value

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial


@dataclass(frozen=True, kw_only=True)
class Known:
    """All that the proposal for trial ``number`` may depend on.

    ``trials``: complete, pruned and running ones by number; a running one has parameters and no values.
    ``attempt`` counts from 0 and grows when a proposal repeats an earlier trial.
    """

    search: Mapping[str, Dimension]
    directions: tuple[str, ...]  # "maximize" or "minimize", one an objective
    trials: tuple[FrozenTrial, ...]
    seed: int
    number: int
    attempt: int = 0

    @property
    def draw(self) -> tuple[int, int, int]:
        """What a generator of this proposal is seeded with."""
        return (self.seed, self.number, self.attempt)

    @property
    def draw_seed(self) -> int:
        """:attr:`draw` as one number of 31 bits, for samplers that take one."""
        return int(np.random.SeedSequence(self.draw).generate_state(1)[0] >> 1)


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """A point, and what the sampler wants to find again in the trial (NSGA-II: its generation).

    ``notes``: user attributes of the trial, such as what it is aimed at.
    """

    params: Mapping[str, Value]
    system_attrs: Mapping[str, Any] = field(default_factory=dict)
    notes: Mapping[str, Any] = field(default_factory=dict)
