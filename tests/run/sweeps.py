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


def descendants(root: int) -> dict[int, str]:
    """Process id -> command line of all processes below ``root``."""
    parents: dict[int, int] = {}
    commands: dict[int, str] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            stat = (folder / "stat").read_text()
            command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        fields = stat[stat.rindex(")") + 2 :].split()
        if fields[0] != "Z":
            parents[int(folder.name)] = int(fields[1])
            commands[int(folder.name)] = command
    found: dict[int, str] = {}
    below = {root}
    while below:
        below = {pid for pid, parent in parents.items() if parent in below}
        found |= {pid: commands[pid] for pid in below}
    return found
