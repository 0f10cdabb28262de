"""Run a sweep from its search space to its end: the driver. Everything that starts, waits and ends is in here.

A run is trials (maybe none) and named chains of stages: a sweep's baselines, or the rows of a table.
The study and the stage store are the only state. A sweep that ended, was interrupted or was killed goes on when it is
run again under its name: a fresh Tuner over the same study, and stages taken from the store.
"""

from __future__ import annotations

import logging
import math
import shutil
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from explorer.errors import NoTrialSucceeded, SweepFailed, UserError
from explorer.prepare import prepare_data
from explorer.records import SPACE_FILE, STUDY_FILE
from explorer.run.chains import ChainWatch
from explorer.run.cluster import Node, nodes_now, slots
from explorer.run.engine import LEAVE_S, Engine, shape_of
from explorer.run.events import Event, Kind, Observer
from explorer.run.jobs import NO_SPACE
from explorer.run.ledger import Ledger, own_epochs
from explorer.run.news import log_to
from explorer.run.progress import PROGRESS_FILE, Progress, elapsed_before
from explorer.run.repeats import repeat_chains
from explorer.run.stopping import Signals, Stopped, forget_stop, signals_ignored, signals_stop, stop_requested
from explorer.search.book import BASELINES, StudyBook
from explorer.search.from_space import ladder_of, search_of
from explorer.search.reader import read_study
from explorer.spec.plan import baseline_chains
from explorer.spec.space import SearchSpace
from explorer.store import Store
from trainables.contract import PREVIEW_STAGES, StageJob
from trainables.kit.engine.files import write_json, write_whole

if TYPE_CHECKING:
    from explorer.run.groups import WorkerGroups
    from explorer.run.tuning import SweepSearcher, Tuning

_log = logging.getLogger(__name__)

ERRORS_FILE = "errors.log"  # the stack trace of every failed attempt
_CHAIN_PRIORITY = 10**9  # after the trials: they fill the gaps
_PUMP_S = 0.5
_MAX_FAILED_STARTS = 3  # a group whose process never came up in so many attempts never will
_AT_ONCE_S = 2.0  # how long the queue may take to answer where nothing else is waited for
_LOOK_S = 2.0  # how often the cluster's nodes are counted
# Told once in a run of the driver; a queue whose process died may tell again what it got no answer to.
_ONCE = (Kind.TRIAL_STARTED, Kind.TRIAL_FINISHED, Kind.TRIAL_FAILED, Kind.CHAIN_FINISHED, Kind.CHAIN_FAILED)


@dataclass(frozen=True, kw_only=True)
class SweepResult:
    """How a run of a sweep ended. ``trials``: number of trials by state, of the whole sweep.

    States: complete, pruned, failed; ``interrupted`` ones are run again when the sweep goes on. ``at_once``: running epochs
    were not waited for.
    """

    name: str
    folder: Path
    state: str  # finished | interrupted
    trials: dict[str, int]
    seconds: float
    at_once: bool = False


def run_sweep(
    space: SearchSpace,
    *,
    chains: Mapping[str, tuple[StageJob, ...]] | None = None,
    observers: Sequence[Observer] = (),
    address: str | None = None,
    further_seeds: int = 0,
    engine: Engine | None = None,
) -> SweepResult:
    """Run ``space``, or go on with it, until its budget is used up. It can be stopped and go on later.

    Ctrl-C, or :func:`explorer.run.stopping.request_stop`, lets running epochs finish first; Ctrl-C twice does not.

    ``chains``: named chains of stages that are trained beside the trials, whether or not all of them succeed; None = the
    space's baselines. ``observers`` are told every event from this thread. ``address``: see :func:`cluster`.
    ``further_seeds``: train the trials that are on the front now once more with each of so many other seeds. ``engine``: of
    several sweeps that run in turn, in the place of ``address``.

    Raises:
        UserError: files do not decode, the resources do not fit, or the study was begun for another search space or data,
            or is in use; or there is no front to repeat.
        SweepFailed: no worker group came up, the disk is full, or not one trial succeeded.
    """
    named = baseline_chains(space) if chains is None else chains
    begun = (space.folder / STUDY_FILE).exists()
    if not begun:
        prepare_data(space, named)  # its errors, before there is a study
    space.folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        book = StudyBook(space.folder / STUDY_FILE, search_of(space), trials=space.budget.trials)
        stack.callback(book.close)
        if begun:  # where another process runs it, that is said first
            prepare_data(space, named)
        write_whole(space.folder / SPACE_FILE, space.to_yaml().encode())
        if chains is None:
            named = {**named, **repeat_chains(space, book, further_seeds)}
        forget_stop(space.folder)
        stack.enter_context(signals_stop())
        return _Sweep(space, book, named, observers, engine or Engine(stack, space.folder, address=address)).run(stack)


class _Sweep:
    """One run of a sweep."""

    def __init__(
        self,
        space: SearchSpace,
        book: StudyBook,
        named: Mapping[str, tuple[StageJob, ...]],
        observers: Sequence[Observer],
        engine: Engine,
    ) -> None:
        self._space = space
        self._book = book
        self._engine = engine
        self._store = Store(space.store_folder, area=space.area)
        known = read_study(book.path)
        self._ledger = Ledger.open(space, named, known)
        self._chain_jobs = {**named, **self._ledger.repairs(known, self._store)}
        self._progress = Progress(name=space.name)
        self._recovery = engine.recovery
        self._observers: list[Observer] = [self._recovery, self._progress, log_to(space.folder), *observers]
        self._told: set[tuple[Any, ...]] = set()
        self._began = time.time()
        self._before_s = elapsed_before(space.folder)
        self._chains = ChainWatch(self._chain_jobs)
        self._ladder = ladder_of(space, book)
        self._written = 0.0
        self._looked = 0.0
        self._broken: str | None = None
        self._full: str | None = None  # why nothing more can be written
        self._at_once = False
        self._signals = Signals()
        self._queue: Any = None
        book.set_attr(BASELINES, self._ledger.named_keys())

    def run(self, stack: ExitStack) -> SweepResult:
        if self._nothing_to_do():
            self._tell(Kind.SWEEP_STARTED, self._plan(0))
            self._tell(Kind.SWEEP_ENDED, {"state": "finished"})
            return self._result("finished")
        if not (self._space.folder / PROGRESS_FILE).exists():
            self._write_progress()  # who looks while Ray starts sees that it is run
            stack.callback(self._note_end_before_start)
        nodes = self._engine.start()
        self._signals = stack.enter_context(signals_stop())  # Ray has put its own handlers there
        return self._result(self._run_on(nodes))

    def _run_on(self, nodes: Sequence[Node]) -> str:
        """The state in which the sweep ended."""
        count = self._fitting(nodes)
        groups = self._engine.serve(self._space, count)
        self._queue = self._engine.queue
        self._note(Kind.SWEEP_STARTED, self._plan(count))
        self._submit_chains()
        from explorer.run.previews import rung_zero
        from explorer.run.tuning import SweepSearcher, TrialEvents, Tuning, quieten

        quieten(count)
        searcher = SweepSearcher(
            self._book,
            limit=count,
            chain_of=self._ledger.chain_of,
            is_spent=self._is_spent,
            ladder=self._ladder,
            rung0=rung_zero(self._space, self._queue),
        )
        events = TrialEvents(self._queue, searcher, self._ledger.chain_of)
        tuning = Tuning(self._space, self._queue, searcher, events, self._engine.scratch("tune-"))
        state = "failed"
        try:
            tuning.start()
            self._pump_until_done(tuning, groups, searcher)
            state = "finished"
        except KeyboardInterrupt as stop:
            state = "interrupted"
            try:
                self._stop(stop if isinstance(stop, Stopped) else Stopped(None), searcher, tuning, groups)
            except KeyboardInterrupt:  # once more: only the epochs that run now are lost
                self._at_once = True
        finally:
            with signals_ignored():
                self._end(state, groups)
        if self._full is not None:
            raise SweepFailed(
                f"there is no space left for the sweep's files: {self._full}; make room, then: "
                f"explorer resume {self._space.folder}"
            )
        return state

    def _fitting(self, nodes: Sequence[Node]) -> int:
        """How many groups to run on ``nodes``. Raises ``UserError``."""
        trials = self._space.budget.trials
        useful = (10**6 if trials is None else trials) + len(self._chain_jobs)
        return slots(shape_of(self._space), nodes, groups=self._space.resources.groups, useful=useful)

    def _submit_chains(self) -> None:
        for name, jobs in self._chain_jobs.items():
            self._queue.submit.remote(jobs, f"chain:{name}", _CHAIN_PRIORITY)

    # --- the loop -----------------------------------------------------------------------------------------------------

    def _pump_until_done(self, tuning: Tuning, groups: WorkerGroups, searcher: SweepSearcher) -> None:
        import ray

        while tuning.is_alive() or self._chains.open:
            try:
                with self._signals.held():
                    self._pump(_PUMP_S)
                    self._follow_cluster(groups, searcher)
            except ray.exceptions.RayError as error:
                raise SweepFailed(f"the queue of stages is lost, run the sweep again to go on: {error}") from error
            lost = self._broken or groups.all_lost
            if lost is not None:
                raise SweepFailed(f"no worker group comes up: {lost}")
            if tuning.error is not None:
                break
            if self._full is not None or self._is_to_stop():
                raise Stopped(None)
        if tuning.error is not None:
            raise SweepFailed(f"Ray Tune ended before the sweep did: {tuning.error}") from tuning.error

    def _is_to_stop(self) -> bool:
        group = self._space.member_of
        return stop_requested(self._space.folder) or bool(group and stop_requested(self._space.folder.with_name(group)))

    def _follow_cluster(self, groups: WorkerGroups, searcher: SweepSearcher) -> None:
        """Nodes that join add groups. Those of a node that left wait for room; their jobs are taken by others."""
        if self._space.resources.groups is not None or time.monotonic() - self._looked < _LOOK_S:
            return
        self._looked = time.monotonic()
        with suppress(UserError):  # for the moment no group fits
            groups.grow_to(self._fitting(nodes_now()))
        searcher.limit = groups.count

    def _pump(self, timeout_s: float) -> bool:
        """Hand on what happened. Whether anything did."""
        import ray

        asked = self._queue.events.remote(self._recovery.sequence, timeout_s)
        events: list[Event] | None = ray.get(asked, timeout=_AT_ONCE_S if self._at_once else None)
        if events is None:
            _log.warning("the queue's process died; another one goes on")
            ray.get(self._queue.open.remote(self._recovery.known()))
            self._submit_chains()
            return True
        self._deliver(events)
        for name, error in self._chains.newly_ended():
            kind = Kind.CHAIN_FINISHED if error is None else Kind.CHAIN_FAILED
            chain = {job.stage: job.key for job in self._chain_jobs[name]}
            self._note(kind, {"name": name, "chain": chain} | ({"error": error} if error else {}))
        return bool(events)

    def _deliver(self, events: Sequence[Event]) -> None:
        for event in events:
            once = (event.kind, event.trial, event.data.get("name"))
            if once in self._told:
                self._recovery.on_event(event)
                continue
            if event.kind in _ONCE:
                self._told.add(once)
            self._attend(event)
            # There are very many previews; TRIAL_PREVIEWED says what came of them.
            listening = [self._recovery] if event.stage in PREVIEW_STAGES else list(self._observers)
            for observer in listening:
                try:
                    observer.on_event(event)
                except Exception:
                    _log.exception("an observer failed at event %s and is not called again: %r", event.kind, observer)
                    self._observers.remove(observer)
        if time.time() - self._written > 1.0:
            self._write_progress()

    def _attend(self, event: Event) -> None:
        """What the driver itself does about an event."""
        self._chains.on_event(event)
        if trace := event.data.get("trace"):
            told = f"{time.strftime('%Y-%m-%d %H:%M:%S')} {event.kind} {event.stage} {event.key}\n{trace}\n"
            with suppress(OSError), self._errors_file.open("a", encoding="utf-8") as file:
                file.write(told)
        if event.kind is Kind.STAGE_CANCELLED and event.key is not None:  # of a trial that was stopped early
            shutil.rmtree(self._store.work_folder(event.key), ignore_errors=True)
        if event.kind is Kind.STAGE_RETRIED and event.data["signature"] == NO_SPACE:
            self._full = event.data["error"]
        if event.kind is Kind.GROUP_LOST and event.data["failed_starts"] >= _MAX_FAILED_STARTS:
            self._broken = event.data["error"]

    # --- the end ------------------------------------------------------------------------------------------------------

    def _stop(self, stop: Stopped, searcher: SweepSearcher, tuning: Tuning, groups: WorkerGroups) -> None:
        """Stop in order: no more trials, running stages end at their next epoch. What was running runs again later."""
        import ray

        searcher.interrupted = True
        if stop.again:
            raise stop
        self._note(Kind.SWEEP_STOPPING, {"grace_s": stop.grace_s})
        ray.get(self._queue.close.remote())
        deadline = math.inf if stop.grace_s is None else time.monotonic() + stop.grace_s
        while (tuning.is_alive() or not groups.have_left(0.0)) and time.monotonic() < deadline:
            self._pump(_PUMP_S)

    def _end(self, state: str, groups: WorkerGroups) -> None:
        import ray

        stays = self._engine.keep and state == "finished"
        deadline = math.inf if stays else time.monotonic() + (0.0 if self._at_once else LEAVE_S)
        try:
            if not stays:
                self._engine.keep = False  # its groups leave now, for as long as this sweep waits for them
                ray.get(self._queue.close.remote(), timeout=_AT_ONCE_S if self._at_once else None)
            # A worker is not answered before its event was read. What was dropped ends at its next epoch: where groups stay, the
            # next sweep must not be told of it.
            while (self._recovery.running if stays else not groups.have_left(0.0)) and time.monotonic() < deadline:
                self._pump(_PUMP_S)
            while self._pump(0.0) and not self._at_once:
                pass
        except ray.exceptions.RayError:
            _log.warning("Ray ended before the sweep's last events were read; nothing that was trained is lost")
        self._tell(Kind.SWEEP_ENDED, {"state": state} | ({"at_once": True} if self._at_once else {}))

    def _result(self, state: str) -> SweepResult:
        names = {"FAIL": "failed"} | ({"RUNNING": "interrupted"} if state == "interrupted" else {})
        counts = self._book.counts()
        trials = {names.get(name, name.lower()): count for name, count in counts.items() if count}
        self._write_progress()
        if state == "finished" and trials.get("failed") and not trials.get("complete"):
            raise NoTrialSucceeded(f"not one of {trials['failed']} trials succeeded; {self._first_reason()}")
        return SweepResult(
            name=self._space.name,
            folder=self._space.folder,
            state=state,
            trials=trials,
            seconds=time.time() - self._began,
            at_once=self._at_once,
        )

    def _first_reason(self) -> str:
        reasons = [trial.attrs.get("reason") for trial in read_study(self._book.path) if trial.state == "FAIL"]
        first = next((reason for reason in reasons if reason), "no reason is recorded")
        return f"the first one: {first}"

    # --- small things -------------------------------------------------------------------------------------------------

    @property
    def _errors_file(self) -> Path:
        return self._space.folder / ERRORS_FILE

    def _nothing_to_do(self) -> bool:
        spent = (self._book.budget_is_used_up() or self._is_spent()) and not self._book.has_unfinished
        return spent and not self._ledger.missing(self._store) and len(self._chain_jobs) == len(self._ledger.named)

    def _is_spent(self) -> bool:
        hours = self._space.budget.hours
        late = hours is not None and self._before_s + time.time() - self._began >= hours * 3600
        plateau = self._space.budget.plateau
        flat = plateau is not None and self._book.trials_without_gain() >= plateau
        return late or flat or self._ledger.passes_are_spent(self._book.begun())

    def _plan(self, count: int) -> dict[str, Any]:
        names = {"COMPLETE": "complete", "PRUNED": "pruned", "FAIL": "failed"}
        return {
            "name": self._space.name,
            "folder": str(self._space.folder),
            "slots": count,
            "trials": self._space.budget.trials,
            "ended": {names[state]: n for state, n in self._book.counts().items() if state in names and n},
            "done": self._ledger.done(self._store),
            "own_epochs": own_epochs(self._space),
            "elapsed_s": self._before_s,
        }

    def _note(self, kind: Kind, data: dict[str, Any]) -> None:
        self._queue.note.remote(kind, None, data)  # answered when this thread has read it: it must not wait

    def _tell(self, kind: Kind, data: dict[str, Any]) -> None:
        """Not through the queue: before it is asked for events, or after."""
        read = self._recovery.sequence
        self._deliver([Event(sequence=read + 1, time=time.time(), kind=kind, data=data)])
        self._recovery.sequence = read  # the queue does not know of it, and will give the number to another one

    def _note_end_before_start(self) -> None:
        """Ctrl-C, or resources that do not fit: nothing was killed."""
        if self._progress.started is None:
            self._progress.state = "interrupted"
            self._write_progress()

    def _write_progress(self) -> None:
        self._written = time.time()
        with suppress(OSError):  # a full disk: the next time, perhaps
            write_json(self._space.folder / PROGRESS_FILE, self._progress.snapshot(self._written).to_json(self._written))
