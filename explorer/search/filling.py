"""Where the front of a sweep has its widest gap, and which weights lie in its middle. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from explorer.fronts.gaps import Gap, gaps
from explorer.search.aim import Aim, Side
from explorer.spec.constraint import Constraint
from explorer.spec.dimension import Dimension, Value
from explorer.spec.fork import Fork

NEAR = 0.1  # weights that differ by less than this share are the same aim


@dataclass(frozen=True, kw_only=True)
class Reached:
    """What a complete trial reached: the points that its own others do not dominate.

    ``knobs_P``: their settings. Where a field that trials are conditioned on is a knob, its value is there. ``fork``: where the
    trial was forked from, if it was.
    """

    trial: int
    params: Mapping[str, Value]
    fork: Fork | None = None
    accuracy_P: Sequence[float]
    gflops_P: Sequence[float]
    knobs_P: Sequence[Mapping[str, float]]


@dataclass(frozen=True, kw_only=True)
class Filling:
    """How a sweep fills the gaps of its front.

    ``weights``: fields that move a trial along the front (``System.trade_off``); those that are not searched, or are 0 beside a
    gap, stay out. ``constraints``: a gap of which no side keeps one is not worth filling. From ``after`` complete trials on, one
    trial in ``every`` is aimed; a sweep that starts conditioned has a rule of its own for that. ``can_fork``: whether an aimed
    trial can be forked from the trial with these parameters.
    """

    search: Mapping[str, Dimension]
    weights: Sequence[str]
    constraints: Sequence[Constraint] = ()
    after: int = 2
    every: int = 1
    can_fork: Callable[[Mapping[str, Value]], bool] = lambda params: False

    def aim(self, complete: Sequence[Reached], tried: Sequence[Mapping[str, Value]]) -> Aim | None:
        """The widest gap in the front of ``complete`` that none of ``tried`` (parameters of trials) is near to, if any."""
        points = [point for trial in complete for point in _points(trial) if point.side.gflops > 0]
        for gap in gaps([point.side.accuracy for point in points], [point.side.gflops for point in points]):
            aim = self._aim(gap, points[gap.cheaper], points[gap.dearer])
            if aim is not None and not any(_near(aim.weights, params) for params in tried):
                return aim
        return None

    def fork(self, aim: Aim, complete: Sequence[Reached]) -> Fork | None:
        """Where a trial that is aimed so is forked from: the trial beside the gap whose weights are nearer; None: it cannot be.

        A fork is not forked again, as errors would add up and nothing is known of how fast: the trial that it came from stands for
        it.
        """
        beside = [trial for side in (aim.cheaper, aim.dearer) for trial in complete if trial.trial == side.trial]
        origins = [trial.fork or Fork(trial=trial.trial, params=dict(trial.params)) for trial in beside]
        able = [origin for origin in origins if self.can_fork(origin.params)]
        return min(able, key=lambda origin: _distance(aim.weights, origin.params), default=None)

    def _aim(self, gap: Gap, cheaper: _Point, dearer: _Point) -> Aim | None:
        sides = cheaper.settings, dearer.settings
        middle = {
            path: self.search[path].nearest(math.sqrt(sides[0][path] * sides[1][path]))
            for path in self.weights
            if path in self.search and all(side.get(path, 0) > 0 for side in sides)
        }
        kept = all(any(_keeps(constraint, p.side) for p in (cheaper, dearer)) for constraint in self.constraints)
        if not middle or not kept:
            return None
        return Aim(cheaper=cheaper.side, dearer=dearer.side, area=gap.area, weights=middle)


@dataclass(frozen=True, kw_only=True)
class _Point:
    """An operating point and what it was made with: parameters of its trial, and knobs."""

    side: Side
    settings: Mapping[str, float]


def _points(trial: Reached) -> Iterable[_Point]:
    own = {path: float(value) for path, value in trial.params.items() if isinstance(value, int | float)}
    for accuracy, gflops, knobs in zip(trial.accuracy_P, trial.gflops_P, trial.knobs_P, strict=True):
        yield _Point(side=Side(trial=trial.trial, accuracy=accuracy, gflops=gflops), settings={**own, **knobs})


def _distance(one: Mapping[str, Value], other: Mapping[str, Value]) -> float:
    """Between the weights' logarithms; infinite where one is 0."""
    pairs = [(float(one[path] or 0), float(other.get(path) or 0)) for path in one]
    return math.hypot(*(math.log(a / b) if min(a, b) > 0 else math.inf for a, b in pairs))


def _keeps(constraint: Constraint, side: Side) -> bool:
    return constraint.excess({"accuracy": side.accuracy, "gflops": side.gflops}) <= 0


def _near(one: Mapping[str, Value], other: Mapping[str, Value]) -> bool:
    """Whether all weights of the two are within a tenth of each other."""
    pairs = [(one[path], other[path]) for path in one if path in other]
    return all(
        isinstance(a, int | float) and isinstance(b, int | float) and math.isclose(a, b, rel_tol=NEAR) for a, b in pairs
    )
