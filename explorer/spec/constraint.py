"""Constraints on a trial's measurement, such as ``gflops <= 80``."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

METRICS: dict[str, str] = {"accuracy": "max", "gflops": "min"}  # what a trial is valued by, and which way is better

_FORM = re.compile(r"\s*(?P<metric>[A-Za-z_][\w.]*)\s*(?P<relation><=|>=)\s*(?P<bound>\S+)\s*")


@dataclass(frozen=True, kw_only=True)
class Constraint:
    """``metric`` may be at most (``<=``) or must be at least (``>=``) ``bound``."""

    metric: str
    relation: str
    bound: float

    def excess(self, values: Mapping[str, float]) -> float:
        """By how much the bound is broken: 0 or less is feasible (Optuna's convention). NaN where not measured."""
        value = values.get(self.metric, math.nan)
        return value - self.bound if self.relation == "<=" else self.bound - value

    def __str__(self) -> str:
        return f"{self.metric} {self.relation} {self.bound:g}"


def parse_constraint(text: str) -> Constraint:
    """Parse ``"gflops <= 80"``.

    Raises:
        ValueError: the message says what was found and what is allowed.
    """
    match = _FORM.fullmatch(text) if isinstance(text, str) else None
    try:
        bound = float(match["bound"]) if match else math.nan
    except ValueError:
        bound = math.nan
    if match is None or not math.isfinite(bound):
        raise ValueError(f'a constraint must read like "gflops <= 80" or "accuracy >= 0.8"; found {text!r}')
    if match["metric"] not in METRICS:
        raise ValueError(f"unknown metric {match['metric']!r} in {text!r}; allowed: {', '.join(METRICS)}")
    return Constraint(metric=match["metric"], relation=match["relation"], bound=bound)
