"""Choosing one point for a budget, on validation alone."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from explorer.errors import NoPoint
from explorer.fronts.dominance import P
from trainables.contract import Convention, Json
from trainables.errors import UserError

Cost = Literal["gflops", "latency"]


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What a person asks of a point. ``minimise``: what to make small among the points that meet the limits; None = the
    most accurate one where a cost is limited, else the one with the fewest GFLOPs.

    Raises ``UserError`` where it is no wish: a limit that is not positive, an accuracy beyond [0, 1], nothing asked for.
    """

    max_gflops: float | None = None
    max_latency_ms: float | None = None
    min_accuracy: float | None = None
    minimise: Cost | None = None
    convention: Convention = "full"

    def __post_init__(self) -> None:
        for option, limit in (("--max-gflops", self.max_gflops), ("--max-latency-ms", self.max_latency_ms)):
            if limit is not None and not 0 < limit < float("inf"):
                raise UserError(f"{option} must be a positive number, got {limit:g}")
        if self.min_accuracy is not None and not 0 <= self.min_accuracy <= 1:
            raise UserError(f"--min-accuracy must be a share from 0 to 1, got {self.min_accuracy:g}")
        if self.max_gflops is self.max_latency_ms is self.min_accuracy is None:
            raise UserError(
                "pick needs a budget or an accuracy; give --max-gflops, --max-latency-ms, --min-accuracy or several"
            )

    @property
    def asks_for_latency(self) -> bool:
        """Whether latency has to be measured."""
        return self.max_latency_ms is not None or self.minimise == "latency"

    @property
    def goal(self) -> Literal["accuracy", "gflops", "latency"]:
        """What decides among the points that meet every limit."""
        if self.minimise is not None:
            return self.minimise
        return "gflops" if self.max_gflops is self.max_latency_ms is None else "accuracy"

    def to_json(self) -> dict[str, Json]:
        """Only what was asked for, and the convention."""
        asked = {name: value for name, value in asdict(self).items() if value is not None}
        return {**asked, "convention": self.convention}


def pick(points: Sequence[P], wish: Wish, *, latency_ms: Callable[[P], float] | None = None) -> P:
    """The best point that meets ``wish``; of equals the cheaper in GFLOPs.

    ``latency_ms``: measured milliseconds a video of a point, needed where the wish asks for latency.

    Raises:
        NoPoint: no point qualifies; the message says how near the nearest is.
    """
    if not points:
        raise NoPoint("the front is empty: no trial has finished a stage that can be picked; resume the sweep")
    assert latency_ms is not None or not wish.asks_for_latency
    costs = _Costs(wish, latency_ms)
    limits = costs.limits()
    affordable = [p for p in points if all(cost(p) <= limit for limit, cost, _ in limits)]
    if not affordable:
        raise NoPoint(_too_dear(points, limits))
    feasible = [p for p in affordable if wish.min_accuracy is None or p.val.accuracy >= wish.min_accuracy]
    if not feasible:
        raise NoPoint(_not_accurate_enough(affordable, wish, costs))
    return min(feasible, key=lambda p: (*costs.order(p), str(p.identity)))


@dataclass(frozen=True, kw_only=True)
class _Unit:
    """A cost in words. ``option`` limits it."""

    name: str
    option: str


class _Costs:
    """The costs that a wish speaks of."""

    def __init__(self, wish: Wish, latency_ms: Callable[[Any], float] | None) -> None:
        self._wish = wish
        self._latency_ms = latency_ms

    def gflops(self, point: P) -> float:
        return point.val.gflops[self._wish.convention]

    def latency(self, point: P) -> float:
        return 0.0 if self._latency_ms is None else self._latency_ms(point)

    def limits(self) -> list[tuple[float, Callable[[P], float], _Unit]]:
        wish = self._wish
        found: list[tuple[float, Callable[[P], float], _Unit]] = []
        if wish.max_gflops is not None:
            unit = _Unit(name=f"GFLOPs a video ({wish.convention} convention)", option="--max-gflops")
            found.append((wish.max_gflops, self.gflops, unit))
        if wish.max_latency_ms is not None:
            unit = _Unit(name="ms a video (networks, measured here)", option="--max-latency-ms")
            found.append((wish.max_latency_ms, self.latency, unit))
        return found

    def order(self, point: P) -> tuple[float, float, float]:
        """Smaller is better."""
        worst, gflops, latency = -point.val.accuracy, self.gflops(point), self.latency(point)
        if self._wish.goal == "accuracy":
            return (worst, latency, gflops) if self._wish.max_gflops is None else (worst, gflops, latency)
        return (gflops, worst, latency) if self._wish.goal == "gflops" else (latency, worst, gflops)


def _too_dear(points: Sequence[P], limits: Sequence[tuple[float, Callable[[P], float], _Unit]]) -> str:
    """Each limit that no point meets, with the cheapest there is; where each alone is met, the nearest to all."""
    parts = []
    for limit, cost, unit in limits:
        nearest = min(points, key=cost)
        if cost(nearest) > limit:
            over = cost(nearest) - limit
            parts.append(
                f"no point costs at most {limit:g} {unit.name}; the cheapest costs {_rounded_up(cost(nearest))} "
                f"at accuracy {nearest.val.accuracy:.3f}, {over:.3g} ({100 * over / limit:.0f} %) too much; "
                f"raise {unit.option} to that"
            )
    if parts:
        return "\n".join(parts)
    nearest = min(points, key=lambda p: max(cost(p) / limit for limit, cost, _ in limits))
    stated = " and ".join(f"{limit:g} {unit.name}" for limit, _, unit in limits)
    values = " and ".join(f"{_rounded_up(cost(nearest))} {unit.name}" for _, cost, unit in limits)
    excess = max(cost(nearest) / limit for limit, cost, _ in limits) - 1
    return f"no point keeps to {stated} at once; the nearest costs {values}, {100 * excess:.0f} % too much; raise a limit"


def _not_accurate_enough(affordable: Sequence[P], wish: Wish, costs: _Costs) -> str:
    nearest = min(affordable, key=lambda p: (-p.val.accuracy, costs.gflops(p)))
    assert wish.min_accuracy is not None
    limits = costs.limits()
    within = "".join(f" within {limit:g} {unit.name}" for limit, _, unit in limits)
    raised = "".join(f" or raise {unit.option}" for _, _, unit in limits)
    missed = wish.min_accuracy - nearest.val.accuracy
    return (
        f"no point{within} reaches accuracy {wish.min_accuracy:g} on validation; the nearest reaches "
        f"{nearest.val.accuracy:.3f}, {missed:.3g} short, at {costs.gflops(nearest):.4g} GFLOPs; lower --min-accuracy{raised}"
    )


def _rounded_up(value: float) -> str:
    """Four digits, never below ``value``: whoever types it gets the point."""
    if value <= 0:
        return "0"
    unit = 10.0 ** (math.floor(math.log10(value)) - 3)
    return f"{math.ceil(value / unit - 1e-9) * unit:.4g}"
