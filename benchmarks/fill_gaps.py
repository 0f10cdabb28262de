"""What aiming at the gaps of the front adds to a sampler, and what forking adds to that, at equal passes.

    python -m benchmarks.fill_gaps [--space toy] [--trials 24] [--seeds 5] [--after 6] [--fork 0.25] [--json]

Sweeps of one search space, one trial at a time in this process, that differ in ``fill_gaps`` alone. The toy is trained with the
epochs of its paper preset. ``hypervolume``: of the front after the first trials that take so many passes, by seed.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from explorer.browse import Front
from explorer.report.page.analysis import history
from explorer.search.book import CHAIN, REACHED, StudyBook
from explorer.search.from_space import search_of
from explorer.spec.load import load_space
from explorer.spec.plan import chain, own_chain
from explorer.spec.space import SearchSpace


def main() -> None:
    arguments = _arguments()
    variants: dict[str, str] = {
        "sampler": "fill_gaps=null",
        "aimed": f"fill_gaps={{after: {arguments.after}}}",
        "forked": f"fill_gaps={{after: {arguments.after}, fork: {arguments.fork}}}",
    }
    found: dict[str, list[Mapping[str, Any]]] = {name: [] for name in variants}
    for seed in range(arguments.seeds):
        for name, setting in variants.items():
            with tempfile.TemporaryDirectory(prefix="fill-gaps-") as folder:
                found[name].append(_swept(_space(arguments, folder, seed, setting)))
    report = _report(found)
    print(json.dumps(report) if arguments.json else _text(report))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--space", default="toy")
    parser.add_argument("--preset", default="paper")
    parser.add_argument("--trials", default=24, type=int)
    parser.add_argument("--seeds", default=5, type=int)
    parser.add_argument("--after", default=6, type=int)
    parser.add_argument("--fork", default=0.25, type=float)
    parser.add_argument("--set", action="append", default=[], help="KEY=VALUE")
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    return parser.parse_args()


def _space(arguments: argparse.Namespace, folder: str, seed: int, setting: str) -> SearchSpace:
    given = [f"storage={folder}", f"seed={seed}", f"preset={arguments.preset}", f"budget.trials={arguments.trials}"]
    return load_space(arguments.space, [*given, "baselines=[]", "tracking=none", *arguments.set, setting])


def _swept(space: SearchSpace) -> Mapping[str, Any]:
    """Passes and hypervolume after each trial."""
    from explorer.run.trial import measure, reached
    from explorer.train import train_jobs

    space.folder.mkdir(parents=True)
    (space.folder / "space.yaml").write_text(space.to_yaml())
    book = StudyBook(Path(space.folder) / "study.journal", search_of(space), trials=space.budget.trials)
    while (asked := book.ask()) is not None:
        jobs = chain(space, asked.params, asked.fork)
        train_jobs(space, jobs, on_epoch=lambda report: None, on_stage=lambda stage: None)
        notes = {CHAIN: own_chain(jobs), REACHED: reached(space, jobs)}
        book.tell(asked.number, measure(space, jobs[-1]), attrs=notes)
    book.close()
    told = history(Front.load(space.folder))
    return {"passes": told["passes"], "hypervolume": told["hypervolume"]["full"]}


def _report(found: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, Any]:
    least = min(run["passes"][-1] for runs in found.values() for run in runs)
    budgets = [round(least * share) for share in (0.25, 0.5, 0.75, 1.0)]
    at = {name: {b: [_at(run, b) for run in runs] for b in budgets} for name, runs in found.items()}
    return {
        "budgets": budgets,
        "hypervolume": at,
        "passes": {name: float(np.mean([run["passes"][-1] for run in runs])) for name, runs in found.items()},
        "end": {name: [run["hypervolume"][-1] for run in runs] for name, runs in found.items()},
    }


def _at(run: Mapping[str, Any], passes: int) -> float:
    within = [volume for volume, taken in zip(run["hypervolume"], run["passes"], strict=True) if taken <= passes]
    return within[-1] if within else 0.0


def _text(report: Mapping[str, Any]) -> str:
    lines = []
    for name, by_budget in report["hypervolume"].items():
        cells = [f"{np.mean(volumes):.4f} ± {_error(volumes):.4f} at {budget}" for budget, volumes in by_budget.items()]
        end = report["end"][name]
        lines.append(f"{name:8} {'  '.join(cells)}  end {np.mean(end):.4f} after {report['passes'][name]:.0f} passes")
    return "\n".join([*lines, "hypervolume (mean ± standard error over seeds) at so many passes"])


def _error(values: Sequence[float]) -> float:
    return float(np.std(values, ddof=1) / np.sqrt(len(values))) if len(values) > 1 else 0.0


if __name__ == "__main__":
    main()
