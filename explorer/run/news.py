"""What happens in a sweep, in words: one line an event, for terminals and logs. No Ray here."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path

from explorer.run.events import Event, Kind
from explorer.run.progress import Progress
from explorer.search.aim import AIM, Aim
from explorer.spec.fork import Fork
from explorer.spec.rungs import Rung

LOG_FILE = "sweep.log"  # the lines of every run of the sweep


class PlainLines:
    """For logs: what finished, what failed; no line for an epoch."""

    def __init__(self, write: Callable[[str], object]) -> None:
        self._write = write
        self._progress = Progress()

    def on_event(self, event: Event) -> None:
        self._progress.on_event(event)
        text = news(event)
        if text is None:
            return
        snapshot = self._progress.snapshot(event.time)
        remaining = "" if not snapshot.remaining_s else f", about {duration(snapshot.remaining_s)} left"
        epochs = f"{snapshot.epochs_done}/{snapshot.epochs_planned} epochs"
        self._write(f"[{duration(snapshot.elapsed_s)}] {text} ({epochs}{remaining})")


def log_to(folder: Path) -> PlainLines:
    """Lines into the sweep's own log, which anyone who sees its folder can read."""

    def write(line: str) -> None:
        with (folder / LOG_FILE).open("a", encoding="utf-8") as file:
            file.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {line}\n")

    return PlainLines(write)


def news(event: Event) -> str | None:
    """What an event means for a person, or None where it is not worth a line."""
    data = event.data
    match event.kind:
        case Kind.SWEEP_STARTED:
            again = f", going on after {duration(data['elapsed_s'])}" if data["elapsed_s"] else ""
            return f"sweep {data['name']} started with {data['slots']} worker group(s){again}"
        case Kind.SWEEP_STOPPING:
            wait = "finish first" if data["grace_s"] is None else f"get {data['grace_s']:.0f} s to finish"
            return f"stopping: running epochs {wait}; Ctrl-C (once more) ends the sweep at once, without them"
        case Kind.STAGE_FINISHED:
            return f"stage {event.stage} finished in {data['seconds']:.1f} s"
        case Kind.STAGE_RETRIED:
            return f"stage {event.stage} is tried again (attempt {data['attempts']} failed: {_line(data['error'])})"
        case Kind.STAGE_FAILED:
            return f"stage {event.stage} failed: {_line(data['error'])}"
        case Kind.TRIAL_PREVIEWED:
            return _previewed(event)
        case Kind.TRIAL_STARTED:
            fork = Fork.of(data)
            forked = "" if fork is None else f", forked from trial {fork.trial}"
            return f"trial {event.trial} is aimed at {Aim.of(data[AIM])}{forked}" if AIM in data else None
        case Kind.TRIAL_FINISHED:
            return f"trial {event.trial} finished: {_values(data['values'])}"
        case Kind.TRIAL_FAILED:
            return f"trial {event.trial} failed: {_line(data['error'])}"
        case Kind.TRIAL_PAUSED:
            return f"trial {event.trial} paused at {Rung.parse(data['rung'])}: {_values(data['values'])}"
        case Kind.TRIAL_PROMOTED:
            return f"trial {event.trial} goes on beyond {Rung.parse(data['rung'])}"
        case Kind.TRIAL_PRUNED:
            return f"trial {event.trial} pruned, {_line(data['reason'])}"
        case Kind.CHAIN_FINISHED:
            return f"{data['name']} finished"
        case Kind.CHAIN_FAILED:
            return f"{data['name']} failed: {_line(data['error'])}"
        case Kind.GROUP_LOST:
            return f"the worker group of {data['slot']} died and starts again"
        case Kind.SWEEP_ENDED:
            how = " at once, without its running epochs" if data.get("at_once") else ""
            return f"sweep {data['state']}{how}"
    return None


def duration(seconds: float) -> str:
    """``75`` -> ``1:15``; ``3675`` -> ``1:01:15``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _previewed(event: Event) -> str:
    data, agreed = event.data, event.data["agreement"]
    tau = ", ".join(f"{metric} {value:.2f}" for metric, value in agreed["tau"].items())
    over = f"; Kendall's tau over {agreed['trials']} finished trials: {tau}" if agreed["trials"] > 1 else ""
    failed = f" ({data['failed']} failed)" if data["failed"] else ""
    if not agreed["trusted"]:
        return f"trial {event.trial}: previews do not predict here and choose nothing{over}"
    return f"trial {event.trial}: the best of {data['candidates']} previewed proposals{failed}{over}"


def _values(values: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:.4g}" for name, value in values.items())


def _line(text: str, width: int = 160) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= width else f"{flat[: width - 3]}..."
