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
from explorer.run.progress import Progress, Snapshot

_SHOWN_RUNNING = 8  # rows of running stages: a large cluster would fill the screen
_SHOWN_NEWS = 4


@contextmanager
def display(stream: TextIO = sys.stderr) -> Iterator[Observer]:
    """An observer that shows the progress of a sweep for as long as the context lasts."""
    if not stream.isatty():
        yield PlainLines(stream)
        return
    panel = LivePanel()
    with Live(console=Console(file=stream), get_renderable=panel.render, refresh_per_second=4, transient=True):
        yield panel


class PlainLines:
    """For logs: what finished, what failed; no line for an epoch."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._progress = Progress()

    def on_event(self, event: Event) -> None:
        self._progress.on_event(event)
        text = news(event)
        if text is None:
            return
        snapshot = self._progress.snapshot(event.time)
        remaining = "" if not snapshot.remaining_s else f", about {duration(snapshot.remaining_s)} left"
        epochs = f"{snapshot.epochs_done}/{snapshot.epochs_planned} epochs"
        print(f"[{duration(snapshot.elapsed_s)}] {text} ({epochs}{remaining})", file=self._stream, flush=True)


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


def news(event: Event) -> str | None:
    """What an event means for a person, or None where it is not worth a line."""
    data = event.data
    match event.kind:
        case Kind.SWEEP_STARTED:
            again = f", going on after {duration(data['elapsed_s'])}" if data["elapsed_s"] else ""
            return f"sweep {data['name']} started with {data['slots']} worker group(s){again}"
        case Kind.SWEEP_STOPPING:
            return f"stopping: running epochs get {data['grace_s']:.0f} s to end; Ctrl-C again leaves at once"
        case Kind.STAGE_FINISHED:
            return f"stage {event.stage} finished in {data['seconds']:.1f} s"
        case Kind.STAGE_RETRIED:
            return f"stage {event.stage} is tried again (attempt {data['attempts']} failed: {_line(data['error'])})"
        case Kind.STAGE_FAILED:
            return f"stage {event.stage} failed: {_line(data['error'])}"
        case Kind.TRIAL_FINISHED:
            values = ", ".join(f"{name} {value:.4g}" for name, value in data["values"].items())
            return f"trial {event.trial} finished: {values}"
        case Kind.TRIAL_FAILED:
            return f"trial {event.trial} failed: {_line(data['error'])}"
        case Kind.CHAIN_FINISHED:
            return f"{data['name']} finished"
        case Kind.CHAIN_FAILED:
            return f"{data['name']} failed: {_line(data['error'])}"
        case Kind.GROUP_LOST:
            return f"the worker group of {data['slot']} died and starts again"
        case Kind.SWEEP_ENDED:
            return f"sweep {data['state']}"
    return None


def duration(seconds: float) -> str:
    """``75`` -> ``1:15``; ``3675`` -> ``1:01:15``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _line(text: str, width: int = 160) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= width else f"{flat[: width - 3]}..."


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
