"""One trial of a sweep: a feather-weight Tune function that asks for stages and waits for them. No torch in its process."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import ray
from ray import tune

from explorer.errors import StageFailed
from explorer.fronts import OperatingPoint, front
from explorer.run.entry import State
from explorer.run.jobs import Outcome
from explorer.search.book import REACHED
from explorer.search.scheduler import at_rung, passed_by
from explorer.search.searcher import REASON, TRIAL_ATTRS, TRIAL_STATE
from explorer.spec.fork import Fork
from explorer.spec.plan import chain, own_chain, trial_rungs
from explorer.spec.rungs import Rung
from explorer.spec.space import SearchSpace
from explorer.store import Store
from trainables.contract import StageJob

WAIT_S = 60.0


def run_trial(config: Mapping[str, Any], *, space: SearchSpace, queue: Any) -> None:
    """Train the stages of ``config["params"]`` and report once how the trial ended, and before that at each rung.

    It never raises for what a stage did: a failed trial reports so, with the reason, and the sweep goes on. Where it is paused or
    stopped, Tune leaves it inside the report.
    """
    try:
        fork = Fork.of(config)
        jobs = chain(space, config["params"], fork)
        for rung in trial_rungs(space, config["params"]):
            if fork is not None and rung.epochs is not None:
                tune.report(passed_by(rung))
            else:
                tune.report(_at_rung(space, jobs, rung, queue, config["number"]))
        result: dict[str, Any] = {**_measured(space, jobs, queue, config["number"]), TRIAL_STATE: "COMPLETE"}
        if space.measures_fronts:
            result[TRIAL_ATTRS] = json.dumps({REACHED: reached(space, jobs)})
    except Exception as error:
        message = str(error) if isinstance(error, StageFailed) else f"{type(error).__name__}: {error}"
        result = {TRIAL_STATE: "FAIL", TRIAL_ATTRS: json.dumps({REASON: message})}
    tune.report(result)


def subscriber(number: int) -> str:
    """Under which name trial ``number`` asks the queue for stages."""
    return f"trial-{number}"


def measure(space: SearchSpace, last: StageJob) -> dict[str, float]:
    """The objectives of a trial: the last stage's last epoch with its knobs at their defaults, on validation.

    ``gflops`` are GMACs a video by the full convention.
    """
    points = [p for p in Store(space.store_folder).points(last.key) if p["selection"] == "default"]
    if not points:
        raise StageFailed(f"stage {last.stage} was trained but not measured: it has no operating point")
    val = max(points, key=lambda point: point["epoch"])["val"]
    return {"accuracy": val["accuracy"], "gflops": val["gflops"]["full"]}


def reached(space: SearchSpace, jobs: Sequence[StageJob]) -> dict[str, list[Any]]:
    """The front of a trial's own points, on validation: accuracy, GFLOPs by the full convention and knobs of each."""
    store = Store(space.store_folder)
    own = own_chain(jobs).values()  # not what a fork's parent reached
    points = front(OperatingPoint.from_dict(raw) for key in own for raw in store.points(key))
    return {
        "accuracy_P": [point.val.accuracy for point in points],
        "gflops_P": [point.val.gflops["full"] for point in points],
        "knobs_P": [dict(point.knobs) for point in points],
    }


def _at_rung(
    space: SearchSpace, jobs: Sequence[StageJob], rung: Rung, queue: Any, number: int
) -> Mapping[str, Any]:
    """Train ``jobs`` as far as ``rung``; what the trial reports there."""
    place = max(i for i, job in enumerate(jobs) if job.stage == rung.stage)  # of a fork: its own
    needed, job = jobs[: place + 1], jobs[place]
    _train(needed, queue, number=number, until={} if rung.epochs is None else {job.key: rung.epochs})
    epochs = max(1, job.epochs) if rung.epochs is None else rung.epochs  # what trains nothing is measured once
    now, before = (_epoch_metrics(space, job, epoch, queue) for epoch in (epochs - 1, epochs - 2))
    if now is None:
        raise StageFailed(f"stage {job.stage} measured nothing after {epochs} epochs: it cannot be compared there")
    assert space.early_stopping is not None
    values = {"accuracy": now["val.accuracy"], "gflops": now["val.gflops.full"]}
    settled = rung.epochs is None or before is None or _rate_change(before, now) <= space.early_stopping.settled
    passes = job.training_passes * epochs // max(1, job.epochs)
    return at_rung(rung, [values[metric] for metric in space.objectives], settled=settled, passes=passes)


def _epoch_metrics(space: SearchSpace, job: StageJob, epoch: int, queue: Any) -> Mapping[str, float] | None:
    """What an epoch (from 0) of a stage measured, also of one that another sweep has trained."""
    if epoch < 0:
        return None
    told: Mapping[str, float] | None = ray.get(queue.metrics.remote(job.key, epoch))
    store = Store(space.store_folder)
    if told is None and store.has(job.key):
        history: Sequence[Mapping[str, float]] = store.stage_info(job.key)["metrics"]
        told = history[epoch] if epoch < len(history) else None
    return told


def _rate_change(before: Mapping[str, float], now: Mapping[str, float]) -> float:
    """The largest change of a site's selection rate between two epochs."""
    rates = [name for name in now if name.startswith("val.rate.") and name in before]
    return max((abs(now[name] - before[name]) for name in rates), default=0.0)


def _measured(space: SearchSpace, jobs: Sequence[StageJob], queue: Any, number: int) -> dict[str, float]:
    """Train ``jobs`` and measure; once more where the checkpoint was damaged in between."""
    _train(jobs, queue, number=number)
    if not Store(space.store_folder).has(jobs[-1].key):
        _train(jobs, queue, number=number)
    return measure(space, jobs[-1])


def _train(jobs: Sequence[StageJob], queue: Any, *, number: int, until: Mapping[str, int] | None = None) -> None:
    """Wait until ``jobs`` are trained; those in ``until`` (key -> epochs) only so far."""
    ray.get(queue.submit.remote(jobs, subscriber(number), number, until))
    keys = [job.key for job in jobs]
    while True:
        outcomes: Mapping[str, Outcome] | None = ray.get(queue.wait.remote(keys, WAIT_S, until))
        if outcomes is None:
            raise StageFailed("the sweep was stopped")
        if len(outcomes) < len(jobs):  # the queue's process died and knows only what runs
            ray.get(queue.submit.remote(jobs, subscriber(number), number, until))
            continue
        for job in jobs:
            outcome = outcomes[job.key]
            if outcome.state in (State.FAILED, State.CANCELLED):
                error = outcome.error or outcome.state.value
                raise StageFailed(error if error.startswith("stage ") else f"stage {job.stage} failed: {error}")
        if all(outcomes[key].reached((until or {}).get(key)) for key in keys):
            return
