"""Progress of a sweep on stderr: a live panel on a terminal, one line for each finished stage or trial elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from explorer.errors import UserError
from explorer.run.events import Event, Kind, Observer
from explorer.run.news import PlainLines, duration, news
from explorer.run.progress import Progress, Snapshot

_SHOWN_RUNNING = 8  # rows of running stages: a large cluster would fill the screen
_SHOWN_NEWS = 4


@contextmanager
def display(stream: TextIO = sys.stderr) -> Iterator[Observer]:
    """An observer that shows the progress of a sweep for as long as the context lasts."""
    if not stream.isatty():
        yield PlainLines(lambda line: print(line, file=stream, flush=True))
        return
    panel = LivePanel()
    with Live(console=Console(file=stream), get_renderable=panel.render, refresh_per_second=4, transient=True):
        yield panel


class LivePanel:
    """For terminals: trials, stages, epochs, times and the latest news."""

    def __init__(self) -> None:
        self._progress = Progress()
        self._hypervolume = _Hypervolume()
        self._news: list[str] = []

    def on_event(self, event: Event) -> None:
        self._progress.on_event(event)
        self._hypervolume.on_event(event)
        if (text := news(event)) is not None:
            self._news = [*self._news, text][-_SHOWN_NEWS:]

    def render(self) -> RenderableType:
        snapshot = self._progress.snapshot(time.time())
        if self._progress.started is None:
            return Text("starting Ray ...", style="dim")
        head = Text.assemble(
            (snapshot.name, "bold"),
            f"  {_trials(snapshot)}  |  {_stages(snapshot.stages)}  |  {_times(snapshot)}{self._hypervolume}",
        )
        bars = Table.grid(padding=(0, 1))
        bars.add_row("all epochs", _bar(snapshot.epochs_done, snapshot.epochs_planned), _ratio(snapshot))
        for stage in snapshot.running[:_SHOWN_RUNNING]:
            bars.add_row(Text(f"  {stage.stage}"), _bar(stage.done, stage.epochs), f"{stage.done}/{stage.epochs}")
        hidden = len(snapshot.running) - _SHOWN_RUNNING
        if hidden > 0:
            bars.add_row(Text(f"  and {hidden} more"), "", "")
        if not snapshot.running and snapshot.state == "running" and snapshot.epochs_done == 0:
            bars.add_row(Text("  worker groups are starting ...", style="dim"), "", "")
        return Group(head, bars, *(Text(f"  {line}", style="dim") for line in self._news))


class _Hypervolume:
    """Of the front so far. Reading the front takes a while in a large sweep: at most a twentieth of the time."""

    def __init__(self) -> None:
        self._folder: Path | None = None
        self._value: float | None = None
        self._next_at = 0.0

    def on_event(self, event: Event) -> None:
        if event.kind is Kind.SWEEP_STARTED:
            self._folder = Path(event.data["folder"])
        began = time.monotonic()
        if event.kind is not Kind.TRIAL_FINISHED or self._folder is None or began < self._next_at:
            return
        from explorer.browse import Front

        with suppress(OSError, UserError):  # a number to look at is not worth a sweep's display
            self._value = Front.load(self._folder).hypervolume
        self._next_at = began + 20 * (time.monotonic() - began)

    def __str__(self) -> str:
        return "" if self._value is None else f"  |  hypervolume {self._value:.4f}"


def _trials(snapshot: Snapshot) -> str:
    of = f"/{snapshot.trials_planned}" if snapshot.trials_planned else ""
    parts = [f"{snapshot.trials.get('complete', 0)}{of} trials done"]
    parts += [f"{count} {state}" for state, count in snapshot.trials.items() if state != "complete" and count]
    return ", ".join(parts)


def _stages(stages: Mapping[str, int]) -> str:
    return "stages: " + ", ".join(f"{count} {state}" for state, count in sorted(stages.items()) if count)


def _times(snapshot: Snapshot) -> str:
    left = "?" if snapshot.remaining_s is None else duration(snapshot.remaining_s)
    return f"{duration(snapshot.elapsed_s)} elapsed, about {left} left"


def _ratio(snapshot: Snapshot) -> str:
    return f"{snapshot.epochs_done}/{snapshot.epochs_planned}"


def _bar(done: float, total: float) -> ProgressBar:
    return ProgressBar(total=max(1, total), completed=done, width=40)
