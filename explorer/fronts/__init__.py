"""Operating points, dominance, hypervolume and picking. Pure: values in, values out; no torch, no files, no clock."""

from explorer.fronts.dominance import front, hypervolume, paired_difference
from explorer.fronts.halves import halves
from explorer.fronts.pick import Wish, pick
from explorer.fronts.points import Measured, OperatingPoint, operating_points

__all__ = [
    "Measured",
    "OperatingPoint",
    "Wish",
    "front",
    "halves",
    "hypervolume",
    "operating_points",
    "paired_difference",
    "pick",
]
