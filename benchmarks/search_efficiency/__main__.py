"""Measure what a search takes to a front, under a simulated clock, and print it.

    python -m benchmarks.search_efficiency --problem toy --seeds 3 [--family steady,crossing] [--trials 32] [--json]

Every method gets the training passes of ``--trials`` whole trials, on four workers. ``hypervolume``: of the front in the end,
chosen on validation and valued on test, as a share of the best that any method reached with that seed. ``passes_ratio`` of a
competitor: passes until ``ours`` has the hypervolume that both reach in the end, over those of the competitor; below 1 ours is
faster. Seed n runs on instance n modulo 3. Medians over the seeds, with quartiles and
the worst.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks.search_efficiency.clock import Moment, Sweep
from benchmarks.search_efficiency.methods import METHODS, OURS
from benchmarks.search_efficiency.problem import PASSES, Problem, instances

FAMILIES = ("steady", "crossing")
STOPPING = "ours+early_stopping"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--problem", choices=["toy"], default="toy")
    parser.add_argument("--seeds", type=int, default=3, help="sweeps of each method on each family")
    parser.add_argument("--family", default=",".join(FAMILIES), help="of instances: steady, crossing (held out)")
    parser.add_argument("--trials", type=int, default=32, help="the budget, in whole trials")
    parser.add_argument("--methods", default=",".join(METHODS), help="comma-separated")
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    arguments = parser.parse_args()
    began = time.perf_counter()
    report = {
        family: measure(family, arguments.methods.split(","), arguments.seeds, arguments.trials)
        for family in arguments.family.split(",")
    }
    told = {
        "problem": arguments.problem,
        "seeds": arguments.seeds,
        "budget_passes": budget(arguments.trials),
        "families": report,
        "seconds": round(time.perf_counter() - began, 1),
    }
    print(json.dumps(told, indent=1) if arguments.json else table(told))


def budget(trials: int) -> int:
    return trials * sum(PASSES.values())


def measure(family: str, methods: Sequence[str], seeds: int, trials: int) -> dict[str, Any]:
    """Of each method: final hypervolume, trials begun and stopped; of each competitor: the ratio of passes."""
    runs: dict[str, list[list[Moment]]] = {name: [] for name in methods}
    begun: dict[str, list[int]] = {name: [] for name in methods}
    pruned: dict[str, list[int]] = {name: [] for name in methods}
    best: list[float] = []
    problems = [Problem(instance) for instance in instances(family)]
    for seed in range(seeds):
        for name in methods:
            sweep = Sweep(problems[seed % len(problems)], METHODS[name], seed=seed, passes=budget(trials))
            runs[name].append(sweep.run())
            begun[name].append(sweep.trials)
            pruned[name].append(sweep.pruned)
        best.append(max(of[-1][-1].hypervolume for of in runs.values()))
    return {
        name: {
            "hypervolume": spread([run[-1].hypervolume / top for run, top in zip(runs[name], best, strict=True)], low=True),
            "trials": statistics.median(begun[name]),
            "stopped_early": statistics.median(pruned[name]),
            "passes_ratio": {
                ours: spread([ratio(a, b) for a, b in zip(runs[ours], runs[name], strict=True)])
                for ours in (OURS, STOPPING)
                if ours in runs and ours != name
            },
        }
        for name in methods
    }


def ratio(ours: Sequence[Moment], theirs: Sequence[Moment]) -> float:
    """Passes to the hypervolume that both reach in the end, ours over theirs."""
    target = min(ours[-1].hypervolume, theirs[-1].hypervolume)
    return passes_to(ours, target) / passes_to(theirs, target)


def passes_to(history: Sequence[Moment], hypervolume: float) -> int:
    return next(moment.passes for moment in history if moment.hypervolume >= hypervolume - 1e-12)


def spread(values: Sequence[float], *, low: bool = False) -> dict[str, float]:
    """Median, quartiles and the worst: the smallest where ``low``, else the largest."""
    quarter, middle, three = np.quantile(values, [0.25, 0.5, 0.75])
    found = {"median": middle, "q1": quarter, "q3": three, "worst": min(values) if low else max(values)}
    return {name: round(float(value), 4) for name, value in found.items()}


def table(told: Mapping[str, Any]) -> str:
    lines = [f"{told['budget_passes']} passes a sweep, {told['seconds']} s; median (quartiles; worst)"]
    for family, methods in told["families"].items():
        lines.append(f"\n{family:<24}  {'hypervolume':<30}  trials  stopped  passes: ours / its  with early stopping / its")
        for name, row in methods.items():
            ratios = [_cell(row["passes_ratio"][ours]) if ours in row["passes_ratio"] else "-" for ours in (OURS, STOPPING)]
            lines.append(
                f"{name:<24}  {_cell(row['hypervolume']):<30}  {row['trials']:>6g}  {row['stopped_early']:>7g}  {'  '.join(ratios)}"
            )
    return "\n".join(lines)


def _cell(found: Mapping[str, float]) -> str:
    return f"{found['median']:.3f} ({found['q1']:.3f}-{found['q3']:.3f}; {found['worst']:.3f})"


if __name__ == "__main__":
    main()
