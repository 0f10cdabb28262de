"""The sweeps of a seed, and seeds over processes."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from benchmarks.search_efficiency.clock import Moment, Sweep, Trace, history
from benchmarks.search_efficiency.methods import method
from benchmarks.search_efficiency.problems import PROBLEMS, on_table

Histories = dict[str, list[Moment]]  # by method
Job = tuple[str, int]  # family, seed


def one_seed(
    problem: str, table: Path | None, methods: Sequence[str], trials: int, workers: int, job: Job
) -> Histories:
    """One sweep of each method. Methods that differ only in what counts share one."""
    family, seed = job
    instance = (PROBLEMS[problem] if table is None else on_table(table)).instance(family, seed)
    traces: dict[object, Trace] = {}
    found = {}
    for name in methods:
        way = method(name, instance)
        if way.trajectory not in traces:
            traces[way.trajectory] = Sweep(instance, way, seed=seed, trials=trials, workers=workers).run()
        found[name] = history(instance, traces[way.trajectory], way)
    return found


def mapped(run: Callable[[Job], Histories], jobs: Sequence[Job], processes: int) -> list[Histories]:
    """``run`` of every job, in their order."""
    if processes == 1:
        return [run(job) for job in jobs]
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # of the processes that are started below
    with ProcessPoolExecutor(max_workers=processes, mp_context=multiprocessing.get_context("spawn")) as pool:
        return list(pool.map(run, jobs))
