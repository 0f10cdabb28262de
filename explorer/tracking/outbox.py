"""A queue with one writer thread: whoever puts something in never waits for the server, and an outage loses nothing."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar

from explorer.tracking.spool import Spool

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

    With a ``spool``, items are also on disk until they are delivered: ``to_record`` and ``from_record`` translate. What an
    earlier process left there comes before the first item.
    """

    def __init__(
        self,
        deliver: Callable[[list[Item]], None],
        *,
        name: str,
        idle: Callable[[], None] = lambda: None,
        is_final: Callable[[Exception], bool] = lambda error: False,
        spool: Spool | None = None,
        to_record: Callable[[Item], Mapping[str, Any]] | None = None,
        from_record: Callable[[Mapping[str, Any]], Item] | None = None,
    ) -> None:
        self._deliver = deliver
        self._idle = idle
        self._is_final = is_final
        self._queue: queue.SimpleQueue[tuple[Item, int | None]] = queue.SimpleQueue()
        self._spool, self._to_record, self._from_record = spool, to_record, from_record
        self._spool_is_open = False
        self._away = threading.Event()
        self._closing = threading.Event()
        self._abandoned = threading.Event()
        self._left = 0
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def put(self, item: Item) -> None:
        """Returns at once."""
        mark = None
        if self._spool is not None:
            assert self._to_record is not None and self._from_record is not None
            if not self._spool_is_open:  # not before: only who runs the sweep may touch it
                self._spool_is_open = True
                for record, before in self._spool.open():
                    self._queue.put((self._from_record(record), before))
            mark = self._spool.append(self._to_record(item))
        self._queue.put((item, mark))

    def close(self, timeout_s: float, *, outage_s: float | None = None) -> int:
        """Deliver what is left, for at most ``timeout_s``, or ``outage_s`` while nobody answers. Returns how much is left."""
        self._closing.set()
        deadline = time.monotonic() + timeout_s
        away_until = time.monotonic() + (timeout_s if outage_s is None else outage_s)
        while self._thread.is_alive() and (now := time.monotonic()) < deadline:
            if self._away.is_set() and now >= away_until:
                break
            self._thread.join(0.1)
        if self._thread.is_alive():
            self._abandoned.set()
            return max(1, self._left + self._queue.qsize())
        if not self._left and self._spool is not None and self._spool_is_open:
            self._spool.clear()
        return self._left

    def _run(self) -> None:
        while not self._abandoned.is_set():
            entries = self._next_batch()
            if entries:
                self._left = len(entries)
                self._deliver_all([item for item, _ in entries])
                marks = [mark for _, mark in entries if mark is not None]
                if marks and not self._left and self._spool is not None:
                    self._spool.delivered(marks[-1])
            elif self._closing.is_set():
                return
            else:
                self._call_idle()

    def _next_batch(self) -> list[tuple[Item, int | None]]:
        batch: list[tuple[Item, int | None]] = []
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
                    self._away.set()
                    logger.warning("tracking is not reachable and is tried again: %s", _brief(error))
                self._abandoned.wait(wait_s)
                wait_s = min(2 * wait_s, _LONGEST_WAIT_S if not self._closing.is_set() else 2.0)
            else:
                self._left = 0
                self._away.clear()
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
