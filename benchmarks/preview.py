"""Do previews predict? Kendall's tau between previews at table speed and trials that were really trained.

    python -m benchmarks.preview --manifest MANIFEST [--storage runs] [--seeds 1,2,3] [--set 'search=...'] [--json]

Reads the finished trials of the sweeps ``independent-SEED`` (``python -m benchmarks.conditioned_front`` makes them) and previews
each of their configurations in this process. A variant is DEPTH:VIEWS:AFTER. DEPTH ``features``: of the policy's nets, which stay
as they are; ``inputs``: they learn as well. VIEWS: drawings of each training video's segments. AFTER: the stage whose weights the
table is made from, ``warmup`` (as a sweep does it), or ``joint`` of the sweep's first trial, which then is left out.

Compared, over the trials of a seed: accuracy and GFLOPs at default knobs with the trial's own; ``area``: what all points of a
trial dominate (logarithm of GFLOPs times accuracy). ``pooled``: mean over seeds; intervals: 95 %, bootstrap over trials.
``best_of_4``: final area of the trial that previews would take out of 4 drawn ones: 0 = as good as the mean of all, 1 = as the
best of the 4. ``hypervolume``: as area, from the sweep's own reference. ``search``: how fast that of all trials of a seed is
reached when they are begun at random, and when each is the one of 4 drawn ones whose preview adds most.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.conditioned_front import _space
from explorer.browse import Front
from explorer.fronts.points import operating_points
from explorer.search.previews import Previewed, area, choose, corner_of, kendall
from explorer.spec.plan import chain
from explorer.store import Store
from trainables.contract import StageJob

MEASURES = ("accuracy", "gflops", "area", "hypervolume")
VARIANTS = ("features:4:warmup", "inputs:4:warmup", "features:4:joint")
_DRAWS, _AMONG, _SEARCHES = 1000, 4, 40


@dataclass(frozen=True, kw_only=True)
class Pair:
    """A trial and its preview: accuracy and GFLOPs of both, their own first, then those of all points.

    ``reference``: accuracy and GFLOPs from which its sweep measures the hypervolume. ``seconds`` that the preview and the trial's
    own joint stage took.
    """

    seed: int
    trial: int
    preview: Previewed
    final: Previewed
    reference: tuple[float, float]
    seconds: float
    joint_seconds: float


def main() -> None:
    arguments = _arguments()
    told: dict[str, Any] = {}
    if arguments.pairs:
        stored = json.loads(Path(arguments.pairs).read_text(encoding="utf-8"))["variants"]
        found = {variant: [_pair(raw) for raw in of_one["pairs"]] for variant, of_one in stored.items()}
    else:
        seeds = [int(seed) for seed in arguments.seeds.split(",")]
        found = {
            variant: [pair for seed in seeds for pair in _pairs(arguments, seed, variant)]
            for variant in arguments.variants.split(",")
        }
    for variant, pairs in found.items():
        told[variant] = compared(pairs) | {"pairs": [asdict(pair) for pair in pairs]}
    if arguments.json:
        print(json.dumps({"variants": told, "macs": _macs(arguments)}))
    else:
        print("\n".join(f"{name}\n{_text(found)}" for name, found in told.items()))


def compared(pairs: Sequence[Pair]) -> dict[str, Any]:
    """Tau of each measure by seed and pooled, with intervals; what previews would choose; seconds."""
    rng = np.random.default_rng(0)
    by_seed = {
        seed: [pair for pair in pairs if pair.seed == seed] for seed in dict.fromkeys(pair.seed for pair in pairs)
    }
    drawn = [
        {seed: [own[i] for i in rng.integers(len(own), size=len(own))] for seed, own in by_seed.items()}
        for _ in range(_DRAWS)
    ]
    tau = {}
    for measure in MEASURES:
        spread = [pooled(sample, measure) for sample in drawn]
        tau[measure] = {
            "by_seed": {seed: _tau(own, measure) for seed, own in by_seed.items()},
            "pooled": pooled(by_seed, measure),
            "low": float(np.quantile(spread, 0.025)),
            "high": float(np.quantile(spread, 0.975)),
        }
    return {
        "trials": len(pairs),
        "tau": tau,
        "best_of_4": float(np.mean([_gain(own, rng) for own in by_seed.values()])),
        "search": _searches(by_seed, rng),
        "hypervolume": {
            side: [float(np.mean(_values(own, side, "hypervolume"))) for own in by_seed.values()]
            for side in ("preview", "final")
        },
        "seconds": float(np.median([pair.seconds for pair in pairs])),
        "joint_seconds": float(np.median([pair.joint_seconds for pair in pairs])),
    }


def _tau(pairs: Sequence[Pair], measure: str) -> float:
    return kendall(*(_values(pairs, side, measure) for side in ("preview", "final")))


def _values(pairs: Sequence[Pair], side: str, measure: str) -> list[float]:
    many: list[Previewed] = [getattr(pair, side) for pair in pairs]
    if measure in ("area", "hypervolume"):
        corner = corner_of(many) if measure == "area" else pairs[0].reference
        return [area([one], corner) for one in many]
    return [(one.accuracy_P if measure == "accuracy" else one.gflops_P)[0] for one in many]


def pooled(by_seed: Mapping[int, Sequence[Pair]], measure: str) -> float:
    """Mean over seeds: trials of different seeds, which start from other nets, are not compared."""
    return float(np.mean([_tau(own, measure) for own in by_seed.values()]))


def _gain(pairs: Sequence[Pair], rng: np.random.Generator) -> float:
    """What choosing by the preview's area gains of what choosing by the final one would."""
    final, preview = (np.array(_values(pairs, side, "area")) for side in ("final", "preview"))
    rows = np.array([rng.choice(len(pairs), min(_AMONG, len(pairs)), replace=False) for _ in range(_DRAWS)])
    chosen = final[rows[np.arange(len(rows)), preview[rows].argmax(1)]]
    best = final[rows].max(1)
    return float((chosen.mean() - final.mean()) / (best.mean() - final.mean()))


def _searches(by_seed: Mapping[int, Sequence[Pair]], rng: np.random.Generator) -> dict[str, list[float]]:
    """Share of all trials' hypervolume after 1, 2, ... of them: begun at random, and chosen by preview out of 4 of those left."""
    told: dict[str, list[float]] = {}
    for name in ("random", "preview"):
        curves = [_curve(own, rng, by_preview=name == "preview") for own in by_seed.values() for _ in range(_SEARCHES)]
        shortest = min(map(len, curves))
        told[name] = np.mean([curve[:shortest] for curve in curves], 0).tolist()
    return told


def _curve(pairs: Sequence[Pair], rng: np.random.Generator, *, by_preview: bool) -> list[float]:
    left, begun, curve = list(pairs), [], []
    corner = pairs[0].reference
    whole = area([pair.final for pair in pairs], corner)
    while left:
        among = [left[i] for i in rng.permutation(len(left))[:_AMONG]]
        place = choose([pair.preview for pair in among], [pair.preview for pair in begun]) if by_preview else 0
        begun.append(among[place])
        left.remove(among[place])
        curve.append(area([pair.final for pair in begun], corner) / whole)
    return curve


def _pair(raw: Mapping[str, Any]) -> Pair:
    return Pair(
        **{
            **raw,
            "reference": tuple(raw["reference"]),
            "preview": Previewed(**raw["preview"]),
            "final": Previewed(**raw["final"]),
        }
    )


def _pairs(arguments: argparse.Namespace, seed: int, variant: str) -> list[Pair]:
    from trainables.adamml.preview import preview, preview_table
    from trainables.kit.engine.prepare import open_for, system_of
    from trainables.kit.engine.ranks import Ranks
    from trainables.kit.engine.train import load_model

    depth, views, after = variant.split(":")
    space = _space(arguments, f"independent-{seed}", seed)
    store = Store(space.store_folder)
    front = Front.load(space.folder)
    complete = sorted((t for t in front.record.trials if t.state == "COMPLETE"), key=lambda t: t.number)
    chains = [{job.stage: job for job in chain(space, trial.parameters)} for trial in complete]
    if after == "joint":
        complete, first, chains = complete[1:], chains[0], chains[1:]  # the first is what the table is made from
    else:
        first = chains[0]
    system, config = system_of(first[after])
    data = open_for(system, first[after], space.cache_folder)
    weights = store.path(first[after].key) / "weights.safetensors"
    model = load_model(system, config, weights, classes=len(data.classes), seed=seed)  # type: ignore[arg-type]
    table = preview_table(model, config, data, seed=seed, share=Ranks(), depth=depth, views=int(views))  # type: ignore[arg-type]

    found = []
    for trial, jobs in zip(complete, chains, strict=True):
        _, config = system_of(jobs["joint"])
        cost = system.cost(config, len(data.classes))
        started = time.perf_counter()
        replay = preview(config, table, seed=seed, cost=lambda classes, cost=cost: cost)  # type: ignore[misc,arg-type]
        seconds = time.perf_counter() - started
        points = operating_points(replay, None, system.knobs(config), cost=cost)
        found.append(
            Pair(
                seed=seed,
                trial=trial.number,
                preview=Previewed.of([point.to_dict() for point in points]),
                final=_final(store, jobs),
                reference=(front.reference.accuracy, front.reference.gflops),
                seconds=seconds,
                joint_seconds=store.stage_info(jobs["joint"].key)["provenance"]["seconds"],
            )
        )
    return found


def _final(store: Store, jobs: Mapping[str, StageJob]) -> Previewed:
    """A trial's own default point, then all of its points, on validation."""
    last = store.points(jobs["finetune"].key)
    default = [point for point in last if point["selection"] == "default"]
    others = [{**point, "selection": "budget"} for point in (*store.points(jobs["joint"].key), *last)]
    return Previewed.of([*default, *others])


def _macs(arguments: argparse.Namespace) -> dict[str, float]:
    """Multiply-accumulates a segment, forward, at the size of the data and at the paper's: recognition of all modalities, the
    whole policy, and what is left of it where its nets' features are kept."""
    import torch

    from explorer.spec.load import load_space
    from trainables.adamml.config import AdaMMLConfig
    from trainables.adamml.policy import Policy
    from trainables.kit.measure.macs import count_macs

    told = {}
    for name, preset in (("tiny", "adamml_small"), ("paper", "adamml_kinetics_sounds")):
        space = load_space(preset, [f"data.manifest={arguments.manifest}"])
        config = space.load_system().without_initial_weights(space.base_config())
        assert isinstance(config, AdaMMLConfig)
        cost = space.load_system().cost(config, 10)
        with torch.device("meta"):
            policy = Policy(config).eval()
            width = policy.joint[0].in_features if len(policy.joint) else 0
            feature_BSD = torch.empty(1, 1, int(width))  # type: ignore[arg-type]
        left = count_macs(policy, lambda p=policy, x=feature_BSD: p.decide(p.joint(x))).total  # type: ignore[misc]
        told |= {
            f"{name}.recognition": sum(cost.per_segment_macs["full"].values()),
            f"{name}.policy": cost.always_macs["full"],
            f"{name}.policy_on_features": left,
        }
    return told


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--manifest", default="demo/clips/manifest.jsonl")
    parser.add_argument("--storage", default="runs", help="where the sweeps independent-SEED lie")
    parser.add_argument("--seeds", default="1,2,3")
    parser.add_argument("--variants", default=",".join(VARIANTS), help="DEPTH:VIEWS:AFTER, several by commas")
    parser.add_argument("--set", action="append", default=[], help="KEY=VALUE, as the sweeps were made with")
    parser.add_argument("--pairs", help="the --json of an earlier run: nothing is previewed again")
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    return parser.parse_args()


def _text(found: Mapping[str, Any]) -> str:
    lines = [
        f"  {found['trials']} trials; {found['seconds']:.1f} s a preview, {found['joint_seconds']:.0f} s a joint stage; "
        f"best of {_AMONG}: {found['best_of_4']:.2f}"
    ]
    for name, curve in found["search"].items():
        lines.append(f"  {name}: " + ", ".join(f"{share:.2f}" for share in curve) + " of the hypervolume of all trials")
    for measure, tau in found["tau"].items():
        seeds = ", ".join(f"{value:.2f}" for value in tau["by_seed"].values())
        lines.append(f"  tau of {measure}: {tau['pooled']:.2f} [{tau['low']:.2f}, {tau['high']:.2f}]  seeds {seeds}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
