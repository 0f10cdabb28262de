"""Reduce the runs of ``benchmarks.conditioned_front`` to the table that ``--problem adamml`` replays.

    python -m benchmarks.search_efficiency.make_table --manifest MANIFEST --storage runs --set 'search=...' > TABLE

Of each training run: its parameters, seed, passes, and every operating point that was valued on test.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from benchmarks.conditioned_front import VARIANTS, _space
from benchmarks.conditioned_measures import Run, one_run, sweep_trials
from explorer.browse import Front
from explorer.spec.plan import chain
from explorer.store import Store

CONDITIONED = ("film", "cool")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--manifest", required=True)
    parser.add_argument("--storage", default="runs")
    parser.add_argument("--seeds", default="1,2,3")
    parser.add_argument("--set", action="append", default=[], help="KEY=VALUE, as the runs were made with")
    arguments = parser.parse_args()
    rows: list[dict[str, Any]] = []
    references, dear, data = [], 0.0, None
    for seed in map(int, arguments.seeds.split(",")):
        front = Front.load(Path(arguments.storage).absolute() / f"independent-{seed}")
        references.append(front.reference.accuracy)
        dear = front.reference.gflops
        complete = sorted((t for t in front.record.trials if t.state == "COMPLETE"), key=lambda t: t.number)
        for trial, run in zip(complete, sweep_trials(front), strict=True):
            rows.append({"seed": seed, "conditioned": False, "params": dict(trial.parameters), **_row(run)})
        for name in CONDITIONED:
            space = _space(arguments, f"{name}-{seed}", seed, "baselines=[]", *VARIANTS[name])
            data = space.load_system().data_fingerprint(space.base_config())
            annealing = {"temperature.initial": 5.0, "temperature.anneal.decay": 0.94 if name == "cool" else 0.965}
            run = one_run(Store(space.store_folder), chain(space, {}))
            rows.append({"seed": seed, "conditioned": True, "params": annealing, **_row(run)})
    told = {"data": data, "all_on_gflops": dear, "reference_accuracy": sum(references) / len(references)}
    lines = ",\n".join(json.dumps(row, separators=(",", ":")) for row in rows)
    print(f'{{"about":{json.dumps(told)},\n"runs":[\n{lines}\n]}}')


def _row(run: Run) -> dict[str, Any]:
    passes = sorted(passes for passes, _ in run.stages.values())  # warm-up, fine-tuning, joint stage, two unimodal nets
    own = sum(passes) - 105
    points = [
        [
            p.stage[0],
            p.epoch,
            int(p.selection == "default"),
            {name: round(float(value), 4) for name, value in p.knobs.items()},
            *(round(v, 6) for v in (p.val.accuracy, p.val.gflops["full"], p.test.accuracy, p.test.gflops["full"])),
        ]
        for p in run.points
        if p.test is not None
    ]
    return {"passes": own, "shared_passes": 105, "seconds": round(run.seconds), "points": points}


if __name__ == "__main__":
    main()
