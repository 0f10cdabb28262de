"""Where a stage job meets the store: train, measure, drop what no front can want, publish. No Ray in here."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

from explorer.fronts import OperatingPoint, front, operating_points
from explorer.store import Store
from trainables.contract import CONVENTIONS, CostTable, Json, Knob, StageJob
from trainables.kit.engine.files import epoch_folder, write_json
from trainables.kit.engine.keys import find_stage
from trainables.kit.engine.ranks import Ranks
from trainables.kit.engine.train import EpochReport, read_replay, replay_epoch, run_stage
from trainables.systems import load_system


def execute(
    job: StageJob,
    *,
    store: Store,
    cache: Path,
    on_epoch: Callable[[EpochReport], bool],
    ranks: Ranks | None = None,
) -> None:
    """Make sure that the store holds the result of ``job``: train it unless it is there.

    The parents must be in the store. An unfinished run of the same key goes on where it stopped.

    Raises:
        StageCancelled: ``on_epoch`` answered no; nothing is published.
        StageFailed: training or measuring gave no usable number.
    """
    ranks = ranks or Ranks()
    if ranks.agree(store.has(job.key)):  # one look for all: another sweep may publish between two ranks' looks
        return
    work = store.work(job.key)
    parents = {name: store.path(key) for name, key in job.parents.items()}
    result = run_stage(job, work=work, parents=parents, cache=cache, on_epoch=on_epoch, ranks=ranks)
    if ranks.first:
        _measure(job, result, cache)
        store.publish(job.key, result)
        shutil.rmtree(work, ignore_errors=True)


def _measure(job: StageJob, result: Path, cache: Path) -> None:
    """Write ``points.json``; weights of epochs that lie on no front of this stage's own candidates are dropped.

    A point that another epoch of the same stage dominates can never be on a sweep's front. The test split is measured
    for the kept epochs alone, once.
    """
    epochs = sorted(int(folder.name) for folder in (result / "epochs").glob("*"))
    if not epochs:
        return
    if not (result / "points.json").exists():  # a kill may come at any line here; what is written is whole
        write_json(result / "points.json", _all_points(job, result, epochs, cache))
    points = [OperatingPoint.from_dict(raw) for raw in json.loads((result / "points.json").read_text())]
    for epoch in set(epochs) - {point.epoch for point in points if point.test is not None}:
        (epoch_folder(result, epoch) / "weights.safetensors").unlink(missing_ok=True)


def _all_points(job: StageJob, result: Path, epochs: list[int], cache: Path) -> list[dict[str, Json]]:
    """Every candidate's points; those of the epochs worth keeping are measured on test too."""
    system = load_system(job.system)
    config = system.Config.model_validate(dict(job.config))
    stage = find_stage(system, config, job.stage)
    knobs = system.knobs(config) if stage.mode == "policy" else ()
    cost = _cost(result)
    by_epoch = {epoch: _points(job, result, epoch, knobs, cost, test=False) for epoch in epochs}
    points = [point for of_epoch in by_epoch.values() for point in of_epoch]
    kept = {epochs[-1]} | {point.epoch for c in CONVENTIONS for point in front(points, convention=c)}
    for epoch in sorted(kept):
        replay_epoch(job, result, epoch, "test", cache=cache)
        by_epoch[epoch] = _points(job, result, epoch, knobs, cost, test=True)
    return [point.to_dict() for epoch in epochs for point in by_epoch[epoch]]


def _points(
    job: StageJob, result: Path, epoch: int, knobs: tuple[Knob, ...], cost: CostTable, *, test: bool
) -> list[OperatingPoint]:
    return operating_points(
        read_replay(job, result, epoch, "val"),
        read_replay(job, result, epoch, "test") if test else None,
        knobs,
        cost=cost,
        key=job.key,
        stage=job.stage,
        epoch=epoch,
    )


def _cost(result: Path) -> CostTable:
    return CostTable(**json.loads((result / "stage.json").read_text())["cost"])
