"""Where a front leaves room: between neighbours on it that lie far apart."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import moocore
import numpy as np


@dataclass(frozen=True, kw_only=True)
class Gap:
    """Between the points ``cheaper`` and ``dearer`` (their places in what was given).

    ``area``: how much a point between the two could add at most, logarithm of cost times accuracy.
    """

    cheaper: int
    dearer: int
    area: float


def gaps(accuracy_P: Sequence[float], cost_P: Sequence[float]) -> list[Gap]:
    """The gaps of the front of these points, widest first. ``cost_P`` is positive, in any unit.

    A point between two neighbours can be at most as accurate as the dearer one and hardly cheaper than the cheaper one, so
    the gap is the rectangle between them.
    """
    points = np.column_stack([np.log(np.asarray(cost_P, float)), -np.asarray(accuracy_P, float)])
    if len(points) < 2:
        return []
    kept = np.flatnonzero(moocore.is_nondominated(points, keep_weakly=False))
    ordered = kept[np.argsort(points[kept, 0])]
    found = [
        Gap(cheaper=int(a), dearer=int(b), area=float((points[b, 0] - points[a, 0]) * (points[a, 1] - points[b, 1])))
        for a, b in itertools.pairwise(ordered)
    ]
    return sorted(found, key=lambda gap: (-gap.area, gap.cheaper))


def log_area(
    accuracy_P: Sequence[float], cost_P: Sequence[float], *, least_accuracy: float, largest_cost: float
) -> float:
    """Area that the points dominate from the corner of ``least_accuracy`` and ``largest_cost``, on the axes of :func:`gaps`."""
    points = np.column_stack([np.log(np.asarray(cost_P, float)), np.asarray(accuracy_P, float)])
    corner = [math.log(largest_cost), least_accuracy]
    inside = points[(points[:, 0] < corner[0]) & (points[:, 1] > corner[1])]
    return float(moocore.hypervolume(inside, ref=corner, maximise=[False, True])) if len(inside) else 0.0
