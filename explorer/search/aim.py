"""What a trial is aimed at: a gap of the front. Values alone; :mod:`explorer.search.filling` finds them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from explorer.spec.dimension import Value

AIM = "aim"  # under this name a trial's aim is noted, and told


@dataclass(frozen=True, kw_only=True)
class Side:
    """A point beside a gap, of ``trial``; on validation, GFLOPs by the full convention."""

    trial: int
    accuracy: float
    gflops: float

    def __str__(self) -> str:
        return f"trial {self.trial} (accuracy {self.accuracy:.3f}, {self.gflops:.3g} GFLOPs)"


@dataclass(frozen=True, kw_only=True)
class Aim:
    """A gap of the front between two points, and the weights in the middle (of the logarithms) of theirs.

    ``area``: how much a point in the gap could add at most, logarithm of GFLOPs times accuracy.
    """

    cheaper: Side
    dearer: Side
    area: float
    weights: Mapping[str, Value]

    def __str__(self) -> str:
        return f"the gap between {self.cheaper} and {self.dearer}"

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def of(cls, raw: Mapping[str, Any]) -> Aim:
        """The inverse of :meth:`to_json`."""
        sides = {name: Side(**raw[name]) for name in ("cheaper", "dearer")}
        return cls(**sides, area=raw["area"], weights=raw["weights"])
