"""The queue of stage jobs as an async Ray actor. Trials, worker groups and the driver wait in it instead of polling."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from explorer.run.entry import State
from explorer.run.events import Event, Kind
from explorer.run.jobs import JobError, JobQueue, Outcome, Taken
from explorer.run.recovery import Known
from explorer.store import Store
from trainables.contract import StageJob

# What a Ray task or actor that takes no CPU asks for, to run beside the driver's node services.
ON_HEAD_NODE = {"node:__internal_head__": 0.001}
_MAX_WAITING_CALLS = 10_000  # every trial and every group has one call waiting
_FOREVER_S = 10.0**9


class QueueActor:
    """Forwards to a :class:`JobQueue`; what waits is woken by every change. All of it runs in one event loop.

    Ray starts its process anew when it dies. Until the driver has opened it with what it knows, every call waits; and no
    worker is answered before the driver has read what the answer rests on, so what the driver knows is enough. An epoch alone is
    answered at once (3.4 ms in place of 11.5: a short epoch is a tenth of a second), and told again with the next one.
    """

    def __init__(self, store: str) -> None:
        self._store = Store(Path(store))
        self._opened: JobQueue | None = None
        self._read = 0  # number of the last event that the driver has
        self._changed = asyncio.Event()

    async def open(self, known: Known) -> None:
        """Begin, with what was known of the queue before this one. Only the first call of a process counts."""
        if self._opened is None:
            self._opened = JobQueue(self._store.has, known=known)
            self._read = known.sequence
            self._wake()

    # --- trials -------------------------------------------------------------------------------------------------------

    async def submit(
        self, jobs: Sequence[StageJob], subscriber: str, priority: int, until: Mapping[str, int] | None = None
    ) -> None:
        queue = await self._queue()
        queue.submit(jobs, subscriber, priority=priority, until=until)
        self._wake()

    async def drop(self, subscriber: str) -> None:
        queue = await self._queue()
        queue.drop(subscriber)
        self._wake()

    async def wait(
        self, keys: Sequence[str], timeout_s: float, until: Mapping[str, int] | None = None
    ) -> dict[str, Outcome] | None:
        """How far the jobs are, as soon as all are done or one cannot be any more, or after ``timeout_s``.

        ``until``: key -> epochs that are enough. None: they are not, and the queue is closed. A key that is missing in the
        answer has to be submitted (again).
        """
        queue = await self._queue()

        def settled() -> bool:
            found = queue.outcomes(keys)
            hopeless = any(outcome.state in (State.FAILED, State.CANCELLED) for outcome in found.values())
            return hopeless or len(found) < len(keys) or all(o.reached((until or {}).get(k)) for k, o in found.items())

        await self._until(lambda: settled() or queue.closed, timeout_s)
        return None if queue.closed and not settled() else queue.outcomes(keys)

    async def metrics(self, key: str, epoch: int) -> Mapping[str, float] | None:
        queue = await self._queue()
        return queue.metrics(key, epoch)

    # --- worker groups ------------------------------------------------------------------------------------------------

    async def join(self, slot: str, worker: str) -> None:
        queue = await self._queue()
        queue.join(slot, worker)
        await self._told(queue)

    async def lost(self, slot: str, error: str) -> None:
        queue = await self._queue()
        queue.lost(slot, error)
        self._wake()

    async def take(self, worker: str, timeout_s: float) -> Taken:
        """A job, as soon as there is one; nothing yet, after ``timeout_s``."""
        queue = await self._queue()
        taken = Taken()

        def got() -> bool:
            nonlocal taken
            taken = queue.take(worker)
            return taken.closed or taken.job is not None

        await self._until(got, timeout_s)
        if taken.job is not None:
            await self._told(queue)
        return taken

    async def resumed(self, key: str, worker: str, history: Sequence[Mapping[str, float]]) -> bool:
        queue = await self._queue()
        return queue.resumed(key, worker, history)

    async def report(self, key: str, worker: str, *epochs: Mapping[str, Any]) -> bool:
        queue = await self._queue()
        go_on = queue.report(key, worker, *epochs)
        self._wake()
        return go_on

    async def finish(self, key: str, worker: str) -> None:
        queue = await self._queue()
        queue.finish(key, worker)
        await self._told(queue)

    async def fail(self, key: str, worker: str, error: JobError) -> None:
        queue = await self._queue()
        queue.fail(key, worker, error)
        await self._told(queue)

    async def cancelled(self, key: str, worker: str) -> None:
        queue = await self._queue()
        queue.cancelled(key, worker)
        await self._told(queue)

    # --- the driver ---------------------------------------------------------------------------------------------------

    async def note(self, kind: Kind, trial: int | None, data: Mapping[str, Any]) -> None:
        """Answered when the driver has read it: the driver itself must not wait for the answer."""
        queue = await self._queue()
        queue.note(kind, trial=trial, data=data)
        await self._told(queue)

    async def events(self, since: int, timeout_s: float) -> list[Event] | None:
        """What happened after event ``since``, as soon as there is something, or nothing after ``timeout_s``.

        None: this is a new process, which must be opened first.
        """
        queue = self._opened
        if queue is None:
            return None
        self._read = max(self._read, since)
        self._wake()
        await self._until(lambda: bool(queue.events(since)), timeout_s)
        return queue.events(since)

    async def forget_ended(self) -> None:
        queue = await self._queue()
        queue.forget_ended()

    async def close(self) -> None:
        queue = await self._queue()
        queue.close()
        self._wake()

    # --- inside -------------------------------------------------------------------------------------------------------

    async def _queue(self) -> JobQueue:
        await self._until(lambda: self._opened is not None, _FOREVER_S)
        assert self._opened is not None
        return self._opened

    async def _told(self, queue: JobQueue) -> None:
        """Wait until the driver has read what has happened so far."""
        self._wake()
        latest = queue.last_event
        await self._until(lambda: self._read >= latest, _FOREVER_S)

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
    """The actor's handle. It lives as long as the driver, on the head node, and takes no CPU of the cluster's count.

    If its process dies, Ray starts another one and repeats the calls that got no answer.
    """
    import ray

    actor = ray.remote(
        num_cpus=0, resources=ON_HEAD_NODE, max_concurrency=_MAX_WAITING_CALLS, max_restarts=-1, max_task_retries=-1
    )(QueueActor)
    return actor.remote(str(store))
