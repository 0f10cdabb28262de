"""The queue of stage jobs as an async Ray actor. Trials, worker groups and the driver wait in it instead of polling."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from explorer.run.events import Event, Kind
from explorer.run.jobs import JobError, JobQueue, Outcome, State, Taken
from explorer.store import Store
from trainables.contract import StageJob

# What a Ray task or actor that takes no CPU asks for, to run beside the driver's node services.
ON_HEAD_NODE = {"node:__internal_head__": 0.001}
_MAX_WAITING_CALLS = 10_000  # every trial and every group has one call waiting


class QueueActor:
    """Forwards to a :class:`JobQueue`; what waits is woken by every change. All of it runs in one event loop."""

    def __init__(self, store: str) -> None:
        self._queue = JobQueue(Store(Path(store)).has)
        self._changed = asyncio.Event()

    # --- trials -------------------------------------------------------------------------------------------------------

    async def submit(self, jobs: Sequence[StageJob], subscriber: str, priority: int) -> None:
        self._queue.submit(jobs, subscriber, priority=priority)
        self._wake()

    async def drop(self, subscriber: str) -> None:
        self._queue.drop(subscriber)
        self._wake()

    async def wait(self, keys: Sequence[str], timeout_s: float) -> dict[str, Outcome] | None:
        """How far the jobs are, as soon as all are done or one cannot be any more, or after ``timeout_s``.

        None: they are not, and the queue is closed.
        """

        def settled() -> bool:
            states = [outcome.state for outcome in self._queue.outcomes(keys).values()]
            hopeless = any(state in (State.FAILED, State.CANCELLED) for state in states)
            return hopeless or all(state is State.DONE for state in states)

        await self._until(lambda: settled() or self._queue.closed, timeout_s)
        return None if self._queue.closed and not settled() else self._queue.outcomes(keys)

    # --- worker groups ------------------------------------------------------------------------------------------------

    async def join(self, slot: str, worker: str) -> None:
        self._queue.join(slot, worker)
        self._wake()

    async def lost(self, slot: str, error: str) -> None:
        self._queue.lost(slot, error)
        self._wake()

    async def take(self, worker: str, timeout_s: float) -> Taken:
        """A job, as soon as there is one; nothing yet, after ``timeout_s``."""
        taken = Taken()

        def got() -> bool:
            nonlocal taken
            taken = self._queue.take(worker)
            return taken.closed or taken.job is not None

        await self._until(got, timeout_s)
        if taken.job is not None:
            self._wake()
        return taken

    async def report(self, key: str, worker: str, report: Mapping[str, Any]) -> bool:
        go_on = self._queue.report(key, worker, report)
        self._wake()
        return go_on

    async def finish(self, key: str, worker: str) -> None:
        self._queue.finish(key, worker)
        self._wake()

    async def fail(self, key: str, worker: str, error: JobError) -> None:
        self._queue.fail(key, worker, error)
        self._wake()

    async def cancelled(self, key: str, worker: str) -> None:
        self._queue.cancelled(key, worker)
        self._wake()

    # --- the driver ---------------------------------------------------------------------------------------------------

    async def note(self, kind: Kind, trial: int | None, data: Mapping[str, Any]) -> None:
        self._queue.note(kind, trial=trial, data=data)
        self._wake()

    async def events(self, since: int, timeout_s: float) -> list[Event]:
        """What happened after event ``since``, as soon as there is something, or nothing after ``timeout_s``."""
        await self._until(lambda: bool(self._queue.events(since)), timeout_s)
        return self._queue.events(since)

    async def close(self) -> None:
        self._queue.close()
        self._wake()

    # --- inside -------------------------------------------------------------------------------------------------------

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    async def _until(self, condition: Callable[[], bool], timeout_s: float) -> None:
        deadline = time.monotonic() + timeout_s
        while not condition():
            left = deadline - time.monotonic()
            if left <= 0:
                return
            try:
                await asyncio.wait_for(self._changed.wait(), left)
            except TimeoutError:
                return


def start_queue(store: Path) -> Any:
    """The actor's handle. It lives as long as the driver, on the head node, and takes no CPU of the cluster's count."""
    import ray

    actor = ray.remote(num_cpus=0, resources=ON_HEAD_NODE, max_concurrency=_MAX_WAITING_CALLS)(QueueActor)
    return actor.remote(str(store))
