"""The single flight of a sweep: stage jobs, who waits for them, who trains them. Plain Python, no Ray.

A job is known by its key; submitting an equal key twice makes one job with two subscribers. The queue holds nothing
that cannot be lost: what is trained lies in the stage store, what was tried in the study, and who trains what is known to the
driver (:mod:`explorer.run.recovery`). Each call may come twice: its caller repeats what it got no answer to.

States of a job::

    waiting -> ready -> running -> done
       |         ^        |  |
       |         +--------+  +--> failed      (retried: an error, or its worker died)
       |         +-> paused <+                (until somebody wants more epochs of it)
       +--> cancelled (no subscriber left), failed (a parent failed)
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from explorer.run.entry import Entry, State, Wish
from explorer.run.events import Event, Kind
from explorer.run.recovery import Known
from trainables.contract import StageJob


@dataclass(frozen=True, kw_only=True)
class JobError:
    """Why an attempt failed. Attempts are counted by ``signature``; a ``final`` error is not tried again.

    ``message`` is one line for people, ``trace`` the stack trace for the log.
    """

    signature: str
    message: str
    trace: str = ""
    final: bool = False


# A stage that fails three times in the same way will fail a fourth time.
MAX_SAME_ERRORS = 3
# A worker may be killed for reasons that are not the job's (preemption, memory taken by others), so there is more
# patience, and every epoch that it gets further than before gives all of it back.
MAX_DEATHS = 5
WORKER_DIED = JobError(signature="worker died", message="its worker died (killed, or out of memory)")
UNWANTED = "nobody waits for it any more"
NO_SPACE = "no space left"  # signature of an error that is the disk's: it counts for no job, and the driver stops the sweep
_BEFORE = "before"  # stands for the subscribers of a job that ran when the queue was lost, until one says its name


@dataclass(frozen=True, kw_only=True)
class Taken:
    """Answer to a worker that asks for work: a job, or nothing yet, or (``closed``) go home."""

    job: StageJob | None = None
    closed: bool = False


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How far a job is. ``error`` explains ``failed`` and ``cancelled``. ``epochs``: done, as far as was told."""

    state: State
    error: str | None = None
    epochs: int = 0

    def reached(self, until: int | None) -> bool:
        """Whether it is done, or so many epochs of it are."""
        return self.state is State.DONE or (until is not None and self.epochs >= until)


class JobQueue:
    """Stage jobs of one sweep. Not thread-safe: one thread (the actor's event loop) owns it.

    ``is_done`` says whether the store already has a key. ``known``: of the queue before this one, whose process died.
    """

    def __init__(
        self,
        is_done: Callable[[str], bool],
        *,
        known: Known | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._is_done = is_done
        self._clock = clock
        self._known = known or Known()
        self._entries: dict[str, Entry] = {}
        self._slots: dict[str, str] = dict(self._known.workers)  # slot of the cluster -> the worker that now serves it
        self._failed_starts: Counter[str] = Counter()
        self._events: deque[Event] = deque()
        self._sequence = self._known.sequence
        self._submitted = 0
        self._closed = False
        for held in self._known.running.values():
            entry = self._new_entry(held.job)
            entry.state, entry.worker, entry.started = State.RUNNING, held.worker, held.started
            entry.subscribers[_BEFORE] = Wish()

    # --- subscribers --------------------------------------------------------------------------------------------------

    def submit(
        self,
        jobs: Sequence[StageJob],
        subscriber: str,
        *,
        priority: int = 0,
        until: Mapping[str, int] | None = None,
    ) -> None:
        """Ask for ``jobs`` (parents before children) for ``subscriber``; smaller ``priority`` is more urgent.

        ``until``: key -> epochs after which the job is to pause, unless another subscriber wants more of it.
        """
        for job in jobs:
            entry = self._entries.get(job.key)
            if entry is None or entry.state is State.CANCELLED or self._was_damaged(entry):
                entry = self._enter(job)
            entry.subscribers.pop(_BEFORE, None)
            entry.subscribers[subscriber] = Wish(priority=priority, until=(until or {}).get(job.key))
            if entry.state is State.PAUSED and entry.wanted:
                self._requeue(entry)
            elif entry.state is State.READY and not entry.wanted:
                self._pause(entry)

    def drop(self, subscriber: str) -> None:
        """Forget a subscriber. A job ends only when none is left; one that runs ends at its next report."""
        for entry in self._entries.values():
            if entry.subscribers.pop(subscriber, None) is None:
                continue
            if not entry.subscribers and entry.state in (State.WAITING, State.READY, State.PAUSED):
                self._end(entry, State.CANCELLED, error=UNWANTED)
            elif entry.state is State.READY and not entry.wanted:
                self._pause(entry)

    def forget_ended(self) -> None:
        """What is asked for again is looked up or tried anew, as by a queue that has just begun: another sweep follows."""
        self._entries = {key: entry for key, entry in self._entries.items() if not entry.state.ended}

    def outcomes(self, keys: Sequence[str]) -> dict[str, Outcome]:
        """How far each job is. Keys never submitted are left out."""
        return {
            key: Outcome(state=entry.state, error=entry.error, epochs=entry.epochs_done)
            for key in keys
            if (entry := self._entries.get(key)) is not None
        }

    def metrics(self, key: str, epoch: int) -> Mapping[str, float] | None:
        """What ``epoch`` (from 0) of a job measured; None where it was not told."""
        entry = self._entries.get(key)
        return None if entry is None else entry.metrics.get(epoch)

    # --- workers ------------------------------------------------------------------------------------------------------

    def join(self, slot: str, worker: str) -> None:
        """A fresh worker serves ``slot``. What the one before it held goes back to the queue: it must be dead."""
        before = self._slots.get(slot)
        self._slots[slot] = worker
        if before == worker:
            return
        self._failed_starts[slot] = 0
        self._append(Kind.GROUP_STARTED, data={"slot": slot, "worker": worker})
        if before is not None:
            self.release(before)

    def lost(self, slot: str, error: str) -> None:
        """The process that served ``slot`` is dead. ``failed_starts`` counts the times that none came up in between."""
        worker = self._slots.pop(slot, None)
        self._failed_starts[slot] += 1 if worker is None else 0
        data = {"slot": slot, "error": error, "failed_starts": self._failed_starts[slot]}
        self._append(Kind.GROUP_LOST, data=data)
        if worker is not None:
            self.release(worker)

    def take(self, worker: str) -> Taken:
        """The most urgent job whose parents are done, or nothing yet. Only a slot's present worker gets work.

        (The call of a worker that was killed may still wait here when its successor has joined.)
        """
        slot = next((slot for slot, present in self._slots.items() if present == worker), None)
        if self._closed or slot is None:
            return Taken(closed=True)
        for entry in self._running_of(worker):  # it does not know of it: the answer was lost
            self._requeue(entry)
        ready = [entry for entry in self._entries.values() if entry.state is State.READY]
        if not ready:
            return Taken()
        entry = min(ready, key=lambda e: e.rank)
        entry.state = State.RUNNING
        entry.worker = worker
        entry.started = self._clock()
        self._note(Kind.STAGE_STARTED, entry, job=asdict(entry.job), slot=slot, worker=worker)
        return Taken(job=entry.job)

    def resumed(self, key: str, worker: str, history: Sequence[Mapping[str, float]]) -> bool:
        """A worker goes on with a job of which an earlier run has measured ``history``. Answers as :meth:`report`."""
        entry = self._held(key, worker)
        if entry is None:
            return False
        entry.metrics.update(enumerate(history))
        entry.epochs_done = max(entry.epochs_done, len(history))
        return entry.wanted and not self._closed

    def report(self, key: str, worker: str, *epochs: Mapping[str, Any]) -> bool:
        """Epochs are done, the latest last. False: stop, nobody waits for more of this job or it is not this worker's any more.

        Those that were told before are no news. A worker tells the one before again, in case that this queue's predecessor
        answered it and died before the driver had read it.
        """
        entry = self._held(key, worker)
        if entry is None:
            return False
        for told in epochs:
            epoch = int(told["epoch"])
            if epoch in entry.metrics:  # or it was trained again after a kill
                continue
            entry.epochs_done = max(entry.epochs_done, epoch + 1)
            entry.metrics[epoch] = told["metrics"]
            entry.errors.clear()
            fields = {name: told[name] for name in ("epoch", "epochs", "metrics", "seconds")}
            self._note(Kind.STAGE_EPOCH, entry, **fields)
        return entry.wanted and not self._closed

    def finish(self, key: str, worker: str) -> None:
        """The job is published. True whoever says it: the store keeps the first copy."""
        entry = self._entries.get(key)
        if entry is not None and not entry.state.ended:
            self._end(entry, State.DONE)

    def fail(self, key: str, worker: str, error: JobError) -> None:
        """An attempt failed: try again, or give up and fail everything that needs the job."""
        entry = self._held(key, worker)
        if entry is not None:
            self._failed_attempt(entry, error, limit=MAX_SAME_ERRORS)

    def cancelled(self, key: str, worker: str) -> None:
        """The worker stopped the job as told. Somebody may have asked for it again meanwhile."""
        entry = self._held(key, worker)
        if entry is None:
            return
        if entry.subscribers:
            self._requeue(entry)
        else:
            self._end(entry, State.CANCELLED, error=UNWANTED)

    def release(self, worker: str) -> None:
        """The worker died: its job goes back to the queue."""
        for entry in self._running_of(worker):
            if self._is_done(entry.job.key):  # it published, and died before it could say so
                self._end(entry, State.DONE)
            elif not entry.subscribers:
                self._end(entry, State.CANCELLED, error=UNWANTED)
            else:
                self._failed_attempt(entry, WORKER_DIED, limit=MAX_DEATHS)

    # --- the driver ---------------------------------------------------------------------------------------------------

    @property
    def closed(self) -> bool:
        return self._closed

    @property
    def last_event(self) -> int:
        """Number of the latest event; 0 = none yet."""
        return self._sequence

    @property
    def busy(self) -> bool:
        """Whether a job runs."""
        return any(entry.state is State.RUNNING for entry in self._entries.values())

    def close(self) -> None:
        """Hand out no more work; running jobs end at their next report, and can be resumed later."""
        self._closed = True

    def note(self, kind: Kind, *, trial: int | None = None, data: Mapping[str, Any] | None = None) -> None:
        """Write an event that is not a job's (a trial's, a chain's) into the same numbered list."""
        self._append(kind, trial=trial, data=dict(data or {}))

    def events(self, since: int) -> list[Event]:
        """Events after number ``since``, which with all before it is forgotten: there is one reader."""
        while self._events and self._events[0].sequence <= since:
            self._events.popleft()
        return list(self._events)

    # --- inside -------------------------------------------------------------------------------------------------------

    def _enter(self, job: StageJob) -> Entry:
        for parent in job.parents.values():
            known = parent in self._entries and self._entries[parent].state is not State.CANCELLED
            assert known or self._is_done(parent), f"{job.stage}: parent {parent} was not submitted"
        entry = self._new_entry(job)
        if self._is_done(job.key):
            entry.state = State.DONE
            self._note(Kind.STAGE_REUSED, entry, job=asdict(job))
            return entry
        self._note(Kind.STAGE_SUBMITTED, entry, job=asdict(job))
        failed = [p for p in self._parents(entry) if p.state is State.FAILED]
        if failed:
            self._end(entry, State.FAILED, error=_inherited(failed[0]))
        else:
            self._set_ready(entry)
        return entry

    def _new_entry(self, job: StageJob) -> Entry:
        self._submitted += 1
        metrics = dict(self._known.metrics.get(job.key, {}))
        entry = Entry(job=job, order=self._submitted, epochs_done=max(metrics, default=-1) + 1, metrics=metrics)
        entry.errors.update(self._known.errors.get(job.key, {}))
        self._entries[job.key] = entry
        return entry

    def _was_damaged(self, entry: Entry) -> bool:
        """Whether the store had the job and has it no more: its checkpoint failed its checksum."""
        return entry.state is State.DONE and not self._is_done(entry.job.key)

    def _running_of(self, worker: str) -> list[Entry]:
        return [e for e in self._entries.values() if e.state is State.RUNNING and e.worker == worker]

    def _parents(self, entry: Entry) -> list[Entry]:
        return [self._entries[key] for key in entry.job.parents.values() if key in self._entries]

    def _set_ready(self, entry: Entry) -> None:
        if entry.state is State.WAITING and all(p.state is State.DONE for p in self._parents(entry)):
            entry.state = State.READY
            if entry.subscribers and not entry.wanted:
                self._pause(entry)

    def _pause(self, entry: Entry) -> None:
        entry.state = State.PAUSED
        self._note(Kind.STAGE_PAUSED, entry, epochs=entry.epochs_done)

    def _children(self, key: str) -> list[Entry]:
        return [entry for entry in self._entries.values() if key in entry.job.parents.values()]

    def _held(self, key: str, worker: str) -> Entry | None:
        entry = self._entries.get(key)
        return entry if entry is not None and entry.state is State.RUNNING and entry.worker == worker else None

    def _failed_attempt(self, entry: Entry, error: JobError, *, limit: int) -> None:
        entry.errors[error.signature] += error.signature != NO_SPACE
        attempts = entry.errors[error.signature]
        # Errors that are different each time must end as well.
        if error.final or attempts >= limit or entry.errors.total() >= 2 * MAX_DEATHS:
            message = error.message if attempts == 1 else f"{error.message}; given up after {attempts} attempts"
            self._end(entry, State.FAILED, error=message, trace=error.trace)
            return
        self._note(Kind.STAGE_RETRIED, entry, error=error.message, trace=error.trace, attempts=attempts, signature=error.signature)
        self._requeue(entry)

    def _requeue(self, entry: Entry) -> None:
        entry.worker = None
        entry.state = State.WAITING
        for parent in self._parents(entry):
            if self._was_damaged(parent):  # train it again first
                parent.subscribers |= {name: Wish(priority=w.priority) for name, w in entry.subscribers.items()}
                self._requeue(parent)
        self._set_ready(entry)

    def _end(self, entry: Entry, state: State, *, error: str | None = None, trace: str = "") -> None:
        ran = entry.state is State.RUNNING
        entry.state, entry.error, entry.worker = state, error, None
        if state is State.DONE:
            self._note(Kind.STAGE_FINISHED, entry, seconds=self._clock() - entry.started if ran else 0.0)
            for child in self._children(entry.job.key):
                self._set_ready(child)
            return
        kind = Kind.STAGE_FAILED if state is State.FAILED else Kind.STAGE_CANCELLED
        self._note(kind, entry, error=error, trace=trace)
        if state is State.FAILED:
            for child in self._children(entry.job.key):
                if not child.state.ended:
                    self._end(child, State.FAILED, error=_inherited(entry))

    def _note(self, kind: Kind, entry: Entry, **data: Any) -> None:
        self._append(kind, key=entry.job.key, stage=entry.job.stage, data=data)

    def _append(self, kind: Kind, **fields: Any) -> None:
        self._sequence += 1
        self._events.append(Event(sequence=self._sequence, time=self._clock(), kind=kind, **fields))


def _inherited(parent: Entry) -> str:
    """The error that a stage takes over from the one that it starts from, told once however long the chain is."""
    error = parent.error or ""
    return error if error.startswith("stage ") else f"stage {parent.job.stage} failed: {error}"
