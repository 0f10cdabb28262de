"""Points of a search without a sampler: seeded random draws, and the configuration's own values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from explorer.spec.dimension import Dimension, Value
from explorer.spec.fields import value_at
from explorer.spec.space import SearchSpace


def random_point(search: Mapping[str, Dimension], draw: tuple[int, ...]) -> dict[str, Value]:
    """One random point; ``draw`` (for example seed and trial number) decides it wholly."""
    generator = np.random.default_rng(draw)
    return {path: dimension.at(float(generator.random())) for path, dimension in search.items()}


def random_points(search: Mapping[str, Dimension], seed: int) -> Iterator[dict[str, Value]]:
    """Random points without end."""
    number = 0
    while True:
        yield random_point(search, (seed, number))
        number += 1


def default_point(space: SearchSpace) -> dict[str, Value]:
    """The configuration's own value of every searched field, moved to the nearest one inside its dimension."""
    config = space.base_config().model_dump(mode="json", by_alias=True)
    return {path: dimension.nearest(value_at(config, path)) for path, dimension in space.search.items()}
