"""The observer that keeps MLflow up to date while a sweep runs."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from explorer.errors import UserError
from explorer.run.events import Event, Kind
from explorer.tracking.outbox import Outbox
from explorer.tracking.projection import Projection
from explorer.tracking.runs import Runs, is_final
from explorer.tracking.spool import Spool
from explorer.tracking.where import artifacts_location, sweep_id, tracking_uri, without_password

if TYPE_CHECKING:
    from explorer.spec import SearchSpace

logger = logging.getLogger(__name__)

FLUSH_S, OUTAGE_S = 60.0, 5.0
UPLOAD_BYTES_A_S = 10e6  # a slow network's; a paper-size checkpoint then has 34 s
SPOOL_FILE = "tracking.spool"


class MlflowTracker:
    """Writes a sweep's events to the tracking server of ``space`` from one thread of its own.

    Constructing it returns at once: MLflow is imported, and the database created, in that thread. Nothing that
    happens there reaches the sweep; an outage is told once and overcome when the server is back. What could not be
    delivered by the end lies in the sweep's folder and is delivered when the sweep is next resumed.
    """

    def __init__(self, space: SearchSpace) -> None:
        self.uri = tracking_uri(space)
        self._space = space
        self._projection: Projection | None = None
        self._open_since: Event | None = None
        self._outbox: Outbox[Event] | None = None
        if self.uri:
            self._outbox = Outbox(
                self._deliver,
                name="tracking",
                idle=self._idle,
                is_final=is_final,
                spool=Spool(space.folder / SPOOL_FILE),
                to_record=asdict,
                from_record=_event,
            )

    def on_event(self, event: Event) -> None:
        """Queue ``event``; returns at once."""
        if event.kind in (Kind.SWEEP_STARTED, Kind.SWEEP_ENDED):
            self._open_since = event if event.kind is Kind.SWEEP_STARTED else None
        if self._outbox is not None:
            self._outbox.put(event)

    def close(self, timeout_s: float | None = None, *, outage_s: float = OUTAGE_S) -> bool:
        """Deliver what is left. False, with a warning, where that took longer than ``timeout_s``: by default a minute, and
        what the upload of the front's checkpoints may take.

        While the server does not answer, it is waited for ``outage_s`` only: nothing is lost.

        A sweep that did not say how it ended has failed: no run is left RUNNING for ever.
        """
        if self._outbox is None:
            return True
        if self._open_since is not None:
            failed = {"state": "failed"}
            self._outbox.put(Event(sequence=0, time=time.time(), kind=Kind.SWEEP_ENDED, data=failed))
        allowed_s = FLUSH_S + _upload_s(self._space) if timeout_s is None else timeout_s
        left = self._outbox.close(allowed_s, outage_s=outage_s)
        if left:
            logger.warning(
                "%d tracking records could not be delivered to %s; they are kept in %s and delivered by: explorer resume %s",
                left,
                without_password(self.uri),
                self._space.folder / SPOOL_FILE,
                self._space.folder,
            )
        return left == 0

    def _deliver(self, events: list[Event]) -> None:
        self._open().apply(events)

    def _idle(self) -> None:
        self._open().refresh_front()

    def _open(self) -> Projection:
        if self._projection is None:
            space = self._space
            runs = Runs(
                uri=self.uri,
                experiment=space.member_of or space.name,
                name=space.name,
                sweep_id=sweep_id(space.folder),
                artifacts=artifacts_location(self.uri, space.folder.with_name(space.member_of or space.name)),
            )
            self._projection = Projection(space, runs)
        return self._projection


def _upload_s(space: SearchSpace) -> float:
    """Seconds that the front's checkpoints may take to be copied and uploaded as models."""
    from explorer.browse import Front

    try:
        files = {point.checkpoint for point in Front.load(space.folder).points}
    except UserError:  # nothing was begun
        return 0.0
    return sum(file.stat().st_size for file in files if file.is_file()) / UPLOAD_BYTES_A_S


def _event(record: Mapping[str, Any]) -> Event:
    return Event(**{**record, "kind": Kind(record["kind"])})
