"""What a method consists of: who proposes trials, who stops them, and what counts of what they leave."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from benchmarks.search_efficiency.problem import Course, Params, Point, Problem
from explorer.spec.rungs import Rung


@dataclass(frozen=True, kw_only=True)
class Asked:
    number: int
    params: Params


@dataclass(frozen=True, kw_only=True)
class Told:
    """How a trial ended: its values; and ``points``, all that it left, for an asker that learns from them."""

    values: tuple[float, float]
    points: Sequence[Point]


class Asker(Protocol):
    """Proposes trials and is told how they ended; None: stopped early."""

    learns_points: bool

    def ask(self) -> Asked | None:
        """None: only when a running trial has ended (a generation waits for its last member)."""
        ...

    def tell(self, number: int, told: Told | None) -> None: ...


Standing = Literal["passed", "paused", "promoted", "stopped"]


class Stopping(Protocol):
    """Decides at halts which trials go on."""

    def halts(self, course: Course) -> Sequence[Rung]: ...

    def begin(self, number: int) -> None: ...

    def arrive(self, number: int, rung: Rung, course: Course, epochs: int) -> Standing: ...

    def next_promotion(self, *, asking: bool) -> int | None: ...

    def promote(self, number: int) -> object: ...

    def to_prune(self, *, asking: bool) -> Sequence[int]: ...

    def end(self, number: int, state: str) -> None: ...


class Never:
    """Every trial is trained to its end."""

    def halts(self, course: Course) -> Sequence[Rung]:
        return ()

    def begin(self, number: int) -> None: ...

    def arrive(self, number: int, rung: Rung, course: Course, epochs: int) -> Standing:
        raise AssertionError("no trial is halted")

    def next_promotion(self, *, asking: bool) -> int | None:
        return None

    def promote(self, number: int) -> None: ...

    def to_prune(self, *, asking: bool) -> Sequence[int]:
        return ()

    def end(self, number: int, state: str) -> None: ...


def never(problem: Problem, asker: Asker) -> Stopping:
    return Never()


@dataclass(frozen=True, kw_only=True)
class Method:
    """``shared``: what trials can share is trained once. ``thresholds``: a checkpoint leaves every operating point, not only that
    of its default setting; ``epochs``: each epoch is a checkpoint; ``partial``: so is the last one of a trial that was stopped."""

    asker: Callable[[Problem, int, Path], Asker]
    stopping: Callable[[Problem, Asker], Stopping] = never
    shared: bool = False
    thresholds: bool = False
    epochs: bool = False
    partial: bool = False

    @property
    def trajectory(self) -> object:
        """Methods of equal ones run the same sweeps and differ only in what counts."""
        return self.asker, self.stopping, self.shared
