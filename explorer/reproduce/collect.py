"""What was measured of each row: read from the store, averaged over seeds, compared on the same videos."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np

from explorer.fronts import Measured, OperatingPoint
from explorer.reproduce.numbers import Mean, mean_of, paired_difference
from explorer.reproduce.plan import Reproduction
from explorer.store import Store
from trainables.contract import Convention, StageJob
from trainables.kit.engine.files import epoch_folder, read_arrays
from trainables.kit.measure.metrics import mean_average_precision
from trainables.systems import load_system
from trainables.tables import PublishedRow, TableRow

Split = Literal["val", "test"]


@dataclass(frozen=True, kw_only=True)
class SeedResult:
    """One seed of a row: its last stage's last epoch with the knobs at their defaults. ``map``: by split, in [0, 1]."""

    seed: int
    key: str
    measured: Mapping[Split, Measured]
    map: Mapping[Split, float]


@dataclass(frozen=True, kw_only=True)
class RowResult:
    """A row with the seeds that have been measured so far, and what the paper says of it. ``sites``: where it decides."""

    row: TableRow
    sites: tuple[str, ...]
    published: tuple[PublishedRow, ...]
    seeds: tuple[SeedResult, ...]

    def accuracy(self, split: Split) -> Mean:
        """Top-1, over the seeds."""
        return self._mean(lambda one: one.measured[split].accuracy)

    def map(self, split: Split) -> Mean:
        """Mean average precision, over the seeds."""
        return self._mean(lambda one: one.map[split])

    def gflops(self, convention: Convention) -> Mean:
        """A video of the test split."""
        return self._mean(lambda one: one.measured["test"].gflops[convention])

    @cached_property
    def rates(self) -> dict[str, Mean]:
        """Selection rate by site on the test split.

        A stage that rows share is measured with the sites of the row that trained it: those that are not this row's are
        left out.
        """
        rates = [one.measured["test"].rates for one in self.seeds]
        return {site: mean_of([r[site] for r in rates]) for site in self.sites if all(site in r for r in rates)}

    def _mean(self, value: Callable[[SeedResult], float]) -> Mean:
        return mean_of([value(one) for one in self.seeds])


@dataclass(frozen=True, kw_only=True)
class Reproduced:
    """A table as far as it has been measured. ``quoted``: published rows of other authors' methods."""

    plan: Reproduction
    rows: tuple[RowResult, ...]
    quoted: tuple[PublishedRow, ...]

    @property
    def measured(self) -> tuple[RowResult, ...]:
        """The rows of which at least one seed has been measured."""
        return tuple(row for row in self.rows if row.seeds)

    @property
    def videos(self) -> dict[Split, int]:
        """Number of videos that accuracies are over."""
        first = next((one for row in self.rows for one in row.seeds), None)
        return {} if first is None else {split: measured.videos for split, measured in first.measured.items()}

    def difference(self, result: RowResult) -> Mean | None:
        """Test accuracy less that of the row that it is compared with, over the seeds that both have been measured with."""
        other = next((row for row in self.rows if row.row.name == result.row.against), None)
        if other is None:
            return None
        first, second = ({one.seed: one.measured["test"] for one in row.seeds} for row in (result, other))
        both = sorted(first.keys() & second.keys())
        if not both:
            return None
        return paired_difference(_correct_SB(first, both), _correct_SB(second, both))


def collect(plan: Reproduction) -> Reproduced:
    """Read what the store holds of the rows of ``plan``; nothing is trained."""
    store = Store(plan.space.store_folder)
    rows = []
    for row in plan.rows:
        results = [_read(store, seed, plan.jobs[row.name, seed][-1]) for seed in plan.seeds]
        rows.append(
            RowResult(
                row=row,
                sites=_sites(plan, row),
                published=tuple(p for p in plan.published if p.row == row.name),
                seeds=tuple(one for one in results if one is not None),
            )
        )
    return Reproduced(plan=plan, rows=tuple(rows), quoted=tuple(p for p in plan.published if p.row is None))


def _sites(plan: Reproduction, row: TableRow) -> tuple[str, ...]:
    system = plan.found.system
    config = system.Config.model_validate(dict(plan.jobs[row.name, plan.seeds[0]][-1].config))
    return tuple(share for site in system.sites(config) for share in site.shares)


def _correct_SB(measured: Mapping[int, Measured], seeds: Sequence[int]) -> np.ndarray:
    return np.stack([measured[seed].correct_B() for seed in seeds])


def _read(store: Store, seed: int, job: StageJob) -> SeedResult | None:
    """None where the stage has not been trained."""
    if not store.has(job.key):
        return None
    points = [OperatingPoint.from_dict(raw) for raw in store.points(job.key) if raw["selection"] == "default"]
    point = max(points, key=lambda p: p.epoch)
    assert point.test is not None, f"{job.stage} {job.key}: the last epoch is always measured on test"
    measured: dict[Split, Measured] = {"val": point.val, "test": point.test}
    precision = {split: _map(store.path(job.key), job, point, split) for split in measured}
    return SeedResult(seed=seed, key=job.key, measured=measured, map=precision)


def _map(result: Path, job: StageJob, point: OperatingPoint, split: Split) -> float:
    system = load_system(job.system)
    config = system.Config.model_validate(dict(job.config))
    replay = system.replay_from(read_arrays(epoch_folder(result, point.epoch) / f"{split}.safetensors"), config)
    return mean_average_precision(replay.video_logits(point.knobs), replay.truth_BC)
