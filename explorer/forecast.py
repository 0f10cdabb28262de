"""What a sweep needs of a cluster, and how long it would keep it busy: arithmetic before anything is spent. No Ray here."""

from __future__ import annotations

import heapq
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from explorer.errors import UserError
from explorer.run.cluster import BASE_GIB, GROUP_GIB, Node, Shape, slots
from explorer.spec.plan import baseline_chains, example_chains
from explorer.spec.space import SearchSpace
from trainables.contract import StageJob

if TYPE_CHECKING:
    from explorer.calibration import Calibration

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
    measured: Calibration | None = None


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
    if not nodes:
        raise UserError(f"--nodes must name at least one node, such as 2x8cpu4gpu; got {text!r}")
    return tuple(nodes)


def this_machine() -> tuple[Node, ...]:
    """The machine that this runs on, as a cluster of one node."""
    gpus = Path("/proc/driver/nvidia/gpus")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    count = len(list(gpus.iterdir())) if gpus.is_dir() else 0
    return (Node(cpus=len(os.sched_getaffinity(0)), gpus=count, memory_gib=memory),)


def forecast(
    space: SearchSpace, nodes: Sequence[Node], *, measured: Calibration | None = None
) -> Forecast:
    """What running ``space`` on ``nodes`` takes. ``measured``: how long stages take, from :func:`explorer.calibration.calibrate`.

    Raises:
        UserError: not one group fits on the nodes, or not as many as the space asks for.
    """
    need, shape = space.resources, shape_of(space)
    trials = list(example_chains(space))
    named = list(baseline_chains(space).values())
    groups = slots(shape, nodes, groups=need.groups, useful=len(trials) + len(named))
    seconds = {job.key: _duration(job, measured) for chain in (*trials, *named) for job in chain}
    makespan, busy = _simulate(trials, named, seconds, groups)
    return Forecast(
        measured=measured,
        groups=groups,
        ranks=need.workers,
        cpus=groups * need.workers * need.cpus_per_worker,
        gpus=groups * need.workers * need.gpus_per_worker,
        memory_gib=BASE_GIB + groups * need.workers * GROUP_GIB,
        makespan=makespan,
        unit="epochs" if measured is None else "seconds",
        idle_share=1 - busy / (groups * makespan) if makespan else 0.0,
    )


def shape_of(space: SearchSpace) -> Shape:
    """What one worker group of ``space`` needs."""
    need = space.resources
    return Shape(workers=need.workers, cpus_per_worker=need.cpus_per_worker, gpus_per_worker=need.gpus_per_worker)


def _duration(job: StageJob, measured: Calibration | None) -> float:
    epochs = max(1, job.epochs)  # a stage that trains nothing is measured
    if measured is None:
        return epochs
    of_stage = measured.stages[job.stage]
    return epochs * of_stage.epoch_s + of_stage.rest_s


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
