"""Where a stage job meets the store: train, measure, drop what no front can want, publish. No Ray in here."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from explorer.fronts import OperatingPoint, front, operating_points
from explorer.store import Store
from trainables.contract import CONVENTIONS, PREVIEW, PREVIEW_STAGES, CostTable, StageJob
from trainables.kit.engine.files import epoch_folder, write_json
from trainables.kit.engine.keys import find_stage
from trainables.kit.engine.preview import run_preview
from trainables.kit.engine.ranks import Ranks
from trainables.kit.engine.train import EpochReport, read_replay, replay_epoch, run_stage
from trainables.systems import load_system


def execute(
    job: StageJob,
    *,
    store: Store,
    cache: Path,
    on_epoch: Callable[[EpochReport], bool],
    on_resume: Callable[[Sequence[Mapping[str, float]]], bool] = lambda history: True,
    ranks: Ranks | None = None,
) -> None:
    """Make sure that the store holds the result of ``job``: train it unless it is there. All ranks must call this.

    The parents must be in the store. An unfinished run of the same key goes on where it stopped; ``on_resume`` is told what
    its epochs measured.

    Raises:
        StageCancelled: ``on_epoch`` or ``on_resume`` answered no; nothing is published.
        StageFailed: training or measuring gave no usable number.
    """
    ranks = ranks or Ranks()
    if ranks.broadcast(store.has(job.key)):  # one look for all: another sweep may publish between two ranks' looks
        return
    work = store.work(job.key)
    parents = {name: store.path(key) for name, key in job.parents.items()}
    if job.stage in PREVIEW_STAGES:
        result = run_preview(job, work=work, parents=parents, cache=cache, ranks=ranks)
        if ranks.first:
            if job.stage == PREVIEW:
                _Candidates(job, result).write_untested()
            store.publish(job.key, result)
            shutil.rmtree(work, ignore_errors=True)
        return

    def kept(report: EpochReport) -> bool:
        store.keep(job.key)
        return on_epoch(report)

    result = run_stage(job, work=work, parents=parents, cache=cache, on_epoch=kept, on_resume=on_resume, ranks=ranks)
    _measure(job, result, cache, ranks)
    if ranks.first:
        store.publish(job.key, result)
        shutil.rmtree(work, ignore_errors=True)


def _measure(job: StageJob, result: Path, cache: Path, ranks: Ranks) -> None:
    """Write ``points.json``; weights of epochs that lie on no front of this stage's own candidates are dropped.

    A point that another epoch of the same stage dominates can never be on a sweep's front. The test split is measured
    for the kept epochs alone, once, by all ranks; the rest is the first one's.
    """
    candidates = _Candidates(job, result) if ranks.first else None
    for epoch in ranks.broadcast(candidates.to_test() if candidates else []):
        replay_epoch(job, result, epoch, "test", cache=cache, ranks=ranks)
    if candidates and candidates.epochs:
        candidates.write_points()
        candidates.drop_weights()


class _Candidates:
    """The measured epochs of a stage. A kill may come at any line; what is written is whole."""

    def __init__(self, job: StageJob, result: Path) -> None:
        system = load_system(job.system)
        config = system.Config.model_validate(dict(job.config))
        policy = find_stage(system, config, job.stage).mode == "policy"
        self._job = job
        self._result = result
        self._file = result / "points.json"
        self._knobs = system.knobs(config) if policy else ()
        self._cost = CostTable(**json.loads((result / "stage.json").read_text())["cost"])
        self.epochs = sorted(int(folder.name) for folder in (result / "epochs").glob("*"))
        self._points: dict[int, list[OperatingPoint]] = {}
        self._kept: list[int] = []

    def to_test(self) -> list[int]:
        """The epochs that a front can want, and the last; none where the points are written already."""
        if self._file.exists() or not self.epochs:
            return []
        self._points = {epoch: self._measured(epoch, test=False) for epoch in self.epochs}
        points = [point for of_epoch in self._points.values() for point in of_epoch]
        wanted = {point.epoch for c in CONVENTIONS for point in front(points, convention=c)}
        self._kept = sorted({self.epochs[-1]} | wanted)
        return self._kept

    def write_points(self) -> None:
        """Every candidate's points; those of the kept epochs with their test measurement."""
        if not self._file.exists():
            tested = self._points | {epoch: self._measured(epoch, test=True) for epoch in self._kept}
            write_json(self._file, [point.to_dict() for epoch in self.epochs for point in tested[epoch]])

    def write_untested(self) -> None:
        """Every candidate's points, on validation alone: of what reaches no front."""
        write_json(self._file, [p.to_dict() for epoch in self.epochs for p in self._measured(epoch, test=False)])

    def drop_weights(self) -> None:
        """Delete the weights of epochs without a test measurement."""
        points = [OperatingPoint.from_dict(raw) for raw in json.loads(self._file.read_text())]
        for epoch in set(self.epochs) - {point.epoch for point in points if point.test is not None}:
            (epoch_folder(self._result, epoch) / "weights.safetensors").unlink(missing_ok=True)

    def _measured(self, epoch: int, *, test: bool) -> list[OperatingPoint]:
        return operating_points(
            read_replay(self._job, self._result, epoch, "val"),
            read_replay(self._job, self._result, epoch, "test") if test else None,
            self._knobs,
            cost=self._cost,
            key=self._job.key,
            stage=self._job.stage,
            epoch=epoch,
        )
