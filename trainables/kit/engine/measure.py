"""Measuring a stage's candidate epochs on validation, on all ranks, and choosing the one that the next stage starts from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import nn

from trainables.contract import Data, Replay, Stage, System, SystemConfig
from trainables.kit.engine.files import epoch_folder, write_arrays
from trainables.kit.engine.prepare import Run
from trainables.kit.engine.ranks import Ranks
from trainables.kit.engine.weights import save_weights
from trainables.kit.measure.metrics import mean_average_precision
from trainables.kit.measure.objective import accuracy_over_budgets

_CHOOSES_BY = {"best_accuracy": "val.accuracy", "best_objective": "val.objective"}


def measure_candidate(run: Run, epoch: int, result: Path) -> dict[str, float]:
    """Measure ``epoch`` if it is a candidate; the first rank stores its table and weights. The same on every rank."""
    if not _is_candidate(run, epoch):
        return {}
    table = replay(
        run.system, run.model, run.config, run.data, "val", stage=run.stage, seed=run.job.seed, ranks=run.ranks
    )
    if run.ranks.first:
        folder = epoch_folder(result, epoch)
        write_arrays(folder / "val.safetensors", table.arrays())
        save_weights(folder / "weights.safetensors", run.state())
    settings = run.system.default_settings(run.config)
    scored = table.score(settings)
    metrics = {
        "val.accuracy": float(scored.correct_PB.mean()),
        "val.map": mean_average_precision(table.video_logits(settings[0]), table.truth_BC),
        **{f"val.gflops.{convention}": float(g.mean()) for convention, g in scored.gmacs_PB.items()},
        **{f"val.rate.{site}": float(rate.mean()) for site, rate in scored.rate_PB.items()},
    }
    if len(settings) > 1:
        metrics["val.accuracy.spread"] = float(scored.correct_PB.mean(1).std(ddof=1))
        metrics |= {f"val.gflops.{c}.spread": float(g.mean(1).std(ddof=1)) for c, g in scored.gmacs_PB.items()}
    if run.stage.select == "best_objective":
        metrics["val.objective"] = _objective(run, table)
    return metrics


def replay(
    system: System,
    model: nn.Module,
    config: SystemConfig,
    data: Data,
    split: str,
    *,
    stage: Stage,
    seed: int,
    ranks: Ranks,
) -> Replay:
    """The replay table of ``split`` in the stage's decision mode, in float32, each rank measuring its share."""
    model.eval()
    with torch.no_grad():
        return system.replay(model, config, data, split, mode=stage.mode, seed=seed, share=ranks)


def chosen_epoch(stage: Stage, history: Sequence[dict[str, float]]) -> int | None:
    """The epoch that ``stage.select`` chooses, the earliest of equals; None: what the network holds after the last."""
    metric = _CHOOSES_BY.get(stage.select)
    if metric is None:
        return None
    return max(range(len(history)), key=lambda epoch: history[epoch][metric])


def _is_candidate(run: Run, epoch: int) -> bool:
    return run.stage.candidates == "every" or (run.stage.candidates == "last" and epoch == run.rounds - 1)


def _objective(run: Run, table: Replay) -> float:
    knobs = run.system.knobs(run.config) if run.stage.mode == "policy" else ()
    cost = run.system.cost(run.config, len(run.data.classes))
    return accuracy_over_budgets(table, knobs, all_on_gmacs=cost.at_rates_gmacs("full", cost.all_on_rates))
