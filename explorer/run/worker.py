"""What runs inside a worker group: take a stage job, train it, publish it, take the next, until the queue closes.

Every rank runs :func:`serve`. Rank 0 talks to the queue and tells the others; every rank leaves the loop by itself.
"""

from __future__ import annotations

import errno
import gc
import os
import traceback
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import ray
import torch

from explorer.execute import execute
from explorer.run.groups import WorkerSetup
from explorer.run.jobs import NO_SPACE, JobError, Taken
from explorer.store import Store
from trainables.contract import StageJob
from trainables.errors import StageFailed, UserError
from trainables.kit.engine.ranks import Ranks
from trainables.kit.engine.train import EpochReport, StageCancelled

# Ranks that wait in a broadcast are killed after half an hour, so rank 0 says "nothing yet" long before.
POLL_S = 30.0


def serve(setup: WorkerSetup) -> None:
    """The loop of one rank.

    An exception in a job is told to the queue and the loop goes on; after an error of the device the process cannot be
    trusted, so the error is raised and Ray Train starts the group anew.
    """
    torch.set_num_threads(setup.threads)
    if setup.folder.is_dir():
        os.chdir(setup.folder)
    ranks = Ranks.joined()
    worker = f"{setup.slot}.{uuid.uuid4().hex[:8]}"
    if ranks.first:
        ray.get(setup.queue.join.remote(setup.slot, worker))
    store = Store(setup.store, area=setup.area)
    gc.freeze()  # what the imports left is not searched after every job (0.3 s)
    while True:
        taken = ranks.broadcast(ray.get(setup.queue.take.remote(worker, POLL_S)) if ranks.first else Taken())
        if taken.closed:
            return
        if taken.job is not None:
            _train(taken.job, setup, worker, store, ranks)


def _train(job: StageJob, setup: WorkerSetup, worker: str, store: Store, ranks: Ranks) -> None:
    """Train one job and tell the queue how it ended."""

    def tell(method: str, *details: Any) -> Any:
        return ray.get(getattr(setup.queue, method).remote(job.key, worker, *details)) if ranks.first else None

    before: list[dict[str, Any]] = []

    def on_epoch(report: EpochReport) -> bool:
        epoch = asdict(report)
        go_on = tell("report", *before, epoch)
        before[:] = [epoch]
        return bool(go_on)

    def on_resume(history: Sequence[Mapping[str, float]]) -> bool:
        return bool(tell("resumed", list(history)))

    try:
        execute(job, store=store, cache=setup.cache, on_epoch=on_epoch, on_resume=on_resume, ranks=ranks)
    except StageCancelled:
        tell("cancelled")
    except Exception as error:
        tell("fail", describe(error))
        alone = ranks.ranks > 1 and not isinstance(error, StageFailed)  # that one every rank raises at the same place
        if alone or _breaks_the_process(error):
            raise
    else:
        tell("finish")
    gc.collect()  # the next job starts from the memory that the first one started from


def describe(error: Exception) -> JobError:
    """An error as the queue counts it: its type and the line that raised it, not its text, which may hold addresses.

    What depends on nothing but the job (a loss that is not finite, a file that does not decode) would happen again.
    """
    frames = traceback.extract_tb(error.__traceback__)
    where = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "nowhere"
    expected = isinstance(error, StageFailed | UserError)
    return JobError(
        signature=NO_SPACE if _disk_is_full(error) else f"{type(error).__name__} at {where}",
        message=str(error) if expected else f"{type(error).__name__}: {error} ({where})",
        trace="".join(traceback.format_exception(error)),
        final=expected,
    )


def _disk_is_full(error: BaseException | None) -> bool:
    """Whether that is what ``error`` comes from. Libraries that write by themselves (safetensors) say so in words only."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return True
    if error is None:
        return False
    return "No space left on device" in str(error) or _disk_is_full(error.__cause__ or error.__context__)


def _breaks_the_process(error: Exception) -> bool:
    return isinstance(error, torch.OutOfMemoryError | torch.AcceleratorError | MemoryError)
