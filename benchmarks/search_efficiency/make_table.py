"""Train the runs that ``--problem adamml`` replays, and reduce them to its table.

    python -m benchmarks.search_efficiency.make_table --manifest MANIFEST [--storage runs] [--only-read] > TABLE

Independent trials (``adamml_small``, the recipe of ``benchmarks.conditioned_front``) and conditioned runs, for each seed; what is
in the storage is not trained again. Of each run: its parameters, seed, passes, every operating point that was valued on test, and
the default setting after each joint epoch. ``--manifest demo``: clips that are made for it.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.conditioned_front import VARIANTS, _space, _sweep
from benchmarks.conditioned_measures import Run, one_run, sweep_trials
from benchmarks.search_efficiency.problems.table import DEFAULT, SEARCH
from explorer.browse import Front
from explorer.spec.plan import chain
from explorer.store import Store

CONDITIONED = ("film", "cool")
ANNEALING = {"film": 0.965, "cool": 0.94}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--manifest", required=True, help="videos of your own, or demo")
    parser.add_argument("--storage", default="runs")
    parser.add_argument("--seeds", default="1,2,3")
    parser.add_argument("--trials", type=int, default=16, help="independent ones a seed")
    parser.add_argument("--set", action="append", default=[], help="KEY=VALUE for all runs: a quick try")
    parser.add_argument("--only-read", action="store_true", help="train nothing")
    arguments = parser.parse_args()
    seeds = [int(seed) for seed in arguments.seeds.split(",")]
    print(
        made(
            arguments.manifest,
            arguments.storage,
            seeds=seeds,
            trials=arguments.trials,
            settings=arguments.set,
            only_read=arguments.only_read,
        )
    )


def made(
    manifest: str,
    storage: str,
    *,
    seeds: Sequence[int],
    trials: int,
    settings: Sequence[str] = (),
    only_read: bool = False,
) -> str:
    """The table as text, one run a line."""
    search = {path: dimension.raw() for path, dimension in SEARCH.items()}
    arguments = argparse.Namespace(
        manifest=_demo(Path(storage)) if manifest == "demo" else manifest,
        storage=str(Path(storage).absolute()),
        set=[f"search={json.dumps(search)}", *settings],
    )
    rows: list[dict[str, Any]] = []
    references, dear, data = [], 0.0, None
    for seed in seeds:
        folder = Path(arguments.storage) / f"independent-{seed}"
        if not only_read:
            _sweep(_space(arguments, folder.name, seed), trials)
        front = Front.load(folder)
        references.append(front.reference.accuracy)
        dear = front.reference.gflops
        complete = sorted((t for t in front.record.trials if t.state == "COMPLETE"), key=lambda t: t.number)
        for trial, run in list(zip(complete, sweep_trials(front), strict=True))[:trials]:
            rows.append({"seed": seed, "conditioned": False, "params": dict(trial.parameters), **_row(run)})
        for name in CONDITIONED:
            space = _space(arguments, f"{name}-{seed}", seed, "baselines=[]", *VARIANTS[name])
            if not only_read:
                from explorer.train import train

                train(space)
            data = space.load_system().data_fingerprint(space.base_config())
            annealing = {
                "temperature.initial": DEFAULT["temperature.initial"],
                "temperature.anneal.decay": ANNEALING[name],
            }
            run = one_run(Store(space.store_folder), chain(space, {}))
            rows.append({"seed": seed, "conditioned": True, "params": annealing, **_row(run)})
    videos = next(p for p in run.points if p.test is not None)
    assert videos.test is not None
    told = {
        "data": data,
        "videos": {"val": videos.val.videos, "test": videos.test.videos},
        "all_on_gflops": dear,
        "reference_accuracy": sum(references) / len(references),
    }
    lines = ",\n".join(json.dumps(row, separators=(",", ":")) for row in rows)
    return f'{{"about":{json.dumps(told)},\n"runs":[\n{lines}\n]}}'


def _demo(storage: Path) -> str:
    from trainables.kit.data.synthetic import synthesise

    folder = storage.absolute() / "clips"
    manifest = folder / "manifest.jsonl"
    return str(manifest if manifest.exists() else synthesise(folder, videos=72, seconds=8.0))


def _row(run: Run) -> dict[str, Any]:
    passes = {"shared": 0, "own": 0}
    for key, (taken, _) in run.stages.items():
        stage = json.loads((run.folders[key] / "stage.json").read_text(encoding="utf-8"))["stage"]
        passes["own" if stage in ("joint", "finetune") else "shared"] += taken
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
    costs = {"passes": passes["own"], "shared_passes": passes["shared"], "seconds": round(run.seconds)}
    return {**costs, "points": points, "epochs": _epochs(run)}


def _epochs(run: Run) -> list[list[Any]]:
    """After each joint epoch, at the default setting: accuracy and GFLOPs on validation, on test, and rates on validation.

    On test null where the sweep dropped the epoch's tables, because other epochs of the trial dominated it.
    """
    rows = []
    for point in sorted(
        (p for p in run.points if p.stage == "joint" and p.selection == "default"), key=lambda p: p.epoch
    ):
        on_test = (None, None) if point.test is None else (point.test.accuracy, point.test.gflops["full"])
        numbers = (point.val.accuracy, point.val.gflops["full"], *on_test)
        rates = [round(rate, 4) for rate in point.val.rates.values()]
        rows.append([*(None if v is None else round(v, 6) for v in numbers), rates])
    return rows


if __name__ == "__main__":
    main()
