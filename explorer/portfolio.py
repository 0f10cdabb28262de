"""Run a portfolio: members are sweeps of their own, and what is left of the common budget is handed out share by share.

The members' studies and the store are the only state. Ray, the queue and the worker groups start once for all of them.
"""

from __future__ import annotations

import os
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from explorer.browse import Front
from explorer.errors import NoTrialSucceeded
from explorer.merged import common_hypervolume
from explorer.records import SPACE_FILE, STUDY_FILE, SweepRecord, read_sweep
from explorer.run.stopping import forget_stop, signals_stop, stop_requested
from explorer.shares import Standing, begun_trials, next_of, passes_taken, standings, trials_without_gain_of
from explorer.spec.space import Budget

if TYPE_CHECKING:
    from explorer.run.engine import Engine
    from explorer.run.events import Event, Observer
    from explorer.run.sweep import SweepResult
    from explorer.spec.portfolio import Portfolio
    from explorer.spec.space import SearchSpace

LOCK = "portfolio"  # beside it lies who holds the portfolio
_WRITE_S = 1.0
_AT_ONCE_S = 5.0  # as for a single sweep


@dataclass(frozen=True, kw_only=True)
class Share:
    """Trials for one member, of which it then has ``until``. ``standing``: why; None where it goes on, or has none yet."""

    member: str
    trials: int
    until: int
    standing: Standing | None


@dataclass(frozen=True, kw_only=True)
class PortfolioResult:
    """How a run of a portfolio ended. ``trials``: member -> number by state.

    ``failed``: member -> why none of its trials succeeded.
    """

    name: str
    folder: Path
    state: str  # finished | interrupted
    trials: dict[str, dict[str, int]]
    failed: dict[str, str]
    seconds: float
    at_once: bool = False


Watch = Callable[[Share], AbstractContextManager["Observer | None"]]


def run_portfolio(
    portfolio: Portfolio, *, address: str | None = None, watch: Watch = lambda share: nullcontext()
) -> PortfolioResult:
    """Run ``portfolio``, or go on with it, until its budget is used up. It can be stopped and go on later, as a sweep can.

    ``address``: of a running Ray cluster, as for a sweep. ``watch`` is entered for each share, and gives who is told its events.

    Raises:
        UserError, SweepFailed: what a sweep raises, of any member; ``NoTrialSucceeded`` where no trial of any member did.
    """
    from explorer.run.engine import Engine
    from explorer.run.mirror import mirrored
    from explorer.search.journal import lock_for_writing
    from trainables.kit.engine.files import write_whole

    portfolio.folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        for folder in (portfolio.folder, *(member.folder for member in portfolio.members.values())):
            stack.enter_context(mirrored(folder))
        stack.callback(lock_for_writing(portfolio.folder / LOCK, portfolio.name).close)
        write_whole(portfolio.folder / SPACE_FILE, portfolio.to_yaml().encode())
        forget_stop(portfolio.folder)
        stack.enter_context(signals_stop())
        engine = Engine(stack, portfolio.folder, address=address, keep=True)
        return _Run(portfolio, engine, watch).run()


class _Run:
    """One run of a portfolio."""

    def __init__(self, portfolio: Portfolio, engine: Engine, watch: Watch) -> None:
        self._portfolio = portfolio
        self._engine = engine
        self._watch = watch
        self._progress = PortfolioProgress(portfolio)
        self._trials: dict[str, dict[str, int]] = {}
        self._failed: dict[str, str] = {}
        self._spent: set[str] = set()  # members that hold no further point
        self._trackers: dict[str, _Tracker] = {}
        self._began = time.monotonic()

    def run(self) -> PortfolioResult:
        self._progress.write("running")
        state, at_once = "failed", False
        try:
            for share in self._shares():
                result = self._give(share)
                if result is not None and result.state != "finished":
                    state, at_once = result.state, result.at_once
                    break
            else:
                state = "interrupted" if stop_requested(self._portfolio.folder) else "finished"
        except KeyboardInterrupt:  # between two shares, or before the first stage could be asked for
            state, at_once = "interrupted", True
        finally:
            for tracker in self._trackers.values():
                tracker.end(_AT_ONCE_S if at_once else None)
            self._progress.write(state)
        if not at_once:
            write_common_front(self._portfolio, state)
        if state == "finished" and self._failed and len(self._failed) == len(self._portfolio.members):
            raise NoTrialSucceeded("; ".join(f"{member}: {reason}" for member, reason in self._failed.items()))
        return PortfolioResult(
            name=self._portfolio.name,
            folder=self._portfolio.folder,
            state=state,
            trials=self._trials,
            failed=self._failed,
            seconds=time.monotonic() - self._began,
            at_once=at_once,
        )

    # --- who is next --------------------------------------------------------------------------------------------------

    def _shares(self) -> Iterator[Share]:
        """What was handed out before is finished first; then share after share, until the budget is used up."""
        for name, member in self._portfolio.members.items():
            until = handed_out(member)
            if until is not None:
                yield Share(member=name, trials=0, until=until, standing=None)
        while not stop_requested(self._portfolio.folder) and (share := self._next()) is not None:
            yield share

    def _next(self) -> Share | None:
        records = self._records()
        begun = {name: len(begun_trials(record)) for name, record in records.items()}
        none, spent = self._portfolio.budget.trials == 0, self._is_spent(records)
        waiting = [name for name, member in self._portfolio.members.items() if handed_out(member) is None]
        if waiting and (none or not spent):  # where there are to be no trials at all, for their baselines
            return self._share(waiting[0], begun, None, keep=len(waiting) - 1)
        if spent:
            return None
        fronts = {name: Front.of(record) for name, record in records.items()}
        ranked = [s for s in standings(fronts, self._portfolio.share) if s.member not in self._spent | self._failed.keys()]
        chosen = next_of(ranked)
        return None if chosen is None else self._share(chosen.member, begun, chosen)

    def _share(self, member: str, begun: dict[str, int], standing: Standing | None, *, keep: int = 0) -> Share:
        """The next trials of ``member``; of a limited number at least one is kept for each of ``keep`` others."""
        limit, trials = self._portfolio.budget.trials, self._portfolio.share
        if limit is not None:
            trials = max(min(trials, limit - sum(begun.values()) - keep), min(1, limit))
        return Share(member=member, trials=trials, until=begun.get(member, 0) + trials, standing=standing)

    def _is_spent(self, records: dict[str, SweepRecord]) -> bool:
        budget, known = self._portfolio.budget, list(records.values())
        begun = sum(len(begun_trials(record)) for record in known)
        return (
            (budget.trials is not None and begun >= budget.trials)
            or (budget.passes is not None and passes_taken(known) >= budget.passes)
            or (budget.hours is not None and self._progress.elapsed_s() >= budget.hours * 3600)
            or (budget.plateau is not None and trials_without_gain_of(known) >= budget.plateau)
        )

    def _records(self) -> dict[str, SweepRecord]:
        """Of the members that have begun."""
        members = self._portfolio.members.items()
        return {name: read_sweep(member.folder) for name, member in members if (member.folder / STUDY_FILE).is_file()}

    # --- a share ------------------------------------------------------------------------------------------------------

    def _give(self, share: Share) -> SweepResult | None:
        """Run the member to the end of what it was given; None where not one of its trials has succeeded so far."""
        from explorer.run.sweep import run_sweep

        member = self._portfolio.members[share.member]
        tracker = self._tracker(share.member)
        before = self._begun(member)
        with self._watch(share) as shown:
            observers: list[Observer] = [tracker, self._progress, *([] if shown is None else [shown])]
            try:
                result = run_sweep(self._limited(member, share), observers=observers, engine=self._engine)
            except NoTrialSucceeded as error:
                self._failed[share.member] = str(error)
                return None
        self._trials[share.member] = result.trials
        if share.trials and self._begun(member) == before:
            self._spent.add(share.member)
        return result

    def _tracker(self, member: str) -> _Tracker:
        if member not in self._trackers:
            self._trackers[member] = _Tracker(self._portfolio.members[member])
        return self._trackers[member]

    def _limited(self, member: SearchSpace, share: Share) -> SearchSpace:
        """``member`` with what it may use: its trials, and of the common passes and hours what is left."""
        budget = self._portfolio.budget
        limits: dict[str, Any] = {"trials": share.until}
        if budget.passes is not None:
            records = self._records()
            own = passes_taken([records[share.member]]) if share.member in records else 0
            limits["passes"] = max(1, own + budget.passes - passes_taken(records.values()))
        if budget.hours is not None:
            left = budget.hours * 3600 - self._progress.elapsed_s()
            limits["hours"] = max(1.0, self._progress.elapsed_s(member) + left) / 3600
        return member.model_copy(update={"budget": budget.model_copy(update={"plateau": None, **limits})})

    def _begun(self, member: SearchSpace) -> int:
        return len(begun_trials(read_sweep(member.folder))) if (member.folder / STUDY_FILE).is_file() else 0


def handed_out(member: SearchSpace) -> int | None:
    """How many trials a member was given so far, by the search space that its last run wrote down; None if it never ran."""
    if not (member.folder / STUDY_FILE).is_file() or not (member.folder / SPACE_FILE).is_file():
        return None
    trials = yaml.safe_load((member.folder / SPACE_FILE).read_text(encoding="utf-8"))["budget"]["trials"]
    return None if trials is None else int(trials)


def with_share(member: SearchSpace) -> SearchSpace:
    """``member`` with the trials that it was given so far as its budget."""
    return member.model_copy(update={"budget": Budget(trials=handed_out(member) or 0)})


class PortfolioProgress:
    """Keeps ``progress.json`` of the portfolio: the sums of its members', and who runs it."""

    def __init__(self, portfolio: Portfolio) -> None:
        self._portfolio = portfolio
        self._written = 0.0

    def on_event(self, event: Event) -> None:
        if time.monotonic() - self._written > _WRITE_S:
            self.write("running")

    def elapsed_s(self, member: SearchSpace | None = None) -> float:
        """Seconds that a member ran, or all of them together."""
        from explorer.run.progress import elapsed_before

        members = self._portfolio.members.values() if member is None else [member]
        return sum(elapsed_before(one.folder) for one in members)

    def write(self, state: str) -> None:
        """Raises nothing where the disk is full: the next time, perhaps."""
        from explorer.run.progress import PROGRESS_FILE
        from explorer.run.status import read_progress
        from trainables.kit.engine.files import write_json

        self._written = time.monotonic()
        found = [read_progress(member.folder) for member in self._portfolio.members.values()]
        added: dict[str, Counter[str]] = {"trials": Counter(), "stages": Counter()}
        for name, counts in added.items():
            for one in found:
                counts.update(one.get(name, {}))
        told = {
            "name": self._portfolio.name,
            "state": state,
            **{name: dict(counts) for name, counts in added.items()},
            "trials_planned": self._portfolio.budget.trials,
            **{name: sum(one.get(name, 0) for one in found) for name in ("epochs_done", "epochs_planned", "elapsed_seconds")},
            "remaining_seconds": None,
            "updated": time.time(),
            "pid": os.getpid(),
            "host": socket.gethostname(),
        }
        with suppress(OSError):
            write_json(self._portfolio.folder / PROGRESS_FILE, told)


class _Tracker:
    """A member in MLflow: one sweep that goes on, whatever number of shares it is run in."""

    def __init__(self, member: SearchSpace) -> None:
        from explorer.tracking import MlflowTracker

        self._tracker = MlflowTracker(member)
        self._ended: Event | None = None  # held back: a further share may follow

    def on_event(self, event: Event) -> None:
        from explorer.run.events import Kind

        if event.kind is Kind.SWEEP_STARTED and self._ended is not None:
            self._ended = None
        elif event.kind is Kind.SWEEP_ENDED and event.data["state"] == "finished":
            self._ended = event
        else:
            self._tracker.on_event(event)

    def end(self, patience_s: float | None) -> None:
        if self._ended is not None:
            self._tracker.on_event(self._ended)
        self._tracker.close(patience_s)


def write_common_front(portfolio: Portfolio, state: str) -> None:
    """``front.html`` and ``front.json`` of all members in the portfolio's folder and in MLflow, and each member's own in its."""
    from explorer.report.files import write_common_files, write_front_files
    from explorer.tracking.common import publish_common

    fronts = [Front.load(m.folder) for m in portfolio.members.values() if (m.folder / STUDY_FILE).is_file()]
    shown = [front for front in fronts if front.points or front.baselines]
    if not shown:
        return
    for front in shown:
        write_front_files(front, front.folder)
    publish_common(
        portfolio,
        write_common_files(shown, portfolio.folder),
        hypervolume=common_hypervolume(shown),
        trials=sum(len(begun_trials(front.record)) for front in fronts),
        status="FINISHED" if state == "finished" else "KILLED",
    )
