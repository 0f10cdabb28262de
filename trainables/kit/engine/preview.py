"""The stages of a preview: a table that is computed once, and configurations that are tried on it without any video.

A preview leaves what a stage leaves, its replay table and ``stage.json``, but no weights: nothing starts from it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

import torch

from trainables.contract import PREVIEW_TABLE, Json, StageJob
from trainables.kit.engine.files import epoch_folder, read_arrays, write_arrays, write_json
from trainables.kit.engine.keys import find_stage
from trainables.kit.engine.prepare import open_for, system_of, this_device
from trainables.kit.engine.ranks import Ranks
from trainables.kit.engine.result import cost_info
from trainables.kit.engine.train import RESULT_FOLDER
from trainables.kit.engine.weights import load_into, load_weights

_TABLE_FILE = "table.safetensors"


def run_preview(job: StageJob, *, work: Path, parents: Mapping[str, Path], cache: Path, ranks: Ranks) -> Path:
    """Carry out one of ``PREVIEW_STAGES``; the folder of its result, inside ``work``. A table is made by all ranks together.

    Raises:
        StageFailed: what was computed is not finite; on the first rank alone for a preview, which it makes alone.
    """
    started = time.monotonic()
    result = work / RESULT_FOLDER
    (parent,) = parents.values()
    classes = _table(job, result, parent, cache, ranks) if job.stage == PREVIEW_TABLE else 0
    if ranks.first:
        classes = classes or _preview(job, result, parent)
        write_json(result / "stage.json", _info(job, classes, time.monotonic() - started))
    return result


def _table(job: StageJob, result: Path, parent: Path, cache: Path, ranks: Ranks) -> int:
    """Make and write the table. The number of classes."""
    system, config = system_of(job)
    data = open_for(system, job, cache)
    torch.manual_seed(job.seed)
    model = system.build(config, len(data.classes))  # with the published weights of nets that no stage has trained yet
    load_into(model, load_weights(parent / "weights.safetensors"))
    arrays = system.preview_table(model.to(this_device()).eval(), config, data, seed=job.seed, share=ranks)
    if ranks.first:
        write_arrays(result / _TABLE_FILE, arrays)
    return len(data.classes)


def _preview(job: StageJob, result: Path, parent: Path) -> int:
    """Try the job's configuration and write its replay table. The number of classes."""
    system, config = system_of(job)
    replay = system.preview(config, read_arrays(parent / _TABLE_FILE), seed=job.seed)
    write_arrays(epoch_folder(result, 0) / "val.safetensors", replay.arrays())
    return replay.truth_BC.shape[1]


def _info(job: StageJob, classes: int, seconds: float) -> dict[str, Json]:
    system, config = system_of(job)
    return {
        "key": job.key,
        "system": job.system,
        "stage": job.stage,
        "mode": find_stage(system, config, job.stage).mode,
        "config": dict(job.config),
        "seed": job.seed,
        "parents": dict(job.parents),
        "epochs": job.epochs,
        "training_passes": job.training_passes,
        "metrics": [],
        "cost": cost_info(system.cost(config, classes)),
        "provenance": {"seconds": round(seconds, 3)},
    }
