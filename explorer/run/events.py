"""What happens during a sweep, as a numbered list of events, and who listens. No Ray here.

The queue of stage jobs writes the list; the driver reads it and hands each event to every observer, in order, in one
thread. The MLflow tracker and the progress display are observers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol


class Kind(StrEnum):
    """Every kind of event, with the fields of its ``data``.

    A *stage* event has ``key`` and ``stage`` set; a *trial* event has ``trial`` set (the Optuna number), the event of a
    named *chain* (a baseline, a row of a table) ``data["name"]``.
    """

    # name, folder, slots, trials (the budget or None); of a resumed sweep: ended {state: trials}, done {key: {stage,
    # epochs}}, elapsed_s; own_epochs {stage: epochs that each further trial trains for itself}
    SWEEP_STARTED = "sweep_started"
    SWEEP_STOPPING = "sweep_stopping"  # grace_s: interrupted, and waiting so long (None: as long as it takes) for epochs to end
    SWEEP_ENDED = "sweep_ended"  # state: finished | interrupted | failed; at_once, if so

    STAGE_SUBMITTED = "stage_submitted"  # job: dict of the StageJob; once for each key
    STAGE_REUSED = "stage_reused"  # job: the store already had it when it was first asked for: nothing to train
    STAGE_STARTED = "stage_started"  # job, slot, worker; again after a retry
    STAGE_EPOCH = "stage_epoch"  # epoch (from 0), epochs, metrics: {name: float}, seconds
    STAGE_FINISHED = "stage_finished"  # seconds
    STAGE_PAUSED = "stage_paused"  # epochs: so many are done, and nobody wants more for now; STAGE_STARTED when somebody does
    STAGE_RETRIED = "stage_retried"  # error, trace, attempts, signature: it goes back to the queue
    STAGE_FAILED = "stage_failed"  # error, trace: it will not be tried again
    STAGE_CANCELLED = "stage_cancelled"  # nobody waits for it any more

    # candidates: previewed for it, failed: how many of them, agreement: {trials, tau, low, trusted} (explorer/search/previews.py)
    TRIAL_PREVIEWED = "trial_previewed"
    TRIAL_STARTED = "trial_started"  # params, chain: {stage: key}; like every event of a trial: aim and fork, where it has them
    TRIAL_FINISHED = "trial_finished"  # params, chain, values: {objective: float}
    TRIAL_FAILED = "trial_failed"  # params, chain, error
    TRIAL_PAUSED = "trial_paused"  # params, chain, rung: STAGE or STAGE:EPOCHS, values: {objective: float} there
    TRIAL_PROMOTED = "trial_promoted"  # params, chain, rung: it goes on beyond it
    TRIAL_PRUNED = "trial_pruned"  # params, chain, rung, reason

    GROUP_STARTED = "group_started"  # slot, worker: a worker group is up (again)
    GROUP_LOST = "group_lost"  # slot, error, failed_starts: its process died; Ray Train starts it again

    CHAIN_FINISHED = "chain_finished"  # name, chain
    CHAIN_FAILED = "chain_failed"  # name, chain, error


@dataclass(frozen=True, kw_only=True)
class Event:
    """One thing that happened. ``sequence`` counts from 1 without gaps; ``time`` is seconds since the epoch (UTC)."""

    sequence: int
    time: float
    kind: Kind
    key: str | None = None
    stage: str | None = None
    trial: int | None = None
    data: Mapping[str, Any] = field(default_factory=dict)


class Observer(Protocol):
    """Someone who listens to a sweep. One that raises is reported and not called again; the sweep goes on."""

    def on_event(self, event: Event) -> None:
        """Called for each event in order, always from the same thread of the driver."""
