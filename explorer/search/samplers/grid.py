"""A grid that is refined when it is used up: ends and middle of each range, then the quarters, and so on.

The points of a level come in a seeded random order, so that a sweep that ends early has seen all corners of the space alike. A
finer level holds the points of the coarser one; only its new ones are asked for.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping

import numpy as np

from explorer.search.known import Known, Proposal
from explorer.spec.dimension import Choice, Dimension, Int, Value

FINEST = 20  # 2**20 + 1 values a range
LISTED_AT_MOST = 200_000  # points of a level that are put into order; beyond, they are drawn


def propose(known: Known) -> Proposal:
    """The point at place ``number`` of the sequence; a repeated one gives way to a place that queued points took."""
    others = (place for place in itertools.count() if place != known.number)
    place = next(itertools.islice(others, known.attempt - 1, None)) if known.attempt else known.number
    before: set[tuple[Value, ...]] = set()
    for level in range(1, FINEST + 1):
        values = [_values(dimension, 2**level + 1) for dimension in known.search.values()]
        size = math.prod(map(len, values))
        if size > LISTED_AT_MOST:
            return _drawn(known, values)
        points = [point for point in itertools.product(*values) if point not in before]
        if place < len(points):
            order = np.random.default_rng((known.seed, level)).permutation(len(points))
            return _named(known.search, points[order[place]])
        place -= len(points)
        before.update(points)
    return _drawn(known, values)


def _values(dimension: Dimension, count: int) -> list[Value]:
    """``count`` values from end to end, evenly spaced in the dimension's own scale; fewer where it holds no more."""
    match dimension:
        case Choice(values=values):
            return list(values)
        case Int(low=low, high=high):
            return [int(v) for v in np.unique(np.linspace(low, high, count).round())]
    return [dimension.at(step / (count - 1)) for step in range(count)]


def _drawn(known: Known, values: list[list[Value]]) -> Proposal:
    rng = np.random.default_rng(known.draw)
    return _named(known.search, tuple(of_one[int(rng.integers(len(of_one)))] for of_one in values))


def _named(search: Mapping[str, Dimension], point: tuple[Value, ...]) -> Proposal:
    return Proposal(params=dict(zip(search, point, strict=True)))
