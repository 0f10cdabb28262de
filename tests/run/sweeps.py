"""Toy sweeps for the tests of this folder, and a listener."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from explorer.run.events import Event, Kind
from explorer.spec.load import load_space
from explorer.spec.space import SearchSpace


def toy(storage: Path, *overrides: str) -> SearchSpace:
    """The packaged toy search space, its results below ``storage``, MLflow off."""
    return load_space("toy", [f"storage={storage}", "tracking=none", "baselines=[]", *overrides])


class Recorder:
    """Keeps every event; ``hook`` may interfere."""

    def __init__(self, hook: Callable[[Event], None] = lambda event: None) -> None:
        self.events: list[Event] = []
        self._hook = hook

    def on_event(self, event: Event) -> None:
        self.events.append(event)
        self._hook(event)

    def of(self, kind: Kind, stage: str | None = None) -> list[Event]:
        return [e for e in self.events if e.kind is kind and stage in (None, e.stage)]
