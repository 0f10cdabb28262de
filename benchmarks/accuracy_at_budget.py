"""How accurate is a sweep's best network within a share of everything on, against the weighted-fusion baseline?

    python -m benchmarks.accuracy_at_budget runs/seed0 runs/seed1 runs/seed2 --share 0.4 [--json]

Give finished sweeps of one search space and data set, one a seed; each must have the baseline ``weighted_fusion``. The
whole choice is cross-fitted: trial, epoch and thresholds are chosen on one stratified half of the validation videos (the
most accurate within the budget there) and valued on the other, halves swapped; so no video has a say in the choice by
which it is judged. GFLOPs are the full convention, the policy included. ``difference`` is the mean over videos of
(right - right of weighted fusion), its standard error that of the mean over videos; over all seeds the differences of a
video are averaged first. On test, the choice made on all of validation is valued once.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from explorer.fronts.halves import halves
from explorer.fronts.points import candidate_settings
from explorer.records import STUDY_FILE
from explorer.search.reader import read_study, read_study_attrs
from explorer.store import Store
from trainables.contract import Replay, Scored
from trainables.kit.engine.files import read_arrays
from trainables.systems import load_system

BASELINE = "weighted_fusion"


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A checkpoint with every setting of its thresholds scored on validation."""

    trial: int
    stage: str
    epoch: int
    settings: Sequence[dict[str, float]]
    val: Scored
    folder: Path
    system: str
    config: Any


@dataclass(frozen=True, kw_only=True)
class Difference:
    """Mean and standard error of a paired difference over videos."""

    mean: float
    standard_error: float


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """One sweep. Shares are of the baseline's GFLOPs."""

    sweep: str
    seed: int
    trials: int
    fusion_accuracy: float
    fusion_gflops: float
    accuracy: float
    gflops: float
    share: float
    difference: Difference
    test_fusion_accuracy: float
    test_accuracy: float
    test_share: float
    test_difference: Difference
    test_choice: str


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("sweeps", nargs="+", type=Path, help="folders of finished sweeps, one a seed")
    parser.add_argument("--share", type=float, default=0.4, help="budget as a share of weighted fusion's GFLOPs")
    parser.add_argument("--trials", type=int, default=10**6, help="look at the first so many trials only")
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    arguments = parser.parse_args()
    outcomes, val_BN, test_BN = [], [], []
    for folder in arguments.sweeps:
        outcome, val_B, test_B = measure(folder, arguments.share, arguments.trials)
        outcomes.append(outcome)
        val_BN.append(val_B)
        test_BN.append(test_B)
    pooled = {
        "seeds": len(outcomes),
        "videos_val": len(val_BN[0]),
        "videos_test": len(test_BN[0]),
        "accuracy": float(np.mean([o.accuracy for o in outcomes])),
        "fusion_accuracy": float(np.mean([o.fusion_accuracy for o in outcomes])),
        "share": float(np.mean([o.share for o in outcomes])),
        "difference": asdict(paired(np.mean(val_BN, 0))),
        "test_difference": asdict(paired(np.mean(test_BN, 0))),
    }
    if arguments.json:
        print(json.dumps({"budget_share": arguments.share, "pooled": pooled, "sweeps": [asdict(o) for o in outcomes]}))
    else:
        print_table(outcomes, pooled, arguments.share)


def measure(folder: Path, share: float, trials: int) -> tuple[Outcome, np.ndarray, np.ndarray]:
    """The outcome of one sweep, and its paired differences on validation and test, video by video."""
    store = Store(folder.parent / "store")
    fusion_key = read_study_attrs(folder / STUDY_FILE)["baselines"][BASELINE][BASELINE]
    fusion = last_candidate(store, fusion_key, -1)
    fusion_gmacs = float(fusion.val.gmacs_PB["full"].mean())
    budget = share * fusion_gmacs
    finished = [t for t in read_study(folder / STUDY_FILE) if t.state == "COMPLETE" and t.number < trials]
    candidates = [candidate for trial in finished for candidate in trial_candidates(store, trial)]
    label_B = np.asarray(replay(fusion, "val").label_B)
    first_B = halves(label_B, 0)
    right_B, gmacs_B = np.zeros(len(label_B), bool), np.zeros(len(label_B))
    for judged_B in (first_B, ~first_B):
        chosen, p = choose(candidates, ~judged_B, budget)
        right_B[judged_B] = chosen.val.correct_PB[p, judged_B]
        gmacs_B[judged_B] = chosen.val.gmacs_PB["full"][p, judged_B]
    deployed, p = choose(candidates, np.ones(len(label_B), bool), budget)
    on_test = replay(deployed, "test").score([deployed.settings[p]])
    fusion_test = replay(fusion, "test").score([{}])
    val_difference_B = right_B.astype(float) - fusion.val.correct_PB[0]
    test_difference_B = on_test.correct_PB[0].astype(float) - fusion_test.correct_PB[0]
    outcome = Outcome(
        sweep=folder.name,
        seed=store.stage_info(fusion_key)["seed"],
        trials=len({c.trial for c in candidates}),
        fusion_accuracy=float(fusion.val.correct_PB[0].mean()),
        fusion_gflops=fusion_gmacs,
        accuracy=float(right_B.mean()),
        gflops=float(gmacs_B.mean()),
        share=float(gmacs_B.mean()) / fusion_gmacs,
        difference=paired(val_difference_B),
        test_fusion_accuracy=float(fusion_test.correct_PB[0].mean()),
        test_accuracy=float(on_test.correct_PB[0].mean()),
        test_share=float(on_test.gmacs_PB["full"].mean()) / fusion_gmacs,
        test_difference=paired(test_difference_B),
        test_choice=f"trial {deployed.trial}, {deployed.stage} epoch {deployed.epoch + 1}, {deployed.settings[p]}",
    )
    return outcome, val_difference_B, test_difference_B


def choose(candidates: Sequence[Candidate], chosen_on_B: np.ndarray, budget: float) -> tuple[Candidate, int]:
    """The most accurate (checkpoint, setting) on those videos within the budget; of equals the cheaper one."""
    best: tuple[float, float, Candidate, int] | None = None
    for candidate in candidates:
        gmacs_P = candidate.val.gmacs_PB["full"][:, chosen_on_B].mean(1)
        accuracy_P = np.where(gmacs_P <= budget, candidate.val.correct_PB[:, chosen_on_B].mean(1), -1.0)
        p = int(np.lexsort((gmacs_P, -accuracy_P))[0])
        if best is None or (accuracy_P[p], -gmacs_P[p]) > best[:2]:
            best = (float(accuracy_P[p]), -float(gmacs_P[p]), candidate, p)
    if best is None or best[0] < 0:
        raise SystemExit(f"no setting of any checkpoint costs at most {budget:.4g} GFLOPs a video")
    return best[2], best[3]


def trial_candidates(store: Store, trial: Any) -> list[Candidate]:
    """Every epoch of the trial whose weights were kept, thresholds scored."""
    found = []
    for key in trial.attrs["chain"].values():
        info = store.stage_info(key)
        if info["mode"] != "policy":
            continue
        for epoch_folder in sorted((store.path(key) / "epochs").glob("*")):
            if (epoch_folder / "weights.safetensors").exists():
                found.append(last_candidate(store, key, trial.number, int(epoch_folder.name), knobs=True))
    return found


def last_candidate(store: Store, key: str, trial: int, epoch: int | None = None, *, knobs: bool = False) -> Candidate:
    """One epoch (the last by default) of a stage, scored at the default setting or at all candidate settings."""
    info = store.stage_info(key)
    epoch = info["epochs"] - 1 if epoch is None else epoch
    system = load_system(info["system"])
    config = system.Config.model_validate(info["config"])
    settings = candidate_settings(system.knobs(config)) if knobs else [{}]
    folder = store.path(key) / "epochs" / f"{epoch:04d}"
    table = system.replay_from(read_arrays(folder / "val.safetensors"), config)
    return Candidate(
        trial=trial,
        stage=info["stage"],
        epoch=epoch,
        settings=settings,
        val=table.score(settings),
        folder=folder,
        system=info["system"],
        config=config,
    )


def replay(candidate: Candidate, split: str) -> Replay:
    """The candidate's stored replay table."""
    arrays = read_arrays(candidate.folder / f"{split}.safetensors")
    return load_system(candidate.system).replay_from(arrays, candidate.config)


def paired(difference_B: np.ndarray) -> Difference:
    """Mean over videos and its standard error."""
    return Difference(
        mean=float(difference_B.mean()), standard_error=float(difference_B.std(ddof=1) / math.sqrt(len(difference_B)))
    )


def print_table(outcomes: Sequence[Outcome], pooled: dict[str, Any], share: float) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"within {share:.0%} of weighted fusion's GFLOPs (full convention, policy included)")
    for column in (
        "sweep",
        "fusion val",
        "ours val",
        "share",
        "difference",
        "fusion test",
        "ours test",
        "test difference",
    ):
        table.add_column(column, justify="left" if column == "sweep" else "right", no_wrap=True)
    for o in outcomes:
        table.add_row(
            o.sweep,
            f"{o.fusion_accuracy:.3f}",
            f"{o.accuracy:.3f}",
            f"{o.share:.0%}",
            f"{o.difference.mean:+.3f} ± {o.difference.standard_error:.3f}",
            f"{o.test_fusion_accuracy:.3f}",
            f"{o.test_accuracy:.3f}",
            f"{o.test_difference.mean:+.3f} ± {o.test_difference.standard_error:.3f}",
        )
    Console(width=130).print(table)
    for split in ("difference", "test_difference"):
        d = pooled[split]
        print(
            f"{split} over {pooled['seeds']} seeds: {d['mean']:+.4f} ± {d['standard_error']:.4f} (standard error over videos)"
        )


if __name__ == "__main__":
    main()
