"""Is a trial that is forked from a neighbour as good as the same one trained from scratch?

    python -m benchmarks.forks --manifest MANIFEST [--storage runs] [--seeds 1,2,3] [--points 5] [--share 0.25] [--json]
    python -m benchmarks.forks --manifest MANIFEST --aimed 5 --after 8 [--anew 2]

For each seed: a sweep of independent trials (``adamml_small``, TPE, ``--trials`` of them; what is there is not trained again).
Its trials 1 to ``--points``, which the sampler drew without knowing anything, are trained once more as forks: with the same
parameters, from the joint checkpoint of the nearest (logarithms of the weights) of the other trials that are on the front
without them, for ``--share`` of the joint stage's epochs. Without a manifest: the demonstration's clips.

``accuracy_difference``: fork less scratch on test, at the default knobs after fine-tuning, paired over videos. ``hypervolume``: of
all of a trial's own points, chosen on validation and valued on test; ``added``: what they add to those of the trial that the fork
starts from. ``passes``: of what a trial trains for itself.

With ``--aimed``: after the first ``--after`` trials of each sweep so many forks are aimed at gaps, one after the other, the first
``--anew`` of them also trained from scratch. ``hypervolume``: of the front after each, beside what the sampler's own next trials
made of it.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.conditioned_front import _space, _sweep
from benchmarks.conditioned_measures import Run, Valued, one_run, ratio, table, together, valued
from explorer.browse import Front, FrontPoint, Reference
from explorer.fronts import front as non_dominated
from explorer.records import TrialRecord
from explorer.search.filling import Filling, Reached
from explorer.search.focus import gap_focus
from explorer.spec.fork import Fork
from explorer.spec.plan import chain, own_chain
from explorer.spec.space import SearchSpace
from explorer.store import Store
from trainables.contract import StageJob

SEARCH = (
    'search={"lambda.rgb": {"log": [0.5, 64]}, "lambda.audio": {"log": [0.125, 16]}, '
    '"temperature.initial": {"uniform": [1, 10]}, "temperature.anneal.decay": {"uniform": [0.9, 1]}}'
)
DRAWS = 2000


def main() -> None:
    arguments = _arguments()
    pairs: list[dict[str, Any]] = []
    filled: list[dict[str, Any]] = []
    references: dict[int, Reference] = {}
    for seed in map(int, arguments.seeds.split(",")):
        space = _space(arguments, f"independent-{seed}", seed, f"fill_gaps={{fork: {arguments.share}}}")
        front_of = Front.load if arguments.only_read else _swept(arguments, seed)
        front = front_of(space.folder)
        assert front.reference is not None
        references[seed] = front.reference
        if arguments.aimed:
            filled.append({"seed": seed, **filled_gaps(space, front, arguments)})
            continue
        for number in range(1, arguments.points + 1):
            pair = _pair(space, front, number, train=not arguments.only_read)
            print(_line(pair), file=sys.stderr, flush=True)
            pairs.append({"seed": seed, **pair})
    report = {"filled": filled} if arguments.aimed else _report(pairs, references)
    print(json.dumps(report) if arguments.json or arguments.aimed else _text(report))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--manifest", default="demo/clips/manifest.jsonl", help="videos of your own")
    parser.add_argument("--storage", default="runs", help="where the runs lie, or are to lie")
    parser.add_argument("--seeds", default="1,2,3")
    parser.add_argument("--trials", default=16, type=int, help="of each sweep")
    parser.add_argument("--points", default=5, type=int, help="trials of each sweep that are forked")
    parser.add_argument("--share", default=0.25, type=float, help="of the joint stage's epochs")
    parser.add_argument("--aimed", default=0, type=int, help="forks that are aimed at gaps")
    parser.add_argument("--after", default=8, type=int, help="trials of the sweep before them")
    parser.add_argument("--anew", default=0, type=int, help="of these, how many are trained from scratch as well")
    parser.add_argument("--set", action="append", default=[], help="KEY=VALUE for everything: a quick try")
    parser.add_argument("--only-read", action="store_true", help="train nothing; everything must be there")
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    arguments = parser.parse_args()
    arguments.set = [SEARCH, *arguments.set]
    return arguments


def _swept(arguments: argparse.Namespace, seed: int) -> Any:
    def load(folder: Path) -> Front:
        _sweep(_space(arguments, folder.name, seed), arguments.trials)
        return Front.load(folder)

    return load


# --- a pair -----------------------------------------------------------------------------------------------------------


def _pair(space: SearchSpace, front: Front, number: int, *, train: bool) -> dict[str, Any]:
    """Trial ``number`` from scratch, and as a fork."""
    trials = {t.number: t for t in front.record.trials if t.state == "COMPLETE"}
    target, origin = trials[number], _origin(space, front, number)
    scratch, fork = chain(space, target.parameters), chain(space, target.parameters, _fork(origin))
    if train:
        from explorer.train import train_jobs

        train_jobs(space, fork, on_epoch=lambda report: None, on_stage=lambda stage: None)
    store = Store(space.store_folder)
    runs = {"scratch": _own(store, scratch), "fork": _own(store, fork)}
    parent = _own(store, chain(space, origin.parameters))
    ends = {name: _end(run) for name, run in runs.items()}
    return {
        "trial": number,
        "origin": origin.number,
        "distance": _distance(space, target, origin),
        "lambda": {path: target.parameters[path] for path in space.weights()},
        "accuracy": {name: float(end.correct_PB.mean()) for name, end in ends.items()},
        "gflops": {name: float(end.gmacs_PB.mean()) for name, end in ends.items()},
        "passes": {name: run.passes for name, run in runs.items()},
        "seconds": {name: run.seconds for name, run in runs.items()},
        "difference_B": ends["fork"].correct_PB[0].astype(float) - ends["scratch"].correct_PB[0],
        "runs": runs,
        "beside": {"parent": parent, **{side: together([parent, run]) for side, run in runs.items()}},
    }


def _fork(origin: TrialRecord) -> Fork:
    return Fork(trial=origin.number, params=dict(origin.parameters))


def _origin(space: SearchSpace, front: Front, number: int) -> TrialRecord:
    """The nearest trial with a point on the front of all trials but ``number``."""
    members = non_dominated([point for point in front.deployable if point.trial != number])
    trials = {t.number: t for t in front.record.trials}
    found: dict[int, TrialRecord] = {n: trials[n] for n in _trials_of(members)}
    return min(found.values(), key=lambda t: (_distance(space, trials[number], t), t.number))


def _trials_of(points: Sequence[FrontPoint]) -> list[int]:
    return sorted({point.trial for point in points if point.trial is not None})


def _distance(space: SearchSpace, one: TrialRecord, other: TrialRecord) -> float:
    """Of the weights' logarithms to base 2."""
    return math.hypot(*(math.log2(one.parameters[path] / other.parameters[path]) for path in space.weights()))


def _own(store: Store, jobs: Sequence[StageJob]) -> Run:
    """What a trial trains for itself: the stages that depend on the weights."""
    own = {stage: key for stage, key in own_chain(jobs).items() if stage in ("joint", "finetune")}
    return one_run(store, [job for job in jobs if job.key in own.values()])


def _end(run: Run) -> Valued:
    """The last epoch at the default knobs, on test."""
    point = [p for p in run.points if p.stage == "finetune" and p.selection == "default"][-1]
    scored = table(run.folders[point.key], point.epoch, "test").score([point.knobs])
    return Valued(points=[point], correct_PB=scored.correct_PB, gmacs_PB=scored.gmacs_PB["full"])


# --- gaps -------------------------------------------------------------------------------------------------------------


def filled_gaps(space: SearchSpace, front: Front, arguments: argparse.Namespace) -> dict[str, Any]:
    """What forks aimed at gaps add to the first trials of a sweep, and what its own next trials did."""
    from explorer.run.trial import reached
    from explorer.train import train_jobs

    store, reference = Store(space.store_folder), front.reference
    assert reference is not None
    trials = sorted((t for t in front.record.trials if t.state == "COMPLETE"), key=lambda t: t.number)
    filling = Filling(search=space.search, weights=space.weights(), after=2, every=1, can_fork=lambda params: True)

    def of(number: int, params: Mapping[str, Any], fork: Fork | None) -> tuple[Reached, Run]:
        jobs = chain(space, params, fork)
        if not arguments.only_read:
            train_jobs(space, jobs, on_epoch=lambda report: None, on_stage=lambda stage: None)
        return Reached(trial=number, params=params, fork=fork, **reached(space, jobs)), _own(store, jobs)

    def volumes(begin: Sequence[Run], more: Sequence[Run]) -> list[dict[str, float]]:
        so_far = [together([*begin, *more[:n]]) for n in range(len(more) + 1)]
        own = [sum(run.passes for run in more[:n]) for n in range(len(more) + 1)]
        return [
            {"passes": p, "hypervolume": valued(run).hypervolume(reference)} for p, run in zip(own, so_far, strict=True)
        ]

    everyone = [of(t.number, dict(t.parameters), None) for t in trials]
    begin = everyone[: arguments.after]
    known, forks, anew, aims = [one for one, _ in begin], [], [], []
    for number in range(arguments.aimed):
        focus = next((f for f in gap_focus(filling, known, (), number=number) if f.fork is not None), None)
        if focus is None:
            break
        assert focus.aim is not None
        one, run = of(len(trials) + number, dict(focus.settled), focus.fork)
        known.append(one)
        forks.append(run)
        aims.append(str(focus.aim))
        print(f"{focus.aim}, forked from trial {focus.fork.trial if focus.fork else ''}", file=sys.stderr, flush=True)
        if number < arguments.anew:
            anew.append(of(0, dict(focus.settled), None)[1])
    first = [run for _, run in begin]
    ends = [(_end(a), _end(b)) for a, b in zip(anew, forks, strict=False)]
    return {
        "aims": aims,
        "forked": volumes(first, forks),
        "anew": volumes(first, anew),
        "sampler": volumes(first, [run for _, run in everyone[arguments.after :]]),
        "pairs": [
            {
                "accuracy": {"scratch": float(a.correct_PB.mean()), "fork": float(b.correct_PB.mean())},
                "gflops": {"scratch": float(a.gmacs_PB.mean()), "fork": float(b.gmacs_PB.mean())},
                "accuracy_difference": _spread(b.correct_PB[0].astype(float) - a.correct_PB[0]),
            }
            for a, b in ends
        ],
    }


# --- the report -------------------------------------------------------------------------------------------------------


def _report(pairs: Sequence[Mapping[str, Any]], references: Mapping[int, Reference]) -> dict[str, Any]:
    seeds = sorted(references)
    fronts: dict[str, list[Valued]] = {}
    alone: dict[str, list[float]] = {}
    added: dict[str, list[float]] = {}
    for side in ("scratch", "fork"):
        of_seed = {seed: [pair["runs"][side] for pair in pairs if pair["seed"] == seed] for seed in seeds}
        fronts[side] = [valued(together(of_seed[seed])) for seed in seeds]
        alone[side] = [valued(pair["runs"][side]).hypervolume(references[pair["seed"]]) for pair in pairs]
        added[side] = [
            valued(p["beside"][side]).hypervolume(references[p["seed"]])
            - valued(p["beside"]["parent"]).hypervolume(references[p["seed"]])
            for p in pairs
        ]
    difference_B = np.mean([pair["difference_B"] for pair in pairs], 0)
    told = [
        {
            **{name: value for name, value in pair.items() if name not in ("difference_B", "runs", "beside")},
            "accuracy_difference": _spread(pair["difference_B"]),
            "hypervolume": {side: alone[side][i] for side in alone},
            "added": {side: added[side][i] for side in added},
        }
        for i, pair in enumerate(pairs)
    ]
    logs = [math.log(pair["gflops"]["fork"] / pair["gflops"]["scratch"]) for pair in pairs]
    gains = [b - a for a, b in zip(alone["scratch"], alone["fork"], strict=True)]
    return {
        "seeds": seeds,
        "test_videos": len(difference_B),
        "pairs": told,
        "accuracy_difference": _spread(difference_B),
        "accuracy_difference_over_pairs": _spread([float(pair["difference_B"].mean()) for pair in pairs]),
        "gflops_ratio": math.exp(float(np.mean(logs))),
        "hypervolume_difference": _spread(gains),
        "added": {side: _spread(volumes) for side, volumes in added.items()},
        "hypervolume": {
            side: [v.hypervolume(references[s]) for v, s in zip(fronts[side], seeds, strict=True)] for side in fronts
        },
        "hypervolume_ratio": ratio(fronts["fork"], fronts["scratch"], [references[s] for s in seeds], DRAWS),
        "passes_ratio": sum(p["passes"]["fork"] for p in pairs) / sum(p["passes"]["scratch"] for p in pairs),
    }


def _spread(values: Sequence[float] | np.ndarray) -> dict[str, float]:
    found = np.asarray(values, float)
    error = float(found.std(ddof=1) / math.sqrt(len(found))) if len(found) > 1 else math.nan
    return {"mean": float(found.mean()), "standard_error": error}


def _line(pair: Mapping[str, Any]) -> str:
    accuracy, gflops = pair["accuracy"], pair["gflops"]
    return (
        f"trial {pair['trial']} forked from {pair['origin']}: accuracy {accuracy['scratch']:.3f} -> {accuracy['fork']:.3f}, "
        f"GFLOPs {gflops['scratch']:.4g} -> {gflops['fork']:.4g}, passes {pair['passes']['scratch']} -> {pair['passes']['fork']}"
    )


def _text(report: Mapping[str, Any]) -> str:
    lines = [f"seeds {report['seeds']}, {report['test_videos']} test videos; scratch -> fork, on test"]
    for pair in report["pairs"]:
        difference, volume = pair["accuracy_difference"], pair["hypervolume"]
        lines.append(
            f"seed {pair['seed']}, {_line(pair)}; accuracy {difference['mean']:+.3f} ± {difference['standard_error']:.3f}, "
            f"own hypervolume {volume['scratch']:.3f} -> {volume['fork']:.3f}, "
            f"added to its parent's {pair['added']['scratch']:.3f} -> {pair['added']['fork']:.3f}, distance {pair['distance']:.2f}"
        )
    total, pairs, gain = (
        report[name] for name in ("accuracy_difference", "accuracy_difference_over_pairs", "hypervolume_difference")
    )
    both = report["hypervolume_ratio"]
    lines += [
        f"accuracy {total['mean']:+.4f} ± {total['standard_error']:.4f} over videos, ± {pairs['standard_error']:.4f} over pairs",
        f"GFLOPs x {report['gflops_ratio']:.3f}, passes x {report['passes_ratio']:.3f}",
        f"own hypervolume of a trial {gain['mean']:+.4f} ± {gain['standard_error']:.4f} (over pairs)",
        "hypervolume added to the parent's: "
        + ", ".join(f"{side} {s['mean']:.4f} ± {s['standard_error']:.4f}" for side, s in report["added"].items()),
        f"hypervolume of the points together x {both['mean']:.3f} [{both['low']:.3f}, {both['high']:.3f}]",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
