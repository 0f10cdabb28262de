"""Toy sweeps for the tests of this folder, a listener, processes and ports."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path

from explorer.run.events import Event, Kind
from explorer.spec.load import load_space
from explorer.spec.space import SearchSpace

ROOT = Path(__file__).resolve().parents[2]


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


def wait_for_end(processes: Mapping[int, str], *, seconds: float) -> None:
    """Wait until none of ``processes`` (id -> command line) is left."""
    deadline = time.monotonic() + seconds
    while left := [name for pid, name in processes.items() if _cmdline(pid) == name]:
        assert time.monotonic() < deadline, f"still running: {left}"
        time.sleep(0.2)


def free_ports(count: int) -> list[int]:
    """So many ports of loopback that nobody listens on."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for free in sockets:
            free.bind(("127.0.0.1", 0))
        return [free.getsockname()[1] for free in sockets]


def _cmdline(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""
