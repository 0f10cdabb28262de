"""A search space as a unit cube, for libraries that know nothing else: one coordinate a number (in the logarithm where the
dimension is), one a word where words are chosen from."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from explorer.spec.dimension import Choice, Dimension, Int, Log, Uniform, Value


class Cube:
    def __init__(self, search: Mapping[str, Dimension]) -> None:
        self._search = search
        self.size = sum(map(_width, search.values()))

    def params(self, point: Sequence[float]) -> dict[str, Value]:
        """The configuration at a point of the cube."""
        found, place = {}, 0
        for path, dimension in self._search.items():
            part = [float(u) for u in point[place : place + _width(dimension)]]
            place += len(part)
            if _words(dimension):
                assert isinstance(dimension, Choice)
                found[path] = dimension.values[int(np.argmax(part))]
            else:
                found[path] = dimension.at(min(max(part[0], 0.0), math.nextafter(1, 0)))
        return found

    def point(self, params: Mapping[str, Value]) -> list[float]:
        """Where a configuration lies: the middle of what is mapped to it."""
        return [u for path, dimension in self._search.items() for u in _place(dimension, params[path])]


def _words(dimension: Dimension) -> bool:
    return isinstance(dimension, Choice) and any(isinstance(value, str) for value in dimension.values)


def _width(dimension: Dimension) -> int:
    return len(dimension.values) if isinstance(dimension, Choice) and _words(dimension) else 1


def _place(dimension: Dimension, value: Value) -> list[float]:
    match dimension:
        case Choice(values=values) if _words(dimension):
            return [float(value == other) for other in values]
        case Choice(values=values):
            return [(values.index(value) + 0.5) / len(values)]
    assert isinstance(value, int | float)
    match dimension:
        case Int(low=low, high=high):
            return [(value - low + 0.5) / (high - low + 1)]
        case Log(low=low, high=high):
            return [math.log(value / low) / math.log(high / low)]
        case Uniform(low=low, high=high):
            return [(value - low) / (high - low)]
    raise AssertionError(f"no place for {dimension}")
