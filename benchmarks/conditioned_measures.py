"""What ``benchmarks.conditioned_front`` compares: fronts of runs, valued video by video on test.

Axes: ``B`` test video, ``P`` point of a front.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from explorer.browse import Front, Reference
from explorer.fronts import OperatingPoint, hypervolume
from explorer.fronts import front as non_dominated
from explorer.fronts.controller import BudgetController
from explorer.store import Store
from trainables.contract import Replay, StageJob
from trainables.kit.engine.files import read_arrays
from trainables.kit.measure.replay import ModalityReplay
from trainables.systems import load_system

SHARES = (0.1, 0.15, 0.2, 0.25, 0.3, 0.4)  # of everything on: where accuracies are compared
AFTER = 200  # videos after which the budget controller is held to its budget
STREAM = 2000  # videos of a stream
_CHEAPEST = 1e-3


@dataclass(frozen=True, kw_only=True)
class Run:
    """One training run. ``stages``: key -> passes and seconds. ``folders``: key -> the stage's folder."""

    points: Sequence[OperatingPoint]
    stages: Mapping[str, tuple[int, float]]
    folders: Mapping[str, Path]

    @property
    def passes(self) -> int:
        return sum(passes for passes, _ in self.stages.values())

    @property
    def seconds(self) -> float:
        return sum(seconds for _, seconds in self.stages.values())


@dataclass(frozen=True, kw_only=True)
class Valued:
    """A front on test: ``correct_PB`` and ``gmacs_PB``."""

    points: Sequence[OperatingPoint]
    correct_PB: np.ndarray
    gmacs_PB: np.ndarray

    def hypervolume(self, reference: Reference, video_B: np.ndarray | slice = slice(None)) -> float:
        """The area on the videos ``video_B`` (with repetitions), cost in the logarithm, as ``explorer.fronts.hypervolume``."""
        accuracy_P = self.correct_PB[:, video_B].mean(1)
        share_P = np.maximum(self.gmacs_PB[:, video_B].mean(1) / reference.gflops, _CHEAPEST)
        area, best = 0.0, reference.accuracy
        # From the dearest down: each point adds, to the left of what is counted, the strip up to its own accuracy.
        order = np.argsort(np.log(share_P))
        costs = [*np.minimum(np.log(share_P[order]), 0.0), 0.0]
        for place, p in enumerate(order):
            best = max(best, float(accuracy_P[p]))
            area += (costs[place + 1] - costs[place]) * (best - reference.accuracy)
        return area


def one_run(store: Store, jobs: Iterable[StageJob]) -> Run:
    """The run of ``jobs``. Raises ``CheckpointMissing``."""
    return _run(store, [job.key for job in jobs])


def sweep_trials(front: Front) -> list[Run]:
    """The complete trials of a sweep, in order."""
    from explorer.records import read_sweep

    store = Store(front.folder.parent / "store")
    complete = [t for t in read_sweep(front.folder).trials if t.state == "COMPLETE"]
    return [_run(store, list(t.chain.values())) for t in sorted(complete, key=lambda t: t.number)]


def _run(store: Store, keys: Sequence[str]) -> Run:
    points: list[OperatingPoint] = []
    stages, folders = {}, {}
    for key in keys:
        info = store.stage_info(key)
        stages[key] = (info["training_passes"], info["provenance"]["seconds"])
        folders[key] = store.root / key
        if info["mode"] == "policy" and info["baseline"] is None and (folders[key] / "points.json").exists():
            points += [OperatingPoint.from_dict(raw) for raw in store.points(key)]
    return Run(points=points, stages=stages, folders=folders)


def together(runs: Sequence[Run]) -> Run:
    """Several runs as one; stages that they share count once."""
    return Run(
        points=[p for run in runs for p in run.points],
        stages={key: stage for run in runs for key, stage in run.stages.items()},
        folders={key: folder for run in runs for key, folder in run.folders.items()},
    )


def valued(run: Run) -> Valued:
    """The run's front on validation, of the points that were measured on test, video by video on test."""
    members = non_dominated([p for p in run.points if p.test is not None])
    tables: dict[tuple[str, int], Replay] = {}
    correct, gmacs = [], []
    for point in members:
        at = (point.key, point.epoch)
        if at not in tables:
            tables[at] = table(run.folders[point.key], point.epoch, "test")
        scored = tables[at].score([point.knobs])
        correct.append(scored.correct_PB[0])
        gmacs.append(scored.gmacs_PB["full"][0])
    return Valued(points=members, correct_PB=np.array(correct), gmacs_PB=np.array(gmacs))


def table(folder: Path, epoch: int, split: str) -> Replay:
    """A stored replay table."""
    info = json.loads((folder / "stage.json").read_text())
    system = load_system(info["system"])
    config = system.Config.model_validate(info["config"])
    return system.replay_from(read_arrays(folder / "epochs" / f"{epoch:04d}" / f"{split}.safetensors"), config)


def compared(per_seed: Mapping[int, Mapping[str, Any]], *, trials: Sequence[int], draws: int) -> dict[str, Any]:
    """The whole report. ``per_seed``: seed -> ``front`` (of its sweep), ``trials`` (runs in order), ``variants`` (by name)."""
    seeds = sorted(per_seed)
    references = [per_seed[seed]["front"].reference for seed in seeds]
    counts = [n for n in trials if all(len(per_seed[s]["trials"]) >= n for s in seeds)]
    counts = counts or [min(len(per_seed[s]["trials"]) for s in seeds)]
    sweeps = {n: [together(per_seed[s]["trials"][:n]) for s in seeds] for n in counts}
    fronts = {n: [valued(sweep) for sweep in sweeps[n]] for n in counts}
    one = float(np.mean([per_seed[s]["trials"][0].passes for s in seeds]))
    names = [name for name in per_seed[seeds[0]]["variants"] if all(name in per_seed[s]["variants"] for s in seeds)]
    variants: dict[str, Any] = {}
    for name in names:
        runs = [per_seed[s]["variants"][name] for s in seeds]
        own = [valued(run) for run in runs]
        variants[name] = {
            "passes": float(np.mean([run.passes for run in runs])),
            "seconds": float(np.mean([run.seconds for run in runs])),
            "passes_ratio": float(np.mean([run.passes for run in runs])) / one,
            "hypervolume": [v.hypervolume(r) for v, r in zip(own, references, strict=True)],
            "hypervolume_val": [on_validation(v, r) for v, r in zip(own, references, strict=True)],
            "hypervolume_ratios": {n: ratio(own, fronts[n], references, draws) for n in counts},
            "gflops_share": _range(own, references),
            "monotone": _mean([monotone(run) for run in runs]),
            "matched": matched(own, fronts[counts[-1]], references),
            "controller": controller(runs[0]),
        }
    first = variants[names[0]] if names else None
    largest = counts[-1]
    return {
        "seeds": seeds,
        "test_videos": int(fronts[largest][0].correct_PB.shape[1]),
        "trials": largest,
        "hypervolume_ratio": None if first is None else first["hypervolume_ratios"][largest]["mean"],
        "hypervolume_ratio_low": None if first is None else first["hypervolume_ratios"][largest]["low"],
        "passes_ratio": None if first is None else first["passes_ratio"],
        "passes_of_one_trial": one,
        "independent": {
            n: {
                "hypervolume": [f.hypervolume(r) for f, r in zip(fronts[n], references, strict=True)],
                "hypervolume_val": [on_validation(f, r) for f, r in zip(fronts[n], references, strict=True)],
                "passes": float(np.mean([sweep.passes for sweep in sweeps[n]])),
                "seconds": float(np.mean([sweep.seconds for sweep in sweeps[n]])),
                "gflops_share": _range(fronts[n], references),
            }
            for n in counts
        },
        "variants": variants,
        "by_passes": by_passes(per_seed, names[0], references) if names else [],
    }


def ratio(
    ours: Sequence[Valued], theirs: Sequence[Valued], references: Sequence[Reference], draws: int
) -> dict[str, Any]:
    """Ratio of the mean hypervolumes, with a paired bootstrap: seeds, and each seed's test videos for both sides alike."""

    def of(seeds: Sequence[int], videos: Sequence[np.ndarray | slice]) -> float:
        pairs = [
            (ours[s].hypervolume(references[s], v), theirs[s].hypervolume(references[s], v))
            for s, v in zip(seeds, videos, strict=True)
        ]
        a, b = np.mean(pairs, 0)
        return float(a / b) if b > 0 else float("nan")

    everything = range(len(ours))
    rng = np.random.default_rng(0)
    count = ours[0].correct_PB.shape[1]
    drawn = []
    for _ in range(draws):
        seeds = rng.integers(0, len(ours), len(ours)).tolist()
        video_B = rng.integers(0, count, count)  # the seeds' test videos are the same
        drawn.append(of(seeds, [video_B] * len(seeds)))
    low, high = np.nanquantile(drawn, [0.025, 0.975])
    return {
        "mean": of(everything, [slice(None)] * len(ours)),
        "low": float(low),
        "high": float(high),
        "by_seed": [of([s], [slice(None)]) for s in everything],
    }


def matched(ours: Sequence[Valued], theirs: Sequence[Valued], references: Sequence[Reference]) -> dict[str, Any]:
    """Accuracy on test at equal budgets: of the point that validation would take, a difference a video, averaged over seeds."""
    found: dict[str, Any] = {}
    for share in SHARES:
        pairs = [
            (_within(a, share * r.gflops), _within(b, share * r.gflops))
            for a, b, r in zip(ours, theirs, references, strict=True)
        ]
        if any(a is None or b is None for a, b in pairs):
            continue
        difference_B = np.mean([a[0].astype(float) - b[0] for a, b in pairs if a is not None and b is not None], 0)
        found[f"{share:g}"] = {
            "mean": float(difference_B.mean()),
            "standard_error": float(difference_B.std(ddof=1) / np.sqrt(len(difference_B))),
            "accuracy": float(np.mean([a[0].mean() for a, _ in pairs if a is not None])),
            "share": [
                float(np.mean([pair[i][1] / r.gflops for pair, r in zip(pairs, references, strict=True)]))
                for i in (0, 1)
            ],
        }
    return found


def on_validation(front: Valued, reference: Reference) -> float:
    """The area under the same points by their cross-fitted values on validation, from the same corner: for choosing a recipe."""
    corner = {"all_on_gflops": reference.gflops, "reference_accuracy": reference.accuracy}
    return hypervolume(front.points, **corner, split="val")


def _within(front: Valued, budget: float) -> tuple[np.ndarray, float] | None:
    affordable = [i for i, p in enumerate(front.points) if p.val.gflops["full"] <= budget]
    if not affordable:
        return None
    best = max(affordable, key=lambda i: (front.points[i].val.accuracy, -front.points[i].val.gflops["full"]))
    return front.correct_PB[best], float(front.gmacs_PB[best].mean())


def monotone(run: Run) -> float | None:
    """Share of the steps of the weights' grid (one weight to its next dearer value) under which mean cost does not rise."""
    last = max((p for p in run.points), key=lambda p: (p.stage == "finetune", p.epoch))
    replay = table(run.folders[last.key], last.epoch, "val")
    if not isinstance(replay, ModalityReplay) or replay.conditioned is None:
        return None
    axes = [sorted(set(column.tolist())) for column in replay.conditioned.lambda_LM.T]
    names = [f"lambda.{m}" for m in replay.modalities]
    cost = {}
    for place in itertools.product(*(range(len(axis)) for axis in axes)):
        setting = {name: axes[i][k] for i, (name, k) in enumerate(zip(names, place, strict=True))}
        cost[place] = float(replay.score([setting]).gmacs_PB["full"].mean())
    steps = []
    for place, value in cost.items():
        for i in range(len(axes)):
            after = (*place[:i], place[i] + 1, *place[i + 1 :])
            if after in cost:
                steps.append(cost[after] <= value * (1 + 1e-9))
    return float(np.mean(steps))


def controller(run: Run) -> dict[str, float] | None:
    """How far the running mean is off the budget at most, after ``AFTER`` videos, on streams drawn from the test table."""
    fronts = valued(run)
    if len(fronts.points) < 2:
        return None
    best = fronts.points[len(fronts.points) // 2]
    same = non_dominated([p for p in run.points if (p.key, p.epoch) == (best.key, best.epoch)])
    replay = table(run.folders[best.key], best.epoch, "test")
    gmacs_PB = replay.score([p.knobs for p in same]).gmacs_PB["full"]
    expected_P = [p.val.gflops["full"] for p in same]
    budget = float(np.mean([expected_P[0], expected_P[-1]]))
    rng = np.random.default_rng(0)
    videos = gmacs_PB.shape[1]
    dear_B = np.argsort(gmacs_PB.mean(0))
    drift = np.clip(np.linspace(0, videos - 1, STREAM) + rng.normal(0, videos / 5, STREAM), 0, videos - 1).astype(int)
    streams = {"shuffled": rng.integers(0, videos, STREAM), "drifting": dear_B[drift]}
    worst = {}
    for kind, order in streams.items():
        control, off = BudgetController(expected_P, budget), []
        for video in order:
            chosen = control.choose()
            control.spent(float(gmacs_PB[chosen, video]), chosen)
            off.append(abs(control.mean / budget - 1))
        worst[kind] = float(max(off[AFTER:]))
    return worst


def by_passes(
    per_seed: Mapping[int, Mapping[str, Any]], name: str, references: Sequence[Reference]
) -> list[dict[str, float]]:
    """Hypervolume (mean over seeds) of the conditioned run and then k independent trials, and of as many passes without it."""
    rows = []
    seeds = sorted(per_seed)
    count = min(len(per_seed[s]["trials"]) for s in seeds)
    for k in range(count):
        passes, ours, theirs = [], [], []
        for seed, reference in zip(seeds, references, strict=True):
            trials = per_seed[seed]["trials"]
            begun = together([per_seed[seed]["variants"][name], *trials[:k]])
            fitting = [n for n in range(1, len(trials) + 1) if together(trials[:n]).passes <= begun.passes]
            passes.append(begun.passes)
            ours.append(valued(begun).hypervolume(reference))
            theirs.append(valued(together(trials[: max(fitting, default=1)])).hypervolume(reference))
        rows.append(
            {
                "passes": float(np.mean(passes)),
                "conditioned": float(np.mean(ours)),
                "independent": float(np.mean(theirs)),
            }
        )
    return rows


def _range(fronts: Sequence[Valued], references: Sequence[Reference]) -> tuple[float, float]:
    """Cheapest and dearest point as shares of everything on, means over seeds."""
    shares = [[p.val.gflops["full"] / r.gflops for p in f.points] for f, r in zip(fronts, references, strict=True)]
    return float(np.mean([min(s) for s in shares])), float(np.mean([max(s) for s in shares]))


def _mean(values: Sequence[float | None]) -> float | None:
    found = [v for v in values if v is not None]
    return float(np.mean(found)) if found else None
