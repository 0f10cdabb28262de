"""How long stages take on this machine, by training one epoch of each. ``explorer plan --calibrate`` is this; no Ray in here."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from explorer.spec.fields import leaf_paths
from explorer.spec.space import SearchSpace

if TYPE_CHECKING:
    from explorer.train import Trained
    from trainables.kit.engine.train import EpochReport


@dataclass(frozen=True, kw_only=True)
class StageTime:
    """Seconds, in one process. ``rest_s``: what a stage takes beside its epochs: loading, measuring on test, storing."""

    epoch_s: float
    rest_s: float


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """What was measured, by stage. ``threads``: of torch, as many as a worker of the sweep has. ``prepare_s``: of decoding what
    was not decoded before.
    """

    stages: Mapping[str, StageTime]
    threads: int
    device: str
    prepare_s: float


def calibrate(space: SearchSpace, *, threads: int) -> Calibration:
    """Train one epoch of every stage of the base configuration and its baselines, in this process.

    Nothing of it is kept, except that what is decoded goes to the sweep's cache, which needs it anyway.

    Raises:
        StageFailed: training went wrong.
        UserError: files do not decode.
    """
    import explorer.execute  # noqa: F401  (torch, which a worker imports once)
    from explorer.prepare import prepare_data
    from explorer.spec.plan import baseline_chains
    from explorer.train import train
    from trainables.kit.engine.prepare import this_device

    began = time.monotonic()
    prepare_data(space, baseline_chains(space))
    prepared = time.monotonic()
    short = {path: 1 for path in leaf_paths(space.config) if path.startswith("stages.") and path.endswith(".epochs")}
    config = space.configure(short).model_dump(mode="json", by_alias=True)
    clock = _Clock()
    with tempfile.TemporaryDirectory(prefix="calibrate-") as folder, _threads(threads):
        if space.cache_folder.is_dir():
            (Path(folder) / "cache").symlink_to(space.cache_folder)
        aside = space.model_copy(update={"config": config, "storage": folder})
        clock.began = time.monotonic()
        train(aside, on_epoch=clock.on_epoch, on_stage=clock.on_stage)
    return Calibration(stages=clock.stages, threads=threads, device=this_device().type, prepare_s=prepared - began)


class _Clock:
    """Notes how long the epoch and the whole of each stage take."""

    def __init__(self) -> None:
        self.began = 0.0
        self.stages: dict[str, StageTime] = {}
        self._epoch_s = 0.0

    def on_epoch(self, report: EpochReport) -> None:
        self._epoch_s = report.seconds

    def on_stage(self, trained: Trained) -> None:
        now = time.monotonic()
        if not trained.reused:
            rest_s = max(0.0, now - self.began - self._epoch_s)
            self.stages.setdefault(trained.job.stage, StageTime(epoch_s=self._epoch_s, rest_s=rest_s))
        self.began, self._epoch_s = now, 0.0


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """As a worker of a sweep sets them."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
