"""A stage job in the queue: where it stands, who wants it and how far."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from trainables.contract import StageJob


class State(StrEnum):
    """Where a job stands. The last three are ends. ``paused``: as far as anyone wants it for now."""

    WAITING = "waiting"
    READY = "ready"
    RUNNING = "running"
    PAUSED = "paused"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def ended(self) -> bool:
        return self in (State.DONE, State.FAILED, State.CANCELLED)


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What a subscriber wants: all of a job, or its first ``until`` epochs for now. Smaller ``priority`` is more urgent."""

    priority: int = 0
    until: int | None = None


@dataclass(kw_only=True)
class Entry:
    """``subscribers``: name -> wish. ``metrics``: epoch -> what was measured, as far as it was told."""

    job: StageJob
    order: int
    subscribers: dict[str, Wish] = field(default_factory=dict)
    state: State = State.WAITING
    worker: str | None = None
    started: float = 0.0
    epochs_done: int = 0
    metrics: dict[int, Mapping[str, float]] = field(default_factory=dict)
    errors: Counter[str] = field(default_factory=Counter)
    error: str | None = None

    @property
    def rank(self) -> tuple[int, int]:
        """Smaller is taken sooner: the most urgent subscriber's priority, then first come, first served."""
        return min((wish.priority for wish in self.subscribers.values()), default=0), self.order

    @property
    def wanted(self) -> bool:
        """Whether somebody wants more of it than there is."""
        return any(wish.until is None or self.epochs_done < wish.until for wish in self.subscribers.values())
