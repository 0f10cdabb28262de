"""What a problem of the benchmark offers: configurations whose training can be followed epoch by epoch, and a measure of fronts.

A trial trains what trials can share, then ``epochs`` epochs in which it can be halted, then ``finish`` passes to its end. A test
function is a trial of a single pass.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from explorer.spec.dimension import Dimension, Value
from explorer.spec.rungs import Rung
from trainables.contract import Conditioning

Params = Mapping[str, Value]
Point = Any  # what a problem's own ``front`` and ``hypervolume`` understand


@dataclass(frozen=True, kw_only=True)
class Stand:
    """A trial after some of its training.

    ``values``: of the objectives on validation, at the default setting. ``points``: that at the default setting, then all the
    others; none where a trial that is not finished is worth nothing.
    """

    values: tuple[float, float]
    points: Sequence[Point]
    rates: Mapping[str, float] = field(default_factory=dict)


class Course(Protocol):
    """The training of one configuration."""

    @property
    def shared(self) -> int:
        """Passes before its first epoch, of nets that other trials start from as well."""
        ...

    @property
    def epochs(self) -> int: ...

    @property
    def epoch_passes(self) -> int: ...

    @property
    def finish(self) -> int:
        """Passes after the last epoch."""
        ...

    def at(self, epoch: int) -> Stand:
        """After ``epoch`` epochs, from 1."""
        ...

    def end(self) -> Stand: ...


@dataclass(frozen=True, kw_only=True)
class Budget:
    """Of a sweep that stands for ``trials`` whole trials: their ``passes`` without what they share, which is ``shared`` a trial, or
    once. A trial that was begun within it is finished. ``at_most``: trials that the problem holds."""

    trials: int
    own: int
    shared: int
    at_most: int | None = None

    def passes(self, *, shared: bool) -> int:
        return self.trials * self.own + (1 if shared else self.trials) * self.shared


class Problem(Protocol):
    """``epochs_for_competitors``: whether a competitor that is given the thresholds gets those of every epoch (where that is good
    for it), or of its end alone. ``best``: the hypervolume of the true front, where it is known."""

    search: Mapping[str, Dimension]
    objectives: Mapping[str, str]
    rungs: Sequence[Rung]  # where this program would compare trials; empty: nothing to halt
    logarithmic: tuple[bool, bool]  # which objectives are costs on a logarithmic axis
    conditioning: Conditioning | None
    conditioned_at_most: int  # so many conditioned trials it holds
    default: Params | None  # the first trial of a sweep that has a default configuration
    epochs_for_competitors: bool
    best: float | None

    def budget(self, trials: int) -> Budget: ...

    def begin(self, seed: int) -> Problem:
        """Itself for one sweep: a table hands out no run twice."""
        ...

    def course(self, params: Params) -> Course: ...

    def front(self, points: Sequence[Point]) -> list[Point]: ...

    def hypervolume(self, points: Sequence[Point]) -> float: ...
