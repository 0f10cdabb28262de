"""What the driver knows of the queue, so that a queue whose process died is opened again where it was. No Ray here.

The queue answers a worker only when the driver has read the event that the answer rests on, so nothing that a worker was told
is missing from here, except its latest epoch, which it tells again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from explorer.run.events import Event, Kind
from trainables.contract import StageJob

_ENDS = (Kind.STAGE_RETRIED, Kind.STAGE_PAUSED, Kind.STAGE_FINISHED, Kind.STAGE_FAILED, Kind.STAGE_CANCELLED)


@dataclass(frozen=True, kw_only=True)
class Held:
    """A job that a worker trains."""

    job: StageJob
    worker: str
    started: float


@dataclass(frozen=True, kw_only=True)
class Known:
    """What a queue begins with; nothing for the first one.

    ``sequence``: number of the last event that was read. ``workers``: slot -> worker that serves it. ``running``: by key.
    ``metrics``: key -> epoch -> what was told of it. ``errors``: key -> failed attempts by signature.
    """

    sequence: int = 0
    workers: Mapping[str, str] = field(default_factory=dict)
    running: Mapping[str, Held] = field(default_factory=dict)
    metrics: Mapping[str, Mapping[int, Mapping[str, float]]] = field(default_factory=dict)
    errors: Mapping[str, Mapping[str, int]] = field(default_factory=dict)


class Recovery:
    """Adds up events to a :class:`Known`. ``sequence``: number of the last one."""

    def __init__(self) -> None:
        self.sequence = 0
        self._workers: dict[str, str] = {}
        self._running: dict[str, Held] = {}
        self._metrics: dict[str, dict[int, Mapping[str, float]]] = {}
        self._errors: dict[str, dict[str, int]] = {}

    def on_event(self, event: Event) -> None:
        self.sequence = event.sequence
        data, key = event.data, event.key or ""
        if event.kind is Kind.GROUP_STARTED:
            self._workers[data["slot"]] = data["worker"]
        elif event.kind is Kind.GROUP_LOST:
            self._workers.pop(data["slot"], None)
        elif event.kind is Kind.STAGE_STARTED:
            self._running[key] = Held(job=StageJob(**data["job"]), worker=data["worker"], started=event.time)
        elif event.kind is Kind.STAGE_EPOCH:
            self._metrics.setdefault(key, {})[int(data["epoch"])] = data["metrics"]
            self._errors.pop(key, None)
        elif event.kind in _ENDS:
            self._running.pop(key, None)
            if event.kind is Kind.STAGE_RETRIED:
                counts = self._errors.setdefault(key, {})
                counts[data["signature"]] = counts.get(data["signature"], 0) + 1
            elif event.kind is Kind.STAGE_FINISHED:
                self._metrics.pop(key, None)

    @property
    def running(self) -> bool:
        """Whether a worker trains anything, as far as was read."""
        return bool(self._running)

    def known(self) -> Known:
        """What is known now; not changed by later events."""
        errors: Mapping[str, Any] = {key: dict(counts) for key, counts in self._errors.items()}
        return Known(
            sequence=self.sequence,
            workers=dict(self._workers),
            running=dict(self._running),
            metrics={key: dict(metrics) for key, metrics in self._metrics.items()},
            errors=errors,
        )
