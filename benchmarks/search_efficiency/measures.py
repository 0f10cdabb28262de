"""Measures of a sweep: passes to a hypervolume, ratios, quartiles."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from benchmarks.search_efficiency.clock import Moment


def ratio(ours: Sequence[Moment], theirs: Sequence[Moment]) -> float:
    """Passes to the hypervolume that both reach in the end, ours over theirs."""
    target = min(ours[-1].hypervolume, theirs[-1].hypervolume)
    return passes_to(ours, target) / passes_to(theirs, target)


def passes_to(history: Sequence[Moment], hypervolume: float) -> int:
    return next(moment.passes for moment in history if moment.hypervolume >= hypervolume - 1e-12)


def spread(values: Sequence[float], *, low: bool = False) -> dict[str, float]:
    """Median, quartiles and the worst: the smallest where ``low``, else the largest."""
    quarter, middle, three = np.quantile(values, [0.25, 0.5, 0.75])
    found = {"median": middle, "q1": quarter, "q3": three, "worst": min(values) if low else max(values)}
    return {name: round(float(value), 4) for name, value in found.items()}
