"""How far a sweep is, worked out from its events alone. Pure: the command line draws it, the driver stores it."""

from __future__ import annotations

import json
import os
import socket
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from explorer.run.events import Event

PROGRESS_FILE = "progress.json"


def elapsed_before(folder: Path) -> float:
    """Seconds that earlier runs of the sweep in ``folder`` took."""
    try:
        return float(json.loads((folder / PROGRESS_FILE).read_text())["elapsed_seconds"])
    except (OSError, ValueError, KeyError):
        return 0.0


@dataclass(frozen=True, kw_only=True)
class RunningStage:
    """A stage that trains now. ``done`` of ``epochs``."""

    key: str
    stage: str
    slot: str
    done: int
    epochs: int


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """How far a sweep is at a moment. ``remaining_s`` None = nothing to go by yet; ``trials_planned`` None = no limit.

    ``trials``: number of trials by state (running, paused, complete, pruned, failed, interrupted). Epochs are those of distinct
    stages, trained or still to be trained; stages that the store had before the sweep began are not counted, nor what is left of
    paused ones.
    """

    name: str
    state: str  # running | finished | interrupted | failed
    trials: Mapping[str, int]
    trials_planned: int | None
    stages: Mapping[str, int]  # number of stages by state
    running: tuple[RunningStage, ...]
    epochs_done: int
    epochs_planned: int
    elapsed_s: float
    remaining_s: float | None

    def to_json(self, now: float) -> dict[str, Any]:
        """What ``progress.json`` holds: with who writes it, so that a reader can tell whether that process lives."""
        return {
            "name": self.name,
            "state": self.state,
            "trials": dict(self.trials),
            "trials_planned": self.trials_planned,
            "stages": dict(self.stages),
            "epochs_done": self.epochs_done,
            "epochs_planned": self.epochs_planned,
            "elapsed_seconds": round(self.elapsed_s, 1),
            "remaining_seconds": None if self.remaining_s is None else round(self.remaining_s, 1),
            "updated": now,
            "pid": os.getpid(),
            "host": socket.gethostname(),
        }


@dataclass(kw_only=True)
class _Stage:
    stage: str
    epochs: int
    done: int = 0
    state: str = "waiting"
    slot: str = ""


@dataclass(kw_only=True)
class Progress:
    """An observer that adds events up. ``snapshot`` may be called from another thread."""

    name: str = ""
    state: str = "running"
    started: float | None = None
    ended: float | None = None
    before_s: float = 0.0  # what earlier runs of the sweep took
    slots: int = 1
    trials_planned: int | None = None
    own_epochs: Mapping[str, float] = field(default_factory=dict)
    trials: Counter[str] = field(default_factory=Counter)
    _stages: dict[str, _Stage] = field(default_factory=dict)
    _reused: int = 0
    _paused: set[int | None] = field(default_factory=set)  # trials
    _epoch_s: dict[str, list[float]] = field(default_factory=dict)  # stage name -> [sum, count]

    def on_event(self, event: Event) -> None:
        handler = getattr(self, f"_on_{event.kind.value}", None)
        if handler is not None:
            handler(event)

    def snapshot(self, now: float) -> Snapshot:
        """How far the sweep is at ``now`` (seconds since the epoch)."""
        stages = list(self._stages.items())
        counted = [s for _, s in stages if s.state not in ("failed", "cancelled", "paused")]
        done = sum(s.done for _, s in stages)
        to_come = self._to_come()
        planned = done + sum(s.epochs - s.done for s in counted) + round(sum(to_come.values()))
        states = Counter(s.state for _, s in stages)
        return Snapshot(
            name=self.name,
            state=self.state,
            trials={state: count for state, count in self.trials.items() if count or state != "paused"},
            trials_planned=self.trials_planned,
            stages={**states, "reused": self._reused},
            running=tuple(
                RunningStage(key=key, stage=s.stage, slot=s.slot, done=s.done, epochs=s.epochs)
                for key, s in stages
                if s.state == "running"
            ),
            epochs_done=done,
            epochs_planned=planned,
            elapsed_s=self.before_s + ((self.ended or now) - self.started if self.started else 0.0),
            remaining_s=self._remaining_s(counted, to_come),
        )

    # --- what is still to come ----------------------------------------------------------------------------------------

    def _to_come(self) -> dict[str, float]:
        """Stage name -> epochs of the trials that have not been asked for yet."""
        if self.trials_planned is None or self.state == "finished":
            return {}
        left = max(0, self.trials_planned - sum(self.trials.values()))
        return {stage: epochs * left for stage, epochs in self.own_epochs.items()}

    def _remaining_s(self, counted: list[_Stage], to_come: Mapping[str, float]) -> float | None:
        if self.state == "finished":
            return 0.0
        if not self._epoch_s or self.trials_planned is None:
            return None
        left: Counter[str] = Counter()
        for stage in counted:
            left[stage.stage] += stage.epochs - stage.done
        for name, epochs in to_come.items():
            left[name] += epochs  # type: ignore[assignment]
        total_s = sum(epochs * self._seconds_an_epoch(name) for name, epochs in left.items())
        return total_s / max(1, self.slots)

    def _seconds_an_epoch(self, stage: str) -> float:
        known = [self._epoch_s[stage]] if stage in self._epoch_s else list(self._epoch_s.values())
        return sum(seconds for seconds, _ in known) / sum(count for _, count in known)

    # --- events -------------------------------------------------------------------------------------------------------

    def _on_sweep_started(self, event: Event) -> None:
        data = event.data
        self.name, self.slots, self.trials_planned = data["name"], data["slots"], data["trials"]
        self.own_epochs, self.before_s, self.started = data["own_epochs"], data["elapsed_s"], event.time
        self.trials.update(data["ended"])
        for key, stage in data["done"].items():
            epochs = stage["epochs"]
            self._stages[key] = _Stage(stage=stage["stage"], epochs=epochs, done=epochs, state="done")

    def _on_sweep_ended(self, event: Event) -> None:
        self.state, self.ended = event.data["state"], event.time
        for stage in self._stages.values():
            if stage.state == "running":
                stage.state = "interrupted"
        if self.trials["running"]:  # they run again when the sweep goes on
            self.trials["interrupted"] = self.trials.pop("running")

    def _on_stage_submitted(self, event: Event) -> None:
        assert event.key is not None and event.stage is not None
        known = self._stages.get(event.key)  # after the queue's process died, what waits is submitted again
        self._stages[event.key] = _Stage(
            stage=event.stage, epochs=event.data["job"]["epochs"], done=known.done if known else 0
        )

    def _on_stage_reused(self, event: Event) -> None:
        if event.key not in self._stages:
            self._reused += 1

    def _on_stage_started(self, event: Event) -> None:
        self._set(event, "running", slot=event.data["slot"])

    def _on_stage_epoch(self, event: Event) -> None:
        stage = self._stages[event.key or ""]
        stage.done = min(event.data["epoch"] + 1, stage.epochs)  # a stage that trains nothing reports its measuring once
        sums = self._epoch_s.setdefault(stage.stage, [0.0, 0.0])
        sums[0] += event.data["seconds"]
        sums[1] += 1

    def _on_stage_finished(self, event: Event) -> None:
        self._set(event, "done")
        stage = self._stages[event.key or ""]
        stage.done = stage.epochs

    def _on_stage_paused(self, event: Event) -> None:
        self._set(event, "paused")
        stage = self._stages[event.key or ""]
        stage.done = max(stage.done, event.data["epochs"])  # an earlier run of the sweep may have trained them

    def _on_stage_retried(self, event: Event) -> None:
        self._set(event, "waiting")

    def _on_stage_failed(self, event: Event) -> None:
        self._set(event, "failed")

    def _on_stage_cancelled(self, event: Event) -> None:
        self._set(event, "cancelled")

    def _set(self, event: Event, state: str, slot: str = "") -> None:
        stage = self._stages[event.key or ""]
        stage.state, stage.slot = state, slot

    def _on_trial_started(self, event: Event) -> None:
        self.trials["running"] += 1

    def _on_trial_finished(self, event: Event) -> None:
        self._trial_ended("complete")

    def _on_trial_failed(self, event: Event) -> None:
        self._trial_ended("failed")

    def _on_trial_paused(self, event: Event) -> None:
        self.trials["running"] -= 1
        self.trials["paused"] += 1
        self._paused.add(event.trial)

    def _on_trial_promoted(self, event: Event) -> None:
        self._wake(event)

    def _on_trial_pruned(self, event: Event) -> None:
        self._wake(event)
        self._trial_ended("pruned")

    def _wake(self, event: Event) -> None:
        if event.trial in self._paused:
            self._paused.remove(event.trial)
            self.trials["paused"] -= 1
            self.trials["running"] += 1

    def _trial_ended(self, state: str) -> None:
        self.trials["running"] -= 1
        self.trials[state] += 1
