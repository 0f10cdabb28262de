"""Measures of sweeps: hypervolume in the end, passes and time to a hypervolume, ratios, quartiles, paired tests."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np

from benchmarks.search_efficiency.clock import Moment

Axis = Literal["passes", "time"]
SHARE = 0.95  # of the best known hypervolume
_EQUAL = 1e-12


def ratio(ours: Sequence[Moment], theirs: Sequence[Moment], axis: Axis = "passes") -> float:
    """Passes (or time) to the hypervolume that both reach in the end, ours over theirs."""
    target = min(ours[-1].hypervolume, theirs[-1].hypervolume)
    return until(ours, target, axis) / until(theirs, target, axis)


def until(history: Sequence[Moment], hypervolume: float, axis: Axis = "passes") -> float:
    """What it takes to reach ``hypervolume``; infinity where it never does."""
    return next(
        (getattr(moment, axis) for moment in history if moment.hypervolume >= hypervolume - _EQUAL), float("inf")
    )


def to_their_end(ours: Sequence[Moment], theirs: Sequence[Moment], axis: Axis = "passes") -> float:
    """What ours takes to what theirs has in the end, over all that theirs took; infinity where ours does not get there."""
    return until(ours, theirs[-1].hypervolume, axis) / float(getattr(theirs[-1], axis))


def spread(values: Sequence[float], *, low: bool = False) -> dict[str, float]:
    """Median, quartiles and the worst: the smallest where ``low``, else the largest."""
    quarter, middle, three = np.quantile(values, [0.25, 0.5, 0.75])
    found = {"median": middle, "q1": quarter, "q3": three, "worst": min(values) if low else max(values)}
    return {name: round(float(value), 4) for name, value in found.items()}


def reached(values: Sequence[float]) -> dict[str, Any]:
    """The spread of what is finite, and in how many of how many seeds it is."""
    finite = [value for value in values if np.isfinite(value)]
    return {**(spread(finite) if finite else {}), "reached": len(finite), "of": len(values)}


def paired(ours: Sequence[float], theirs: Sequence[float]) -> float | None:
    """Wilcoxon's signed-rank test over the seeds, two-sided: p. None with fewer than six seeds, where it cannot fall below .05."""
    difference = np.subtract(ours, theirs)
    if len(difference) < 6:
        return None
    if not difference.any():
        return 1.0
    from scipy.stats import wilcoxon

    return round(float(wilcoxon(difference).pvalue), 4)


def measured(
    runs: Mapping[str, Sequence[Sequence[Moment]]], best: Sequence[float], compared: Sequence[str]
) -> dict[str, Any]:
    """Of each method over the seeds. ``best``: by seed, the best hypervolume known; ``compared``: against which methods."""
    found: dict[str, Any] = {}
    for name, histories in runs.items():
        ends = [history[-1].hypervolume / top for history, top in zip(histories, best, strict=True)]
        to_share = [until(history, SHARE * top) for history, top in zip(histories, best, strict=True)]
        row: dict[str, Any] = {
            "passes": statistics.median(history[-1].passes for history in histories),
            "time": statistics.median(history[-1].time for history in histories),
            "hypervolume": spread(ends, low=True),
            "passes_to_95": reached(to_share),
        }
        for ours in compared:
            if ours not in runs or ours == name:
                continue
            pairs = list(zip(runs[ours], histories, strict=True))
            their_ends = [a[-1].hypervolume / top for a, top in zip(runs[ours], best, strict=True)]
            row.setdefault("passes_ratio", {})[ours] = spread([ratio(a, b) for a, b in pairs])
            row.setdefault("time_ratio", {})[ours] = spread([ratio(a, b, "time") for a, b in pairs])
            row.setdefault("to_their_end", {})[ours] = reached([to_their_end(a, b) for a, b in pairs])
            row.setdefault("p_passes", {})[ours] = paired(
                [float(np.log(ratio(a, b))) for a, b in pairs], [0.0] * len(pairs)
            )
            row.setdefault("p_hypervolume", {})[ours] = paired(their_ends, ends)
        found[name] = row
    return found
