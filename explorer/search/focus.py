"""Which kind of trial comes next in a sweep that starts conditioned, and where an independent one aims.

A conditioned trial is a whole front, so the search goes over conditioned trials, until they add nothing any more; then
independent ones are aimed at the widest gaps that the front still has, until those add nothing. Pure: decided anew for each trial
from what the trials before it measured.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from explorer.fronts.dominance import REFERENCE_MARGIN
from explorer.fronts.gaps import gaps, log_area
from explorer.spec.dimension import Dimension, Value
from trainables.contract import Conditioning

GAIN = 0.01  # a trial that adds a smaller share of the area under the front added nothing
PATIENCE = 2  # trials in a row that added nothing: the other kind is tried


@dataclass(frozen=True, kw_only=True)
class Reached:
    """What a complete trial reached: the points that its own others do not dominate.

    ``knobs_P``: their settings. Where a field that trials are conditioned on is a knob, its value is there.
    """

    params: Mapping[str, Value]
    accuracy_P: Sequence[float]
    gflops_P: Sequence[float]
    knobs_P: Sequence[Mapping[str, float]]


def focus(
    found: Conditioning,
    search: Mapping[str, Dimension],
    complete: Sequence[Reached],
    running: Sequence[Mapping[str, Value]] = (),
) -> Mapping[str, Value]:
    """Parameters that are settled for the next trial, after the ``complete`` ones in order of number.

    Conditioned; or independent, with its weights in the widest gap of the front that no independent trial was aimed at.
    """
    if not _turn(found, complete):
        return {found.field: found.on}
    begun = [params for params in (*(trial.params for trial in complete), *running) if _independent(found, params)]
    aims = _aims(found, search, complete)
    aim = next((aim for aim in aims if not any(_near(aim, params) for params in begun)), {})
    return {found.field: found.off, **aim}


def _turn(found: Conditioning, trials: Sequence[Reached]) -> bool:
    """Whether it is the independent trials' turn."""
    if not trials:
        return False
    # A little beyond the worst of all points, so that the ends of the front count, too.
    least = min(min(trial.accuracy_P) for trial in trials) - REFERENCE_MARGIN
    largest = max(max(trial.gflops_P) for trial in trials) * (1 + REFERENCE_MARGIN)
    independent, without_gain, area = False, 0, 0.0
    for n, trial in enumerate(trials, 1):
        accuracy_P = [a for t in trials[:n] for a in t.accuracy_P]
        gflops_P = [g for t in trials[:n] for g in t.gflops_P]
        now = log_area(accuracy_P, gflops_P, least_accuracy=least, largest_cost=largest)
        if _independent(found, trial.params) == independent:
            without_gain = 0 if now > area * (1 + GAIN) else without_gain + 1
        if without_gain == PATIENCE:
            independent, without_gain = not independent, 0
        area = max(area, now)
    return independent


def _independent(found: Conditioning, params: Mapping[str, Value]) -> bool:
    return params.get(found.field) != found.on


def _aims(found: Conditioning, search: Mapping[str, Dimension], trials: Sequence[Reached]) -> list[dict[str, Value]]:
    """For each gap of the front, widest first, the weights in the middle (of their logarithms) of those on both sides."""
    points = list(itertools.chain.from_iterable(_points(trial) for trial in trials))
    aims = []
    for gap in gaps([accuracy for accuracy, _, _ in points], [gflops for _, gflops, _ in points]):
        sides = points[gap.cheaper][2], points[gap.dearer][2]
        middle = {
            path: search[path].nearest(math.sqrt(sides[0][path] * sides[1][path]))
            for path in found.covers
            if path in search and all(side.get(path, 0) > 0 for side in sides)
        }
        if middle:
            aims.append(middle)
    return aims


def _points(trial: Reached) -> list[tuple[float, float, Mapping[str, float]]]:
    own = {path: float(value) for path, value in trial.params.items() if isinstance(value, int | float)}
    together = zip(trial.accuracy_P, trial.gflops_P, trial.knobs_P, strict=True)
    return [(accuracy, gflops, {**own, **knobs}) for accuracy, gflops, knobs in together]


def _near(one: Mapping[str, Value], other: Mapping[str, Value]) -> bool:
    """Whether all weights of the two are within a tenth of each other."""
    pairs = [(one[path], other[path]) for path in one if path in other]
    return all(
        isinstance(a, int | float) and isinstance(b, int | float) and math.isclose(a, b, rel_tol=0.1) for a, b in pairs
    )
