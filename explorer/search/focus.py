"""What is settled about the next trial before the sampler is asked: its kind, and the weights of one that is aimed at a gap.

In a sweep that fills gaps, one trial in so many is aimed at the widest gap of the front. In a sweep that starts conditioned, a
conditioned trial is a whole front, so the search goes over conditioned trials, until they add nothing any more; then
independent ones are aimed at the gaps that the front still has, until those add nothing. Pure: decided anew for each trial from
what the trials before it measured.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from explorer.fronts.dominance import REFERENCE_MARGIN
from explorer.fronts.gaps import log_area
from explorer.search.aim import Aim
from explorer.search.filling import Filling, Reached
from explorer.spec.dimension import Value
from explorer.spec.fork import Fork
from trainables.contract import Conditioning

GAIN = 0.01  # a trial that adds a smaller share of the area under the front added nothing
PATIENCE = 2  # trials in a row that added nothing: the other kind is tried


@dataclass(frozen=True, kw_only=True)
class Focus:
    """``settled``: parameters that the sampler does not choose. ``aim``: why, where that is a gap. ``fork``: of a forked trial.

    A forked trial has all other parameters of the one that it starts from, too: in a share of its epochs nothing else would show
    what it is worth.
    """

    settled: Mapping[str, Value] = field(default_factory=dict)
    aim: Aim | None = None
    fork: Fork | None = None


def gap_focus(
    filling: Filling, complete: Sequence[Reached], begun: Sequence[Mapping[str, Value]], *, number: int
) -> list[Focus]:
    """What is settled for trial ``number``, best first. ``begun``: parameters of the trials that are not complete."""
    if len(complete) < filling.after or number % filling.every != filling.every - 1:
        return []
    return _aimed(filling, complete, [*(trial.params for trial in complete), *begun], {})


def conditioned_focus(
    found: Conditioning, filling: Filling, complete: Sequence[Reached], begun: Sequence[Mapping[str, Value]] = ()
) -> list[Focus]:
    """What is settled for the next trial, best first, after the ``complete`` ones in order of number.

    Conditioned; or independent, with its weights in the widest gap of the front that no independent trial was aimed at.
    """
    if not _turn(found, complete):
        return [Focus(settled={found.field: found.on})]
    tried = [params for params in (*(trial.params for trial in complete), *begun) if _independent(found, params)]
    return _aimed(filling, complete, tried, {found.field: found.off})


def _aimed(
    filling: Filling, complete: Sequence[Reached], tried: Sequence[Mapping[str, Value]], settled: Mapping[str, Value]
) -> list[Focus]:
    aim = filling.aim(complete, tried)
    if aim is None:
        return [Focus(settled=settled)]
    anew = Focus(settled={**settled, **aim.weights}, aim=aim)
    fork = filling.fork(aim, complete)
    return [anew] if fork is None else [Focus(settled={**fork.params, **anew.settled}, aim=aim, fork=fork), anew]


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
