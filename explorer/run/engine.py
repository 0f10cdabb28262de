"""What sweeps run on: Ray, the queue of stages and the worker groups. Started once, for one sweep or for several in turn."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from explorer.run.cluster import Node, Shape, cluster, nodes_now, set_environment
from explorer.run.recovery import Recovery

if TYPE_CHECKING:
    from explorer.run.groups import WorkerGroups
    from explorer.spec.space import SearchSpace

SCRATCH = ".scratch-"
LEAVE_S = 20.0  # how long groups without work may take to end
_PUMP_S = 0.5


class Engine:
    """Starts when a sweep first needs it. Everything ends with ``stack``, which whoever makes it closes.

    ``folder``: of the sweep, or of what its sweeps belong to; nobody else may run it. ``keep``: further sweeps follow, so the
    worker groups stay. ``recovery``: what was read of the queue, whichever sweep read it.
    """

    def __init__(self, stack: ExitStack, folder: Path, *, address: str | None, keep: bool = False) -> None:
        self.keep = keep
        self.recovery = Recovery()
        self.queue: Any = None
        self.groups: WorkerGroups | None = None
        self._stack = stack
        self._folder = folder
        self._address = address
        self._scratch: Path | None = None

    def start(self) -> Sequence[Node]:
        """Join or start Ray, unless that was done before; the nodes there are now.

        Raises:
            UserError: no cluster answers at the address.
        """
        if self._scratch is not None:
            return nodes_now()
        for left in self._folder.glob(f"{SCRATCH}*"):  # of a driver that was killed: the folder's lock is ours
            shutil.rmtree(left, ignore_errors=True)
        self._scratch = Path(tempfile.mkdtemp(prefix=SCRATCH, dir=self._folder))
        self._stack.callback(shutil.rmtree, self._scratch, ignore_errors=True)
        set_environment()
        # Imported before Ray is joined: in a submitted job Ray may unpack the code once more when its first node needs it.
        from explorer.run import groups, queue_actor, tuning  # noqa: F401

        nodes = self._stack.enter_context(cluster(self._address))
        self._stack.callback(self._leave)
        return nodes

    def serve(self, space: SearchSpace, count: int) -> WorkerGroups:
        """The queue and ``count`` worker groups or more; they take seconds to come up, and the rest goes on meanwhile."""
        import ray

        from explorer.run.groups import WorkerGroups
        from explorer.run.queue_actor import start_queue

        assert self._scratch is not None, "start() comes first"
        if self.groups is None:
            self.queue = start_queue(space.store_folder)
            ray.get(self.queue.open.remote(self.recovery.known()))
            self.groups = WorkerGroups(self.queue, space, shape=shape_of(space), scratch=self._scratch / "train")
        else:
            self.queue.forget_ended.remote()  # not waited for: a queue whose process died is opened by the sweep's loop
        self.groups.grow_to(count)
        return self.groups

    def scratch(self, name: str) -> Path:
        """A new folder that is gone when all has ended."""
        assert self._scratch is not None, "start() comes first"
        return Path(tempfile.mkdtemp(prefix=name, dir=self._scratch))

    def _leave(self) -> None:
        """Let kept worker groups end by themselves before Ray does; those of a sweep that ended alone have left."""
        import ray

        if not self.keep or self.groups is None or self.groups.have_left(0.0):
            return
        deadline = time.monotonic() + LEAVE_S
        try:
            ray.get(self.queue.close.remote())
            while not self.groups.have_left(0.0) and time.monotonic() < deadline:
                # A worker is not answered before its event was read.
                for event in ray.get(self.queue.events.remote(self.recovery.sequence, _PUMP_S)) or ():
                    self.recovery.on_event(event)
        except ray.exceptions.RayError:
            return  # Ray has ended before


def shape_of(space: SearchSpace) -> Shape:
    """What a worker group of ``space`` needs."""
    need = space.resources
    return Shape(workers=need.workers, cpus_per_worker=need.cpus_per_worker, gpus_per_worker=need.gpus_per_worker)
