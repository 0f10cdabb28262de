"""Measure what a search takes to a front, under a simulated clock, and print it.

    python -m benchmarks.search_efficiency --problem toy --seeds 3 [--family steady] [--methods a,b] [--png FILE] [--json]
    python -m benchmarks.search_efficiency --problem adamml --seeds 10             # a table of real runs, replayed
    python -m benchmarks.search_efficiency --problem adamml --manifest MANIFEST    # the same, trained on other videos first
    python -m benchmarks.search_efficiency --problem zdt1 --seeds 10               # test functions, tables of others

Every method gets the training passes of ``--trials`` whole trials, on ``--workers`` workers; a pass takes one unit of time.
``hypervolume``: of the front in the end, chosen on validation and valued on test where there is one, as a share of the true
front's, or, where that is not known, of the best that any method reached with that seed. Of each competitor: ``passes_ratio``,
passes until ``ours`` has the hypervolume that both reach in the end, over those of the competitor (below 1 ours is faster);
``time_ratio``, the same of the clock; ``to_their_end``, passes until ours has what the competitor ends with, over all passes of
the competitor; ``p_passes``, ``p_hypervolume``: Wilcoxon's signed-rank test over the seeds. Medians over the seeds, with
quartiles and the worst.
Nothing is timed: the figures are a function of the seeds.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.search_efficiency.clock import Moment
from benchmarks.search_efficiency.measures import measured
from benchmarks.search_efficiency.methods import HALVING, INSTALL, OURS, known, missing, names
from benchmarks.search_efficiency.problems import PROBLEMS, Problems, on_table
from benchmarks.search_efficiency.seeds import mapped, one_seed

FIGURE = ("tune_optuna", "optuna_gp", "botorch_qlognehvi", "pymoo_nsga2", "syne_tune_moasha")  # and ours


def main() -> None:
    arguments = _arguments()
    began = time.perf_counter()
    problems = PROBLEMS[arguments.problem]
    table = Path(arguments.table) if arguments.table else None
    if arguments.manifest:
        table = _trained(arguments.manifest, arguments.storage)
    if table is not None:
        if not table.is_file():
            _refuse(f"--table {table} is not there; benchmarks.search_efficiency.make_table makes one")
        problems = on_table(table)
    if problems.missing:
        sys.exit(f"{arguments.problem} needs {problems.missing}, which is not installed: {INSTALL}")
    families = arguments.family.split(",") if arguments.family else list(problems.families)
    if unknown := [family for family in families if family not in problems.families]:
        _refuse(f"--family {','.join(unknown)} is not known; {arguments.problem} has {','.join(problems.families)}")
    methods, left_out = _methods(arguments.methods, problems)
    for name, package in left_out.items():
        print(f"left out: {name}, because {package} is not installed ({INSTALL})", file=sys.stderr)
    trials = arguments.trials or problems.trials
    run = partial(one_seed, arguments.problem, table, methods, trials, arguments.workers)
    jobs = [(family, seed) for family in families for seed in range(arguments.seeds)]
    found = dict(zip(jobs, mapped(run, jobs, arguments.jobs), strict=True))
    told: dict[str, Any] = {
        "problem": arguments.problem,
        "seeds": arguments.seeds,
        "trials": trials,
        "workers": arguments.workers,
        "left_out": left_out,
        "families": {},
    }
    runs: dict[str, dict[str, list[list[Moment]]]] = {}
    best: dict[str, list[float]] = {}
    for family in families:
        by_seed = [found[family, seed] for seed in range(arguments.seeds)]
        runs[family] = {name: [seed[name] for seed in by_seed] for name in methods}
        true = problems.instance(family, 0).best
        best[family] = [true or max(h[-1].hypervolume for h in seed.values()) for seed in by_seed]
        told["families"][family] = measured(runs[family], best[family], (OURS, HALVING))
    told["seconds"] = round(time.perf_counter() - began, 1)
    if arguments.png:
        _draw(Path(arguments.png), runs, best)
    print(json.dumps(told, indent=1) if arguments.json else text(told))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--problem", choices=list(PROBLEMS), default="toy")
    parser.add_argument("--seeds", type=int, default=3, help="sweeps of each method on each family")
    parser.add_argument("--family", help="comma-separated, of the problem's instances; all without it")
    parser.add_argument("--trials", type=int, help="the budget, in whole trials; the problem's own without it")
    parser.add_argument("--workers", type=int, default=4, help="trials at once")
    parser.add_argument("--methods", help="comma-separated; all without it")
    jobs = os.cpu_count() or 1
    parser.add_argument(
        "--jobs", type=int, default=jobs, help="processes (one a core); the figures do not depend on it"
    )
    parser.add_argument("--manifest", help="adamml: train the table on these videos first (hours), or on demo")
    parser.add_argument(
        "--table", help="adamml: replay this table, made by make_table, instead of the one of AV-digits"
    )
    parser.add_argument("--storage", default="runs/search_efficiency", help="where those runs and their table lie")
    parser.add_argument("--png", help="draw hypervolume over passes into this file")
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    arguments = parser.parse_args()
    for name in ("seeds", "workers", "jobs"):
        if getattr(arguments, name) < 1:
            parser.error(f"--{name} must be 1 or more; got {getattr(arguments, name)}")
    if (arguments.manifest or arguments.table) and arguments.problem != "adamml":
        parser.error(f"--manifest and --table are of --problem adamml; got --problem {arguments.problem}")
    if arguments.manifest and arguments.table:
        parser.error("--manifest makes a table, --table gives one; say either")
    return arguments


def _methods(asked: str | None, problems: Problems) -> tuple[list[str], dict[str, str]]:
    """Which run, and of those that cannot: which package they lack."""
    every = names(problems.instance(problems.families[0], 0), given=problems.given)
    if asked is None:
        left_out = {name: package for name in every if (package := missing(name))}
        return [name for name in every if name not in left_out], left_out
    wanted = asked.split(",")
    if unknown := [name for name in wanted if not known(name)]:
        _refuse(f"--methods {','.join(unknown)} is not known here; there are {', '.join(every)}")
    if lacking := {package for name in wanted if (package := missing(name))}:
        _refuse(f"--methods {asked}: {', '.join(sorted(lacking))} is not installed: {INSTALL}")
    return wanted, {}


def _refuse(why: str) -> None:
    print(why, file=sys.stderr)
    sys.exit(2)


def _trained(manifest: str, storage: str) -> Path:
    """The table of these videos: trained first, where it is not there."""
    from benchmarks.search_efficiency.make_table import made

    folder = Path(storage)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "table.json"
    path.write_text(made(manifest, storage, seeds=(1, 2, 3), trials=16) + "\n", encoding="utf-8")
    return path


def _draw(path: Path, runs: Mapping[str, Mapping[str, list[list[Moment]]]], best: Mapping[str, list[float]]) -> None:
    from benchmarks.search_efficiency.figure import draw

    shown = {}
    for family, methods in runs.items():
        given = "+thresholds" if any("+thresholds" in name for name in methods) else ""
        wanted = [OURS, HALVING, "tune_optuna", *(f"{name}{given}" for name in FIGURE)]
        shown[family] = {name: methods[name] for name in dict.fromkeys(wanted) if name in methods}
    draw(path, shown, best)


def text(told: Mapping[str, Any]) -> str:
    of = f"{told['trials']} trials, {told['workers']} workers, {told['seeds']} seeds, {told['seconds']} s"
    lines = [f"{of}; median (quartiles; worst)"]
    for family, methods in told["families"].items():
        lines.append(
            f"\n{family:<32}{'passes':>7}  {'hypervolume in the end':<27}  {'passes to 95 %':<22}  {'passes: ours / its':<27}  "
            f"{'time: ours / its':<27}  {'to its end':<36}  p passes, hypervolume"
        )
        for name, row in methods.items():
            cells = (
                f"{name:<32}{row['passes']:>7g}  {_cell(row['hypervolume']):<27}  {_to(row['passes_to_95'], '.0f'):<22}"
            )
            if OURS in row.get("passes_ratio", {}):
                ps = ", ".join(
                    "-" if row[key][OURS] is None else f"{row[key][OURS]:.3f}" for key in ("p_passes", "p_hypervolume")
                )
                cells += (
                    f"  {_cell(row['passes_ratio'][OURS]):<27}  {_cell(row['time_ratio'][OURS]):<27}"
                    f"  {_to(row['to_their_end'][OURS], '.3f', worst=True):<36}  {ps}"
                )
            lines.append(cells)
    return "\n".join(lines)


def _cell(found: Mapping[str, float]) -> str:
    return f"{found['median']:.3f} ({found['q1']:.3f}-{found['q3']:.3f}; {found['worst']:.3f})"


def _to(found: Mapping[str, Any], form: str, *, worst: bool = False) -> str:
    reached = f"{found['reached']} of {found['of']}"
    if "median" not in found:
        return f"- ({reached})"
    return f"{_cell(found)}, {reached}" if worst else f"{found['median']:{form}} ({reached})"


if __name__ == "__main__":
    main()
