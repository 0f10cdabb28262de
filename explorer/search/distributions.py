"""Our dimensions <-> Optuna's distributions."""

from __future__ import annotations

from collections.abc import Mapping

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from explorer.spec.dimension import Choice, Dimension, Int, Log, Uniform


def to_distribution(dimension: Dimension) -> BaseDistribution:
    """The Optuna distribution with the same values and the same density."""
    match dimension:
        case Log(low=low, high=high):
            return FloatDistribution(low, high, log=True)
        case Uniform(low=low, high=high):
            return FloatDistribution(low, high)
        case Int(low=low, high=high):
            return IntDistribution(low, high)
        case Choice(values=values):
            return CategoricalDistribution(values)
    raise AssertionError(f"no distribution for {dimension!r}")


def from_distribution(distribution: BaseDistribution) -> Dimension:
    """The inverse of :func:`to_distribution`."""
    match distribution:
        case FloatDistribution(low=low, high=high, log=True):
            return Log(low, high)
        case FloatDistribution(low=low, high=high):
            return Uniform(low, high)
        case IntDistribution(low=low, high=high):
            return Int(low, high)
        case CategoricalDistribution(choices=choices):
            return Choice(tuple(choices))
    raise AssertionError(f"no dimension for {distribution!r}")


def to_distributions(search: Mapping[str, Dimension]) -> dict[str, BaseDistribution]:
    """All dimensions of a search."""
    return {path: to_distribution(dimension) for path, dimension in search.items()}
