"""Submit a sweep: run it, keep MLflow up to date, leave the front in its folder. ``explorer.sweep`` is this."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from explorer.run.events import Observer
    from explorer.run.sweep import SweepResult
    from explorer.spec.space import SearchSpace
    from trainables.contract import StageJob


def run_tracked(
    space: SearchSpace,
    *,
    chains: Mapping[str, tuple[StageJob, ...]] | None = None,
    observers: Sequence[Observer] = (),
) -> SweepResult:
    """``explorer.run.sweep.run_sweep`` with an MLflow tracker among the observers. Raises what it raises."""
    from explorer.run.sweep import run_sweep
    from explorer.tracking import MlflowTracker

    tracker = MlflowTracker(space)
    try:
        return run_sweep(space, chains=chains, observers=[*observers, tracker])
    finally:
        tracker.close()


def sweep(space: SearchSpace, *, observers: Sequence[Observer] = ()) -> SweepResult:
    """Run the sweep that ``space`` describes, or go on with it. Ctrl-C ends it in order; calling this again resumes.

    ``observers`` are told every event of the sweep, in this thread. ``space.folder`` holds ``front.json``,
    ``front.csv`` and ``front.html`` afterwards.

    Raises:
        UserError: the resources do not fit; the sweep was begun with another search space, or is running elsewhere.
        SweepFailed: no worker group came up, or not one trial succeeded.
    """
    from explorer.browse import Front
    from explorer.report.files import write_front_files

    result = run_tracked(space, observers=observers)
    front = Front.load(space.folder)
    if front.points or front.baselines:
        write_front_files(front, space.folder)
    return result
