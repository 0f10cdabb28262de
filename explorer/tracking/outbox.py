"""A queue with one writer thread: whoever puts something in never waits, and an outage only makes the queue longer."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

logger = logging.getLogger(__name__)

Item = TypeVar("Item")

BATCH = 500
IDLE_S = 1.0
_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.5, 10.0


class Outbox(Generic[Item]):
    """Delivers items in order, in batches, from a thread of its own.

    ``deliver`` is called again with the same items after an error, so it must do nothing twice. An error for which
    ``is_final`` answers yes is not tried again: the item that causes it is dropped with a warning. ``idle`` is called
    when the queue has been empty for a moment; its errors are told and change nothing.
    """

    def __init__(
        self,
        deliver: Callable[[list[Item]], None],
        *,
        name: str,
        idle: Callable[[], None] = lambda: None,
        is_final: Callable[[Exception], bool] = lambda error: False,
    ) -> None:
        self._deliver = deliver
        self._idle = idle
        self._is_final = is_final
        self._queue: queue.SimpleQueue[Item] = queue.SimpleQueue()
        self._closing = threading.Event()
        self._abandoned = threading.Event()
        self._left = 0
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def put(self, item: Item) -> None:
        """Returns at once."""
        self._queue.put(item)

    def close(self, timeout_s: float) -> int:
        """Deliver what is left, for at most ``timeout_s``. Returns how many items could not be delivered."""
        self._closing.set()
        self._thread.join(timeout_s)
        if not self._thread.is_alive():
            return self._left
        self._abandoned.set()
        return max(1, self._left + self._queue.qsize())

    def _run(self) -> None:
        while not self._abandoned.is_set():
            batch = self._next_batch()
            if batch:
                self._left = len(batch)
                self._deliver_all(batch)
            elif self._closing.is_set():
                return
            else:
                self._call_idle()

    def _next_batch(self) -> list[Item]:
        batch: list[Item] = []
        try:
            batch.append(self._queue.get(timeout=0.05 if self._closing.is_set() else IDLE_S))
            while len(batch) < BATCH:
                batch.append(self._queue.get_nowait())
        except queue.Empty:
            pass
        return batch

    def _deliver_all(self, batch: list[Item]) -> None:
        wait_s, failed_at = _FIRST_WAIT_S, None
        while not self._abandoned.is_set():
            try:
                self._deliver(batch)
            except Exception as error:
                if self._is_final(error):
                    self._isolate(batch, error)
                    return
                if failed_at is None:
                    failed_at = time.monotonic()
                    logger.warning("tracking is not reachable and is tried again: %s", _brief(error))
                self._abandoned.wait(wait_s)
                wait_s = min(2 * wait_s, _LONGEST_WAIT_S if not self._closing.is_set() else 2.0)
            else:
                self._left = 0
                if failed_at is not None:
                    logger.warning("tracking is reachable again after %.0f s", time.monotonic() - failed_at)
                return

    def _isolate(self, batch: list[Item], error: Exception) -> None:
        """One item of ``batch`` is refused for good: deliver the others."""
        if len(batch) == 1:
            logger.warning("a record was refused by the tracking server and is dropped: %s", _brief(error))
            self._left = 0
            return
        for item in batch:
            self._deliver_all([item])

    def _call_idle(self) -> None:
        try:
            self._idle()
        except Exception as error:
            logger.warning("tracking: %s", _brief(error))


def _brief(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).splitlines()[0][:300] if str(error) else ''}"
