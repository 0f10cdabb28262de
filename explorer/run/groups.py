"""Long-lived worker groups: one Ray Train trainer a slot of the cluster, each fitted in a thread of the driver.

They start once and serve the whole sweep, because a trainer nested in every trial costs 7 to 22 s of start-up a trial
and deadlocks (docs). A group restarts without limit; attempts are counted by job, in the queue.

No torch in here: the driver and a group's controller do without it (2.5 s and 250 MB each); its workers import it.
"""

from __future__ import annotations

import logging
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
from ray.train import BackendConfig, FailureConfig, RunConfig, ScalingConfig, UserCallback
from ray.train.v2._internal.execution.scaling_policy import FixedScalingPolicy
from ray.train.v2.api.data_parallel_trainer import DataParallelTrainer

from explorer.run.cluster import Shape
from explorer.spec.space import SearchSpace

_log = logging.getLogger(__name__)

# Times that Ray may fail to place or start a group (60 s each) before the slot is given up. Deaths do not count.
MAX_FAILED_PLACEMENTS = 20


@dataclass(frozen=True, kw_only=True)
class WorkerSetup:
    """What a group is told at its start. ``area``: of the store. ``threads``: of torch, a rank. Paths are absolute."""

    queue: Any
    slot: str
    store: Path
    area: str
    cache: Path
    threads: int
    folder: Path


def _work(config: dict[str, WorkerSetup]) -> None:
    """The train loop of every rank; Ray Train hands it a dict."""
    from explorer.run.worker import serve

    serve(config["setup"])


def _backend(shape: Shape) -> BackendConfig:
    """The process group of several ranks. One rank needs none."""
    if shape.workers == 1:
        return BackendConfig()
    from ray.train.torch import TorchConfig

    return TorchConfig(backend="nccl" if shape.gpus_per_worker >= 1 else "gloo")


class WorkerGroups:
    """The groups of one sweep. ``scratch``: a folder for what Ray Train insists on writing."""

    def __init__(self, queue: Any, space: SearchSpace, *, slots: int, shape: Shape, scratch: Path) -> None:
        self._queue = queue
        self._space = space
        self._shape = shape
        self._scratch = scratch
        self._errors: dict[str, str] = {}
        self._threads = [
            # A daemon: a driver that is told to leave at once need not wait for an epoch to end.
            threading.Thread(target=self._serve, args=(f"slot-{index}",), name=f"group-{index}", daemon=True)
            for index in range(slots)
        ]

    def start(self) -> None:
        """Start all groups; they come up while the driver goes on."""
        for thread in self._threads:
            thread.start()

    def join(self, timeout_s: float) -> bool:
        """Wait until every group has left its loop (the queue must have been closed). Whether they all did."""
        deadline = time.monotonic() + timeout_s
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    @property
    def all_lost(self) -> str | None:
        """Why no group is left that could train anything, or None."""
        if len(self._errors) < len(self._threads):
            return None
        return "; ".join(sorted(set(self._errors.values())))

    def _serve(self, slot: str) -> None:
        try:
            self._trainer(slot).fit()
        except Exception as error:
            # Also when Ray is shut down below a group that did not leave its loop in time: nobody is left to tell then.
            _log.debug("worker group %s ended", slot, exc_info=True)
            self._errors[slot] = f"{type(error).__name__}: {error}"
            with suppress(Exception):
                self._queue.lost.remote(slot, self._errors[slot])

    def _trainer(self, slot: str) -> DataParallelTrainer:
        shape = self._shape
        resources = {"CPU": shape.cpus_per_worker} | ({"GPU": shape.gpus_per_worker} if shape.gpus_per_worker else {})
        setup = WorkerSetup(
            queue=self._queue,
            slot=slot,
            store=self._space.store_folder,
            area=self._space.name,
            cache=self._space.cache_folder,
            threads=shape.threads,
            folder=Path.cwd(),
        )
        return _Trainer(
            _work,
            train_loop_config={"setup": setup},
            backend_config=_backend(shape),
            scaling_config=ScalingConfig(
                num_workers=shape.workers, use_gpu=shape.gpus_per_worker > 0, resources_per_worker=resources
            ),
            run_config=RunConfig(
                name=slot,
                storage_path=str(self._scratch),
                failure_config=FailureConfig(max_failures=-1, controller_failure_limit=MAX_FAILED_PLACEMENTS),
                callbacks=[_TellDeath(self._queue, slot)],
            ),
        )


class _TellDeath(UserCallback):
    """Runs in the group's controller: a dead worker's job is free at once, not only when its group is up again."""

    def __init__(self, queue: Any, slot: str) -> None:
        self._queue = queue
        self._slot = slot

    def after_exception(self, run_context: Any, worker_exceptions: dict[int, Exception]) -> None:
        error = next(iter(worker_exceptions.values()), None)
        ray.get(self._queue.lost.remote(self._slot, f"{type(error).__name__}: {error}"))


# Each costs a process a group (200 MB, 2 s): the cleaner needs the dashboard, and what it cleans up after (a controller
# that died alone) ends with the driver here; there are no Ray data sets to hand out.
_UNUSED = ("PlacementGroupCleanerCallback", "DatasetsCallback")


class _FixedSize(FixedScalingPolicy):
    """As Ray's, without its coordinator between trainers and data sets: one more process (190 MB) that every group
    would wait for. An autoscaler is woken by the group's placement group all the same.
    """

    def after_controller_start(self, train_run_context: Any) -> None:
        """Nothing to register."""

    def _maybe_send_resource_request(self) -> None:
        """Nobody to ask."""


class _Trainer(DataParallelTrainer):
    """What ``TorchTrainer`` is, without what serves nothing here."""

    def _create_default_callbacks(self) -> list[Any]:
        return [c for c in super()._create_default_callbacks() if type(c).__name__ not in _UNUSED]

    def _initialize_and_run_controller(self, **arguments: Any) -> Any:
        arguments["scaling_policy"] = _FixedSize(self.scaling_config)
        return super()._initialize_and_run_controller(**arguments)
