"""Submit a sweep: run it, keep MLflow up to date, leave the front in its folder. ``explorer.sweep`` is this."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from explorer.portfolio import PortfolioResult, Watch
    from explorer.run.events import Observer
    from explorer.run.sweep import SweepResult
    from explorer.spec.portfolio import Portfolio
    from explorer.spec.space import SearchSpace
    from trainables.contract import StageJob


_AT_ONCE_S = 5.0  # what tracking may take where a person waits for the end; the rest stays in its spool


def run_tracked(
    space: SearchSpace,
    *,
    chains: Mapping[str, tuple[StageJob, ...]] | None = None,
    observers: Sequence[Observer] = (),
    address: str | None = None,
    further_seeds: int = 0,
    front_files: bool = False,
) -> SweepResult:
    """``explorer.run.sweep.run_sweep`` with an MLflow tracker among the observers. Raises what it raises."""
    from explorer.run.mirror import mirrored
    from explorer.run.sweep import run_sweep
    from explorer.tracking import MlflowTracker

    with mirrored(space.folder):
        tracker = MlflowTracker(space)
        patience_s: float | None = None
        try:
            result = run_sweep(
                space, chains=chains, observers=[*observers, tracker], address=address, further_seeds=further_seeds
            )
            patience_s = _AT_ONCE_S if result.at_once else None
        except KeyboardInterrupt:
            patience_s = _AT_ONCE_S
            raise
        finally:
            tracker.close(patience_s)
        if front_files and not result.at_once:
            _write_front(space)
    return result


def _write_front(space: SearchSpace) -> None:
    from explorer.browse import Front
    from explorer.report.files import write_front_files

    front = Front.load(space.folder)
    if front.points or front.baselines:
        write_front_files(front, space.folder)


def sweep(
    space: SearchSpace, *, observers: Sequence[Observer] = (), address: str | None = None, further_seeds: int = 0
) -> SweepResult:
    """Run the sweep that ``space`` describes, or go on with it. Ctrl-C ends it in order; calling this again resumes.

    ``observers`` are told every event of the sweep, in this thread. ``address``: of a running Ray cluster, "auto" for the one
    that this machine belongs to; None = one is started here for as long as the sweep runs. ``further_seeds``: train the trials
    that are on the front now once more with each of so many other seeds. ``space.folder`` holds ``front.json``,
    ``front.csv`` and ``front.html`` afterwards.

    Raises:
        UserError: the resources do not fit; the sweep was begun with another search space, or is running elsewhere; there is no
            front to repeat.
        SweepFailed: no worker group came up, the disk is full, or not one trial succeeded.
    """
    return run_tracked(space, observers=observers, address=address, further_seeds=further_seeds, front_files=True)


def sweep_portfolio(portfolio: Portfolio, *, watch: Watch | None = None, address: str | None = None) -> PortfolioResult:
    """Run several systems with one budget, or go on with them: :func:`explorer.portfolio.run_portfolio`. Raises what it raises.

    ``portfolio.folder`` holds ``front.json`` and ``front.html`` of all afterwards.
    """
    from explorer.portfolio import run_portfolio

    return run_portfolio(portfolio, address=address) if watch is None else run_portfolio(portfolio, address=address, watch=watch)


def resume_space(sweep: str | Path, *, more_trials: int = 0, overrides: Sequence[str] = ()) -> SearchSpace:
    """:func:`resume_any` of a sweep of one system. Raises ``UserError`` where it is one of several."""
    from explorer.errors import UserError
    from explorer.spec.portfolio import Portfolio

    found = resume_any(sweep, more_trials=more_trials, overrides=overrides)
    if isinstance(found, Portfolio):
        members = ", ".join(member.name for member in found.members.values())
        raise UserError(f"{found.name} is a sweep of several systems, and one is needed here; give one of {members}")
    return found


def resume_any(sweep: str | Path, *, more_trials: int = 0, overrides: Sequence[str] = ()) -> SearchSpace | Portfolio:
    """The search space of a sweep that was begun, or the several ones, to be given to :func:`sweep` again.

    ``sweep``: its folder, its name below ``runs``, or its YAML file, of which the search must not have changed.
    ``more_trials`` are added to the budget.

    Raises:
        NotFound: there is no such sweep.
        UserError: trials cannot be added to a budget without a number of trials.
    """
    from explorer.errors import UserError
    from explorer.records import SPACE_FILE, find_sweep
    from explorer.spec.load_portfolio import load_any
    from explorer.store.remote import Remote

    folder = find_sweep(sweep)
    given = Path(sweep).expanduser()
    source = given if given.suffix in (".yaml", ".yml") and given.is_file() else folder / SPACE_FILE
    remote = Remote.of(folder.parent)
    storage = folder.resolve().parent if remote is None else remote.url
    space = load_any(source, [f"storage={storage}", *overrides])
    if not more_trials:
        return space
    trials = space.budget.trials
    if trials is None:
        raise UserError(f"--trials adds to budget.trials, which {space.name} does not have; raise the budget with -o instead")
    return space.model_copy(update={"budget": space.budget.model_copy(update={"trials": trials + more_trials})})
