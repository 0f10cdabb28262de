"""The observer that keeps MLflow up to date while a sweep runs."""

from __future__ import annotations

import logging
import os
import time
import uuid
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from explorer.run.events import Event, Kind
from explorer.tracking.outbox import Outbox
from explorer.tracking.projection import Projection
from explorer.tracking.runs import Runs, is_final
from explorer.tracking.spool import Spool

if TYPE_CHECKING:
    from explorer.spec import SearchSpace

logger = logging.getLogger(__name__)

FLUSH_S, OUTAGE_S = 60.0, 5.0
SPOOL_FILE = "tracking.spool"
ID_FILE = "tracking_id"
_SQLITE = "sqlite:///"
# Creating the database takes MLflow seconds and tells every migration of it.
_CHATTY = ("alembic", "mlflow.store.db.utils")


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

    def close(self, timeout_s: float = FLUSH_S, *, outage_s: float = OUTAGE_S) -> bool:
        """Deliver what is left. False, with a warning, where that took longer than ``timeout_s``.

        While the server does not answer, it is waited for ``outage_s`` only: nothing is lost.

        A sweep that did not say how it ended has failed: no run is left RUNNING for ever.
        """
        if self._outbox is None:
            return True
        if self._open_since is not None:
            failed = {"state": "failed"}
            self._outbox.put(Event(sequence=0, time=time.time(), kind=Kind.SWEEP_ENDED, data=failed))
        left = self._outbox.close(timeout_s, outage_s=outage_s)
        if left:
            logger.warning(
                "%d tracking records could not be delivered to %s; they are kept in %s and delivered by: explorer resume %s",
                left,
                _without_password(self.uri),
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
            for name in _CHATTY:
                logging.getLogger(name).setLevel(logging.WARNING)
            if self.uri.startswith(_SQLITE):
                Path(self.uri.removeprefix(_SQLITE)).parent.mkdir(parents=True, exist_ok=True)
            space = self._space
            runs = Runs(
                uri=self.uri,
                experiment=space.name,
                name=space.name,
                sweep_id=sweep_id(space.folder),
                artifacts=space.folder / "mlflow",
            )
            self._projection = Projection(space, runs)
        return self._projection


def _event(record: Mapping[str, Any]) -> Event:
    return Event(**{**record, "kind": Kind(record["kind"])})


def tracking_uri(space: SearchSpace) -> str:
    """Where ``space`` is tracked: what it says, else ``MLFLOW_TRACKING_URI``, else a database beside the sweeps.

    Empty where tracking is off (``tracking: none``, or an empty ``MLFLOW_TRACKING_URI``).
    """
    uri = space.tracking or os.environ.get(
        "MLFLOW_TRACKING_URI", f"{_SQLITE}{space.folder.parent.absolute()}/mlflow.db"
    )
    return "" if uri.lower() in ("none", "off") else uri


def sweep_id(folder: Path) -> str:
    """What tells this sweep from others of its name on the same server; made once and kept in its folder."""
    file = folder / ID_FILE
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with file.open("x") as stream:
            stream.write(uuid.uuid4().hex)
    except FileExistsError:
        pass
    return file.read_text().strip()


def _without_password(uri: str) -> str:
    """``uri`` as it may be logged."""
    scheme, separator, rest = uri.partition("://")
    return f"{scheme}{separator}***@{rest.rpartition('@')[2]}" if "@" in rest else uri
