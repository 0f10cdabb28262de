"""What a sweep needs of a cluster, and how long it would keep it busy: arithmetic before anything is spent. No Ray here."""

from __future__ import annotations

import heapq
import os
import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from explorer.errors import UserError
from explorer.run.cluster import BASE_GIB, GROUP_GIB, Node, Shape, slots
from explorer.spec.fields import leaf_paths
from explorer.spec.plan import baseline_chains, example_chains
from explorer.spec.space import SearchSpace
from trainables.contract import StageJob

if TYPE_CHECKING:
    from trainables.kit.engine.train import EpochReport

_NODES = re.compile(r"(?:(\d+)x)?(\d+(?:\.\d+)?)cpu(?:(\d+(?:\.\d+)?)gpu)?(?:(\d+(?:\.\d+)?)gib)?", re.IGNORECASE)
_ROOMY_GIB = 2.0**20  # memory of a node whose memory nobody stated


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """``groups`` at a time, of ``ranks`` processes each; ``memory_gib``, ``cpus``, ``gpus``: of all groups together.

    ``makespan``: how long the example trials take, in ``unit`` (epochs, or seconds where they were measured), and
    ``idle_share``: of the groups' time in which they have nothing to train, because what is left waits for other stages.
    """

    groups: int
    ranks: int
    cpus: float
    gpus: float
    memory_gib: float
    makespan: float
    unit: str
    idle_share: float


def parse_nodes(text: str) -> tuple[Node, ...]:
    """``2x8cpu4gpu64gib,1x4cpu`` as nodes: number, cores, GPUs and memory of each.

    Raises:
        UserError: it does not read so.
    """
    nodes: list[Node] = []
    for part in text.replace(" ", "").split(","):
        found = _NODES.fullmatch(part)
        if found is None:
            raise UserError(f"--nodes must be such as 2x8cpu4gpu or 2x8cpu4gpu64gib,1x4cpu; got {part!r} in {text!r}")
        count, cpus, gpus, memory = found.groups()
        node = Node(cpus=float(cpus), gpus=float(gpus or 0), memory_gib=float(memory) if memory else _ROOMY_GIB)
        nodes += [node] * int(count or 1)
    return tuple(nodes)


def this_machine() -> tuple[Node, ...]:
    """The machine that this runs on, as a cluster of one node."""
    gpus = Path("/proc/driver/nvidia/gpus")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    count = len(list(gpus.iterdir())) if gpus.is_dir() else 0
    return (Node(cpus=len(os.sched_getaffinity(0)), gpus=count, memory_gib=memory),)


def forecast(
    space: SearchSpace, nodes: Sequence[Node], *, epoch_s: Mapping[str, float] | None = None
) -> Forecast:
    """What running ``space`` on ``nodes`` takes. ``epoch_s``: seconds an epoch, by stage, from :func:`calibrate`.

    Raises:
        UserError: not one group fits on the nodes, or not as many as the space asks for.
    """
    need = space.resources
    shape = Shape(workers=need.workers, cpus_per_worker=need.cpus_per_worker, gpus_per_worker=need.gpus_per_worker)
    trials = list(example_chains(space))
    named = list(baseline_chains(space).values())
    groups = slots(shape, nodes, groups=need.groups, useful=len(trials) + len(named))
    seconds = {job.key: _duration(job, epoch_s) for chain in (*trials, *named) for job in chain}
    makespan, busy = _simulate(trials, named, seconds, groups)
    return Forecast(
        groups=groups,
        ranks=need.workers,
        cpus=groups * need.workers * need.cpus_per_worker,
        gpus=groups * need.workers * need.gpus_per_worker,
        memory_gib=BASE_GIB + groups * need.workers * GROUP_GIB,
        makespan=makespan,
        unit="epochs" if epoch_s is None else "seconds",
        idle_share=1 - busy / (groups * makespan) if makespan else 0.0,
    )


def calibrate(space: SearchSpace) -> dict[str, float]:
    """Seconds an epoch takes here, by stage: every stage of the base configuration and its baselines trains one epoch.

    Raises:
        StageFailed: training went wrong.
    """
    from explorer.train import train

    short = {path: 1 for path in leaf_paths(space.config) if path.startswith("stages.") and path.endswith(".epochs")}
    config = space.configure(short).model_dump(mode="json", by_alias=True)
    found: dict[str, float] = {}

    def note(report: EpochReport) -> None:
        found[report.stage] = report.seconds

    with tempfile.TemporaryDirectory(prefix="calibrate-") as folder:
        cache = Path(folder) / "cache"
        if space.cache_folder.is_dir():
            cache.symlink_to(space.cache_folder)  # what is decoded already is not decoded again
        train(space.model_copy(update={"config": config, "storage": folder}), on_epoch=note)
    return found


def _duration(job: StageJob, epoch_s: Mapping[str, float] | None) -> float:
    epochs = max(1, job.epochs)  # a stage that trains nothing is measured
    return epochs * (1.0 if epoch_s is None else epoch_s.get(job.stage, 0.0))


def _simulate(
    trials: Sequence[Sequence[StageJob]],
    named: Sequence[Sequence[StageJob]],
    seconds: Mapping[str, float],
    groups: int,
) -> tuple[float, float]:
    """Makespan, and the groups' busy time: the queue's rules, with as many trials at a time as there are groups."""
    waiting = list(trials)
    begun = [list(chain) for chain in named]  # after the trials: they fill the gaps
    done: set[str] = set()
    running: dict[str, float] = {}
    ends: list[tuple[float, str]] = []
    now = busy = 0.0
    open_trials: list[list[StageJob]] = []
    while True:
        open_trials = [chain for chain in open_trials if any(job.key not in done for job in chain)]
        while waiting and len(open_trials) < groups:
            open_trials.append(list(waiting.pop(0)))
        ready = dict.fromkeys(
            job.key
            for chain in (*open_trials, *begun)
            for job in chain
            if job.key not in done and job.key not in running and set(job.parents.values()) <= done
        )
        for key in list(ready)[: groups - len(running)]:
            running[key] = seconds[key]
            heapq.heappush(ends, (now + seconds[key], key))
        if not ends:
            return now, busy
        now, key = heapq.heappop(ends)
        busy += running.pop(key)
        done.add(key)
