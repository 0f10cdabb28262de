"""Choosing one point of a front for a budget, on validation alone."""

from __future__ import annotations

import math
from collections.abc import Sequence

from explorer.errors import NoPoint
from explorer.fronts.dominance import P
from trainables.contract import Convention
from trainables.errors import UserError


def pick(
    points: Sequence[P],
    *,
    max_gflops: float | None = None,
    min_accuracy: float | None = None,
    convention: Convention = "full",
) -> P:
    """The most accurate point within ``max_gflops``, ties to the cheaper; without one the cheapest good enough.

    Raises:
        NoPoint: no point qualifies; the message says how near the nearest is.
        UserError: neither a budget nor an accuracy was given.
    """
    if max_gflops is not None and not 0 < max_gflops < float("inf"):
        raise UserError(f"--max-gflops must be a positive number, got {max_gflops:g}")
    if max_gflops is None and min_accuracy is None:
        raise UserError("pick needs a budget or an accuracy; give --max-gflops, --min-accuracy or both")
    if not points:
        raise NoPoint("the front is empty: no trial has finished a stage that can be picked; resume the sweep")

    def gflops(point: P) -> float:
        return point.val.gflops[convention]

    affordable = [p for p in points if max_gflops is None or gflops(p) <= max_gflops]
    if not affordable:
        nearest = min(points, key=gflops)
        raise NoPoint(
            f"no point costs at most {max_gflops:g} GFLOPs a video ({convention} convention); the cheapest costs "
            f"{_rounded_up(gflops(nearest))} at accuracy {nearest.val.accuracy:.3f}; raise --max-gflops to that"
        )
    feasible = [p for p in affordable if min_accuracy is None or p.val.accuracy >= min_accuracy]
    if not feasible:
        nearest = min(affordable, key=lambda p: (-p.val.accuracy, gflops(p)))
        within = "" if max_gflops is None else f" within {max_gflops:g} GFLOPs a video ({convention} convention)"
        raise NoPoint(
            f"no point{within} reaches accuracy {min_accuracy:g} on validation; the nearest reaches "
            f"{nearest.val.accuracy:.3f} at {gflops(nearest):.4g} GFLOPs; lower --min-accuracy"
            + ("" if max_gflops is None else " or raise --max-gflops")
        )
    if max_gflops is None:
        return min(feasible, key=lambda p: (gflops(p), -p.val.accuracy, str(p.identity)))
    return min(feasible, key=lambda p: (-p.val.accuracy, gflops(p), str(p.identity)))


def _rounded_up(value: float) -> str:
    """Four digits, never below ``value``: whoever types it gets the point."""
    if value <= 0:
        return "0"
    unit = 10.0 ** (math.floor(math.log10(value)) - 3)
    return f"{math.ceil(value / unit - 1e-9) * unit:.4g}"
