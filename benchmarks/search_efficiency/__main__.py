"""Measure what a search takes to a front, under a simulated clock, and print it.

    python -m benchmarks.search_efficiency --problem toy --seeds 3 [--family steady,crossing] [--trials 32] [--json]
    python -m benchmarks.search_efficiency --problem adamml --seeds 10    # a table of real runs, see ``replayed``

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

from benchmarks.search_efficiency import replayed
from benchmarks.search_efficiency.clock import Moment, Sweep
from benchmarks.search_efficiency.measures import ratio, spread
from benchmarks.search_efficiency.methods import METHODS, OURS
from benchmarks.search_efficiency.problem import PASSES, Problem, instances

FAMILIES = ("steady", "crossing")
STOPPING = "ours+early_stopping"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--problem", choices=["toy", "adamml"], default="toy")
    parser.add_argument("--seeds", type=int, default=3, help="sweeps of each method on each family")
    parser.add_argument("--family", default=",".join(FAMILIES), help="of instances: steady, crossing (held out)")
    parser.add_argument("--trials", type=int, default=None, help="the budget, in whole trials (32, adamml: 16)")
    parser.add_argument("--methods", default=None, help="comma-separated; all without it")
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    arguments = parser.parse_args()
    began = time.perf_counter()
    if arguments.problem == "adamml":
        names = arguments.methods.split(",") if arguments.methods else list(replayed.METHODS)
        trials = arguments.trials or 16
        found = replayed.measure(names, arguments.seeds, trials)
        replay = {"problem": "adamml", "seeds": arguments.seeds, "trials": trials, "methods": found}
        print(json.dumps(replay, indent=1) if arguments.json else replayed.text(replay))
        return
    methods, trials = arguments.methods or ",".join(METHODS), arguments.trials or 32
    report = {
        family: measure(family, methods.split(","), arguments.seeds, trials)
        for family in arguments.family.split(",")
    }
    told = {
        "problem": arguments.problem,
        "seeds": arguments.seeds,
        "budget_passes": budget(trials),
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
