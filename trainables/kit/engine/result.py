"""What a finished stage leaves: the weights that the next one starts from, and ``stage.json``."""

from __future__ import annotations

import platform
from pathlib import Path

import torch

from trainables.contract import CostTable, Json
from trainables.kit.engine.files import epoch_folder, write_json
from trainables.kit.engine.measure import chosen_epoch
from trainables.kit.engine.prepare import Run
from trainables.kit.engine.weights import load_weights, save_weights


def write_result(run: Run, result: Path, *, seconds: float) -> None:
    """Write the chosen weights, then ``stage.json``, whose presence says that the result is whole."""
    epoch = chosen_epoch(run.stage, run.history)
    state = run.state() if epoch is None else load_weights(epoch_folder(result, epoch) / "weights.safetensors")
    save_weights(result / "weights.safetensors", state)
    write_json(result / "stage.json", _stage_info(run, epoch, seconds))


def _stage_info(run: Run, chosen: int | None, seconds: float) -> dict[str, Json]:
    stage, job = run.stage, run.job
    cost = run.system.cost(run.config, len(run.data.classes))
    return {
        "key": job.key,
        "system": job.system,
        "stage": job.stage,
        "baseline": stage.baseline,
        "mode": stage.mode,
        "config": dict(job.config),
        "seed": job.seed,
        "parents": dict(job.parents),
        "epochs": stage.epochs,
        "chosen_epoch": run.rounds - 1 if chosen is None else chosen,
        "training_passes": stage.training_passes,
        "metrics": run.history,
        "classes": list(run.data.classes),
        "videos": {split: len(run.data.ids(split)) for split in ("train", "val", "test")},
        "cost": cost_info(cost),
        "provenance": {
            "data_fingerprint": run.system.data_fingerprint(run.config),
            "seconds": round(seconds, 3),
            "torch": torch.__version__,
            "python": platform.python_version(),
            "device": torch.cuda.get_device_name(run.device) if run.device.type == "cuda" else "cpu",
            "threads": torch.get_num_threads(),
            "ranks": run.ranks.ranks,
        },
    }


def cost_info(cost: CostTable) -> dict[str, Json]:
    """A cost table as ``stage.json`` holds it: the arguments of ``CostTable``."""
    return {
        "segments": cost.segments,
        "all_on": dict(cost.all_on),
        "per_segment_macs": {c: dict(macs) for c, macs in cost.per_segment_macs.items()},
        "always_macs": dict(cost.always_macs),
        "plain_macs": dict(cost.plain_macs),
    }
