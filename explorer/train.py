"""One configuration, one process, no Ray: the same stage jobs and the same store as a sweep, under a debugger."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from explorer.fronts import OperatingPoint
from explorer.spec import SearchSpace
from explorer.spec.plan import baseline_chains, chain
from explorer.store import Store
from trainables.contract import StageJob

if TYPE_CHECKING:
    from trainables.kit.engine.train import EpochReport


@dataclass(frozen=True, kw_only=True)
class Trained:
    """A stage that is in the store now. ``reused``: it was there before. ``points``: what was measured of it."""

    job: StageJob
    reused: bool
    points: tuple[OperatingPoint, ...]


def train(
    space: SearchSpace,
    *,
    on_epoch: Callable[[EpochReport], None] = lambda report: None,
    on_stage: Callable[[Trained], None] = lambda stage: None,
) -> tuple[Trained, ...]:
    """Train the base configuration of ``space`` and its baselines, stage by stage, in this process.

    What is searched keeps the value that the configuration gives it. Finished stages are taken from the store.

    Raises:
        StageFailed: a loss is not finite.
    """
    jobs = {job.key: job for job in chain(space, {})}
    for baseline in baseline_chains(space).values():
        jobs |= {job.key: job for job in baseline}
    done: list[Trained] = []

    def note(stage: Trained) -> None:
        done.append(stage)
        on_stage(stage)

    train_jobs(space, tuple(jobs.values()), on_epoch=on_epoch, on_stage=note)
    return tuple(done)


def train_jobs(
    space: SearchSpace,
    jobs: Sequence[StageJob],
    *,
    on_epoch: Callable[[EpochReport], None],
    on_stage: Callable[[Trained], None],
) -> Store:
    """Train ``jobs``, parents before children, in this process, and return the store that holds them. Raises as `train`."""
    from explorer.execute import execute

    store = Store(space.store_folder, area=f"{space.name}.train")  # a sweep of this name may train the same key

    def report(epoch: EpochReport) -> bool:
        on_epoch(epoch)
        return True

    for job in jobs:
        reused = store.has(job.key)
        execute(job, store=store, cache=space.cache_folder, on_epoch=report)
        points = tuple(OperatingPoint.from_dict(raw) for raw in store.points(job.key))
        on_stage(Trained(job=job, reused=reused, points=points))
    return store
