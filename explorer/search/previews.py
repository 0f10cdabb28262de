"""Rung 0: of several proposals for a trial the one runs whose preview would add most to the front, as long as previews predict.

A preview (:meth:`trainables.contract.System.preview`) costs almost nothing beside a trial, but knows less: whether it
orders trials as their training does is asked anew for each trial, by rank correlation over those that ended. Pure.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from explorer.fronts.dominance import REFERENCE_MARGIN
from explorer.fronts.gaps import log_area

JUDGED_FROM = 10  # finished trials with a preview: below, no rank correlation tells previews from chance
_ONE_SIDED = 1.2816  # quantile of 90 % of the normal distribution


@dataclass(frozen=True, kw_only=True)
class Previewed:
    """What a preview, or a trial, reaches on validation; the first point has its knobs at their defaults."""

    accuracy_P: Sequence[float]
    gflops_P: Sequence[float]

    @classmethod
    def of(cls, points: Sequence[Mapping[str, Any]]) -> Self:
        """From the stored points of a preview."""
        ordered = sorted(points, key=lambda point: point["selection"] != "default")
        return cls(
            accuracy_P=[point["val"]["accuracy"] for point in ordered],
            gflops_P=[point["val"]["gflops"]["full"] for point in ordered],
        )


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """Kendall's tau-b between previews and what ``trials`` finished ones reached.

    ``tau``: of accuracy and GFLOPs at default knobs, and of the ``area`` that all points of a trial dominate. ``low``: lower end of
    a one-sided 90 % interval of the area's, with the standard error that tau has where nothing agrees,
    sqrt(2 (2n + 5) / (9 n (n - 1))) (Kendall, A New Measure of Rank Correlation, Biometrika 1938).
    """

    trials: int
    tau: Mapping[str, float]
    low: float | None

    @property
    def trusted(self) -> bool:
        """Whether previews choose: until enough trials judge them, then while areas, by which they choose, agree above chance."""
        return self.trials < JUDGED_FROM or (self.low is not None and self.low > 0)

    def to_json(self) -> dict[str, Any]:
        """JSON-able, with ``trusted``."""
        return {"trials": self.trials, "tau": dict(self.tau), "low": self.low, "trusted": self.trusted}


def agreement(pairs: Sequence[tuple[Previewed, Previewed]]) -> Agreement:
    """How far previews (first) order trials as what these reached (second)."""
    n = len(pairs)
    if n < 2:
        return Agreement(trials=n, tau={}, low=None)
    before, after = [preview for preview, _ in pairs], [final for _, final in pairs]
    tau = {
        "accuracy": kendall([p.accuracy_P[0] for p in before], [p.accuracy_P[0] for p in after]),
        "gflops": kendall([p.gflops_P[0] for p in before], [p.gflops_P[0] for p in after]),
        "area": kendall(*([area([one], corner_of(many)) for one in many] for many in (before, after))),
    }
    error = math.sqrt(2 * (2 * n + 5) / (9 * n * (n - 1)))
    return Agreement(trials=n, tau=tau, low=tau["area"] - _ONE_SIDED * error)


def kendall(x: Sequence[float], y: Sequence[float]) -> float:
    """Kendall's tau-b, in [-1, 1]; 0 where all of one are equal."""
    agree = only_x = only_y = 0.0
    for (x1, y1), (x2, y2) in itertools.combinations(zip(x, y, strict=True), 2):
        sign_x, sign_y = (x1 > x2) - (x1 < x2), (y1 > y2) - (y1 < y2)
        agree += sign_x * sign_y
        only_x += sign_x != 0
        only_y += sign_y != 0
    return agree / math.sqrt(only_x * only_y) if only_x and only_y else 0.0


def choose(candidates: Sequence[Previewed | None], begun: Sequence[Previewed]) -> int:
    """The candidate that adds the largest area to the previewed front of the trials begun so far; the first of equals.

    None: its preview failed. Previews are compared with previews: all of them know equally little.
    """
    known = [preview for preview in (*begun, *candidates) if preview is not None]
    if not known:
        return 0
    corner = corner_of(known)
    areas = [-1.0 if candidate is None else area([*begun, candidate], corner) for candidate in candidates]
    return areas.index(max(areas))


def corner_of(previews: Sequence[Previewed]) -> tuple[float, float]:
    """Accuracy and GFLOPs a little beyond the worst of all points, so that the ends of a front count, too."""
    least = min(min(preview.accuracy_P) for preview in previews) - REFERENCE_MARGIN
    return least, max(max(preview.gflops_P) for preview in previews) * (1 + REFERENCE_MARGIN)


def area(previews: Sequence[Previewed], corner: tuple[float, float]) -> float:
    """What the points of all of them dominate together."""
    accuracy_P = [accuracy for preview in previews for accuracy in preview.accuracy_P]
    gflops_P = [gflops for preview in previews for gflops in preview.gflops_P]
    return log_area(accuracy_P, gflops_P, least_accuracy=corner[0], largest_cost=corner[1])
