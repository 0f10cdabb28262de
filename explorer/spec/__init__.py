"""From a YAML file to a frozen search space, and what running it will take."""

from explorer.spec.constraint import Constraint
from explorer.spec.dimension import Choice, Dimension, Int, Log, Uniform, Value
from explorer.spec.load import find_space, load_space
from explorer.spec.space import Budget, Resources, SearchSpace

__all__ = [
    "Budget",
    "Choice",
    "Constraint",
    "Dimension",
    "Int",
    "Log",
    "Resources",
    "SearchSpace",
    "Uniform",
    "Value",
    "find_space",
    "load_space",
]
