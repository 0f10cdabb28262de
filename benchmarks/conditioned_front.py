"""Does one conditioned training run hold the front that takes a sweep of independent trials?

    python -m benchmarks.conditioned_front --manifest MANIFEST [--storage runs] [--seeds 1,2,3] [--trials 8,16] [--json]
    python -m benchmarks.conditioned_front --manifest MANIFEST --only-read [--independent 'runs/independent-{seed}']

For each seed: a sweep of independent trials (``adamml_small``: its search space, TPE, one trial at a time), and each of
``--variants``, one training run each, in the same store, so that what they share is trained once; what is there is not trained
again. ``--only-read`` trains nothing and leaves out what is not there. Without a manifest: the demonstration's clips.

Points are chosen on validation (thresholds given to both sides) and valued on test. ``hypervolume_ratio``: of the first
variant over that of the largest number of trials; ``low`` and ``high`` are the ends of a paired bootstrap (95 %) over test
videos and seeds. ``passes_ratio``: passes over the training videos, over those of one independent trial.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.conditioned_measures import Run, compared, one_run, sweep_trials
from explorer.browse import Front
from explorer.errors import CheckpointMissing, NotFound
from explorer.spec import SearchSpace, load_space
from explorer.spec.plan import chain
from explorer.store import Store

_COSINE = ("stages.joint.recognition.schedule=cosine", "stages.joint.policy.schedule=cosine")
# At most 1.2 times the passes of one trial: 35 joint epochs in place of 20 are 30 passes on top of 155.
RECIPE = ("gamma=0", "stages.joint.epochs=35", *_COSINE)
WIDE = ("policy.conditioning=lambda", "policy.draws.rgb=[0.5, 64]", "policy.draws.audio=[0.125, 16]")
NARROW = ("policy.draws.rgb=[0.1, 8]", "policy.draws.audio=[0.025, 2]")
HIGH = ("policy.draws.rgb=[4, 100]", "policy.draws.audio=[2, 64]")
UPPER = ("policy.draws.rgb=[2, 64]", "policy.draws.audio=[0.5, 16]")
CONDITIONED = (*WIDE, *RECIPE)
VARIANTS: Mapping[str, tuple[str, ...]] = {
    "film": CONDITIONED,
    "concat": (*CONDITIONED, "policy.conditioning_mode=concat"),
    "one_lambda": (*CONDITIONED, "policy.draws.recognition=middle"),
    "unconditioned": RECIPE,
    "short": (*WIDE, "gamma=0"),
    "high": ("policy.conditioning=lambda", *HIGH, *RECIPE),
    "upper": ("policy.conditioning=lambda", *UPPER, *RECIPE),
    "cool": (*CONDITIONED, "temperature.anneal.decay=0.94"),
    "narrow": ("policy.conditioning=lambda", *NARROW, *RECIPE),
    "narrow_gamma": ("policy.conditioning=lambda", *NARROW, *RECIPE, "gamma=0.5"),
}


def main() -> None:
    arguments = _arguments()
    per_seed: dict[int, Mapping[str, Any]] = {}
    for seed in map(int, arguments.seeds.split(",")):
        folder = Path(arguments.independent.format(seed=seed)).absolute()
        if not arguments.only_read:
            _sweep(_space(arguments, folder.name, seed, storage=folder.parent), max(arguments.trials))
        try:
            front = Front.load(folder)
        except NotFound as error:
            print(error, file=sys.stderr)
            continue
        variants = {name: _variant(arguments, name, seed) for name in arguments.variants.split(",")}
        found = {name: run for name, run in variants.items() if run is not None}
        per_seed[seed] = {"front": front, "trials": sweep_trials(front), "variants": found}
    if not per_seed:
        raise SystemExit("no sweep of independent trials was found; leave --only-read out, or say --independent")
    report = compared(per_seed, trials=arguments.trials, draws=arguments.bootstrap)
    print(json.dumps(report) if arguments.json else _text(report))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--manifest", default="demo/clips/manifest.jsonl", help="videos of your own")
    parser.add_argument("--storage", default="runs", help="where the runs lie, or are to lie")
    parser.add_argument(
        "--independent", default=None, help="folders of the independent sweeps; {seed} stands for the seed"
    )
    parser.add_argument("--seeds", default="1,2,3")
    parser.add_argument("--trials", default="8,16", type=lambda text: tuple(map(int, text.split(","))))
    parser.add_argument("--variants", default="film", help=f"of {', '.join(VARIANTS)}; the first is the one compared")
    parser.add_argument("--set", action="append", default=[], help="KEY=VALUE for both sides: a quick try")
    parser.add_argument("--bootstrap", default=2000, type=int, help="number of resamplings")
    parser.add_argument("--only-read", action="store_true", help="train nothing")
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    arguments = parser.parse_args()
    unknown = set(arguments.variants.split(",")) - set(VARIANTS)
    if unknown:
        parser.error(f"unknown variants {', '.join(sorted(unknown))}; there are {', '.join(VARIANTS)}")
    arguments.independent = arguments.independent or f"{arguments.storage}/independent-{{seed}}"
    return arguments


def _space(
    arguments: argparse.Namespace, name: str, seed: int, *more: str, storage: Path | str | None = None
) -> SearchSpace:
    given = [f"data.manifest={arguments.manifest}", f"storage={storage or arguments.storage}", f"name={name}"]
    given += [f"seed={seed}", "start_with=defaults", "baselines=[unimodal, weighted_fusion]", "resources.groups=1"]
    return load_space("adamml_small", [*given, *more, *arguments.set])


def _sweep(space: SearchSpace, trials: int) -> None:
    """By the command that people type; a finished sweep goes on to ``trials`` or ends at once."""
    space.folder.mkdir(parents=True, exist_ok=True)
    source = space.folder / "benchmark.yaml"
    source.write_text(space.to_yaml(), encoding="utf-8")
    command = [
        sys.executable,
        "-m",
        "explorer.cli.app",
        "sweep",
        str(source),
        "-o",
        f"budget.trials={trials}",
        "--json",
    ]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def _variant(arguments: argparse.Namespace, name: str, seed: int) -> Run | None:
    space = _space(arguments, f"{name}-{seed}", seed, "baselines=[]", *VARIANTS[name])
    if not arguments.only_read:
        from explorer.train import train

        train(space)
    try:
        return one_run(Store(space.store_folder), chain(space, {}))
    except CheckpointMissing:
        print(f"seed {seed}: {name} has not been trained in {space.storage}", file=sys.stderr)
        return None


def _text(report: Mapping[str, Any]) -> str:
    lines = [f"seeds {report['seeds']}, {report['test_videos']} test videos; hypervolume on test, chosen on validation"]
    for name, found in report["variants"].items():
        lines.append(
            f"{name}: {found['passes']:g} passes ({found['passes_ratio']:.3f} of one trial), {found['seconds']:.0f} s"
        )
        for trials, ratio in found["hypervolume_ratios"].items():
            lines.append(
                f"  against {trials:>2} trials: {ratio['mean']:.3f} [{ratio['low']:.3f}, {ratio['high']:.3f}]  seeds "
                + ", ".join(f"{value:.3f}" for value in ratio["by_seed"])
            )
        low, high = found["gflops_share"]
        lines.append(f"  front from {low:.3f} to {high:.3f} of everything on")
        if found["monotone"] is not None:
            lines.append(f"  cost does not rise with a weight in {found['monotone']:.1%} of the steps of the grid")
        for share, matched in found["matched"].items():
            lines.append(
                f"  at {share} of everything on: accuracy {matched['mean']:+.3f} ± {matched['standard_error']:.3f}"
            )
        for kind, worst in (found["controller"] or {}).items():
            lines.append(f"  budget controller, {kind} stream: off by at most {worst:.2%} after 200 videos")
    lines.append("hypervolume after so many passes (mean over seeds), starting conditioned and not:")
    lines += [
        f"  {row['passes']:>6g}  {row['conditioned']:.4f}  {row['independent']:.4f}" for row in report["by_passes"]
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
