"""Long-lived worker groups: one Ray Train trainer a slot of the cluster, each fitted in a thread of the driver.

They start once and serve the whole sweep, because a trainer nested in every trial costs 7 to 22 s of start-up a trial
and deadlocks (docs). A group restarts without limit, also on another node; attempts are counted by job, in the queue.
A group whose controller dies is begun anew by its thread here.

No torch in here: the driver and a group's controller do without it (2.5 s and 250 MB each); its workers import it.
"""

from __future__ import annotations

import logging
import threading
import time
import uuid
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
from ray.train import BackendConfig, FailureConfig, RunConfig, ScalingConfig, UserCallback
from ray.train.v2._internal.execution.scaling_policy import FixedScalingPolicy
from ray.train.v2.api.data_parallel_trainer import DataParallelTrainer
from ray.util.placement_group import get_placement_group, remove_placement_group

from explorer.run.cluster import Shape
from explorer.spec.space import SearchSpace

_log = logging.getLogger(__name__)

# A controller that fails within this time, so often in a row, does so for a reason of its own.
_QUICK_S = 60.0
_MAX_QUICK_FAILURES = 5


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

    def __init__(self, queue: Any, space: SearchSpace, *, shape: Shape, scratch: Path) -> None:
        self._queue = queue
        self._space = space
        self._shape = shape
        self._scratch = scratch
        self._errors: dict[str, str] = {}
        self._threads: list[threading.Thread] = []
        self._closing = threading.Event()
        self._run = uuid.uuid4().hex

    @property
    def count(self) -> int:
        """How many were started."""
        return len(self._threads)

    def grow_to(self, count: int) -> None:
        """Start groups until there are ``count``; they come up while the driver goes on.

        Fewer is nothing to be done: those whose node left wait until there is room for them again.
        """
        for index in range(len(self._threads), count):
            # A daemon: a driver that is told to leave at once need not wait for an epoch to end.
            thread = threading.Thread(target=self._serve, args=(f"slot-{index}",), name=f"group-{index}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def have_left(self, timeout_s: float) -> bool:
        """Wait until every group has left its loop (the queue must have been closed). Whether they all did."""
        self._closing.set()
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
        failures = 0
        while not self._closing.is_set():
            began = time.monotonic()
            try:
                self._trainer(slot).fit()
                return
            except Exception as error:
                # Also when Ray is shut down below a group that did not leave its loop in time: nobody is left to tell then.
                if self._closing.is_set():
                    return
                _log.debug("the controller of worker group %s ended", slot, exc_info=True)
                failures = failures + 1 if time.monotonic() - began < _QUICK_S else 1
                told = f"{type(error).__name__}: {error}"
                if failures >= _MAX_QUICK_FAILURES:
                    self._errors[slot] = told
                with suppress(Exception):
                    self._remove_placements(slot)  # ends its workers, and frees their place
                    ray.get(self._queue.lost.remote(slot, told))
                if failures >= _MAX_QUICK_FAILURES:
                    return
                self._closing.wait(failures - 1.0)

    def _remove_placements(self, slot: str) -> None:
        """Ray keeps what a dead controller has reserved until the driver ends."""
        for placement in ray.util.placement_group_table().values():
            if placement["name"].startswith(_placement_name(self._run, slot)) and placement["state"] != "REMOVED":
                remove_placement_group(get_placement_group(placement["name"]))

    def _trainer(self, slot: str) -> DataParallelTrainer:
        shape = self._shape
        resources = {"CPU": shape.cpus_per_worker} | ({"GPU": shape.gpus_per_worker} if shape.gpus_per_worker else {})
        setup = WorkerSetup(
            queue=self._queue,
            slot=slot,
            store=self._space.store_folder,
            area=self._space.area,
            cache=self._space.cache_folder,
            threads=shape.threads,
            folder=Path.cwd(),
        )
        return _Trainer(
            _work,
            placement_name=_placement_name(self._run, slot),
            train_loop_config={"setup": setup},
            backend_config=_backend(shape),
            scaling_config=ScalingConfig(
                num_workers=shape.workers, use_gpu=shape.gpus_per_worker > 0, resources_per_worker=resources
            ),
            run_config=RunConfig(
                name=slot,
                storage_path=str(self._scratch),
                failure_config=FailureConfig(max_failures=-1, controller_failure_limit=-1),
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

    It runs in the group's controller, and gives the group's reservations names by which they can be found.
    """

    def __init__(self, scaling_config: ScalingConfig, placement_name: str) -> None:
        super().__init__(scaling_config)
        self._placement_name = placement_name

    def after_controller_start(self, train_run_context: Any) -> None:
        from ray.train.v2._internal.execution.worker_group import worker_group

        prefix, unnamed = self._placement_name, worker_group.placement_group

        def named(*arguments: Any, **options: Any) -> Any:
            return unnamed(*arguments, **options, name=f"{prefix}{uuid.uuid4().hex}")

        worker_group.placement_group = named

    def _maybe_send_resource_request(self) -> None:
        """Nobody to ask."""


def _placement_name(run: str, slot: str) -> str:
    return f"{run}.{slot}."


class _Trainer(DataParallelTrainer):
    """What ``TorchTrainer`` is, without what serves nothing here."""

    def __init__(self, *arguments: Any, placement_name: str, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._placement_name = placement_name

    def _create_default_callbacks(self) -> list[Any]:
        return [c for c in super()._create_default_callbacks() if type(c).__name__ not in _UNUSED]

    def _initialize_and_run_controller(self, **arguments: Any) -> Any:
        arguments["scaling_policy"] = _FixedSize(self.scaling_config, self._placement_name)
        return super()._initialize_and_run_controller(**arguments)
