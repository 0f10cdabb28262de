"""The one training loop. A stage is a list of passes over the training videos; the system supplies the step.

It runs by itself (one process under a debugger) and inside a worker of a sweep, by the same code. After each epoch
the state is written to the work folder, so that a run that was killed goes on with the next epoch and ends with the
same bits as one that was not: every random draw is keyed by (seed, epoch, pass) and what it is for, never by what ran before.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import nn

from trainables.contract import Replay, StageJob, System, SystemConfig
from trainables.kit.engine.epoch import train_epoch
from trainables.kit.engine.files import epoch_folder, read_arrays, write_arrays
from trainables.kit.engine.keys import find_stage
from trainables.kit.engine.measure import measure_candidate, replay
from trainables.kit.engine.prepare import open_for, prepare, system_of, this_device
from trainables.kit.engine.ranks import Ranks
from trainables.kit.engine.result import write_result
from trainables.kit.engine.resume import remove_leftovers, restore, save_resume
from trainables.kit.engine.weights import load_into, load_weights

RESULT_FOLDER = "result"


class StageCancelled(Exception):
    """Nobody waits for this stage any more: it ended between two epochs and published nothing."""


@dataclass(frozen=True, kw_only=True)
class EpochReport:
    """What is told after each epoch. ``metrics``: losses by pass, and accuracy, GFLOPs and rates of a candidate epoch.

    A stage that trains nothing is reported once, as epoch 0 of 0, when it is measured.
    """

    key: str
    stage: str
    epoch: int
    epochs: int
    metrics: Mapping[str, float]
    seconds: float


def run_stage(
    job: StageJob,
    *,
    work: Path,
    parents: Mapping[str, Path],
    cache: Path,
    on_epoch: Callable[[EpochReport], bool],
    on_resume: Callable[[Sequence[Mapping[str, float]]], bool] = lambda history: True,
    ranks: Ranks | None = None,
) -> Path:
    """Train ``job`` and return the folder of its result, which lies inside ``work``.

    ``parents``: folder of each parent stage's result. ``on_epoch`` answers whether to go on; so does ``on_resume``, which is
    told the metrics of the epochs that an unfinished run in ``work`` has done. All ranks see ``work`` and ``parents``; the
    first alone writes and reports.

    Raises:
        StageCancelled: ``on_epoch`` or ``on_resume`` answered no.
        StageFailed: the loss or a measured number is not finite.
        UserError: weights that the configuration names are missing or do not fit.
    """
    started = time.monotonic()
    ranks = ranks or Ranks()
    run = prepare(job, parents=parents, cache=cache, ranks=ranks)
    result = work / RESULT_FOLDER
    done = restore(run, work)
    if done and not ranks.broadcast(on_resume(run.history) if ranks.first else True):
        raise StageCancelled(job.key)
    if ranks.first:
        _tidy(result, keep=done > 0)
    for epoch in range(done, run.rounds):
        epoch_started = time.monotonic()
        metrics = train_epoch(run, epoch) if run.stage.epochs else {}
        metrics |= measure_candidate(run, epoch, result)
        if ranks.first:
            run.history.append(metrics)
            save_resume(run, work, epoch + 1)
        report = EpochReport(
            key=job.key,
            stage=job.stage,
            epoch=epoch,
            epochs=run.stage.epochs,
            metrics=metrics,
            seconds=time.monotonic() - epoch_started,
        )
        if not ranks.broadcast(on_epoch(report) if ranks.first else True):
            raise StageCancelled(job.key)
    if ranks.first and not (result / "stage.json").exists():  # else it was killed after this, while being measured
        write_result(run, result, seconds=time.monotonic() - started)
    return result


def replay_epoch(
    job: StageJob, result: Path, epoch: int, split: str, *, cache: Path, ranks: Ranks | None = None
) -> Replay:
    """Measure a stored candidate epoch on another split, on all ranks; the first stores the table beside its weights."""
    ranks = ranks or Ranks()
    system, config = system_of(job)
    stage = find_stage(system, config, job.stage)
    data = open_for(system, job, cache)
    weights = epoch_folder(result, epoch) / "weights.safetensors"
    model = load_model(system, config, weights, classes=len(data.classes), seed=job.seed)
    table = replay(system, model, config, data, split, stage=stage, seed=job.seed, ranks=ranks)
    if ranks.first:
        write_arrays(epoch_folder(result, epoch) / f"{split}.safetensors", table.arrays())
    return table


def replay_result(job: StageJob, results: Sequence[Path], *, split: str, mode: str, cache: Path) -> Replay:
    """The replay table of finished stages' weights in any decision mode, by one inference pass in this process.

    ``results``: of ``job`` and of stages of the same configuration beside it, whose weights are laid over one another.
    """
    system, config = system_of(job)
    stage = replace(find_stage(system, config, job.stage), mode=mode)
    data = open_for(system, job, cache)
    first, *others = (result / "weights.safetensors" for result in results)
    model = load_model(system, config, first, classes=len(data.classes), seed=job.seed)
    for weights in others:
        load_into(model, load_weights(weights))
    return replay(system, model, config, data, split, stage=stage, seed=job.seed, ranks=Ranks())


def read_replay(job: StageJob, result: Path, epoch: int, split: str) -> Replay:
    """The stored replay table of a candidate epoch."""
    system, config = system_of(job)
    return system.replay_from(read_arrays(epoch_folder(result, epoch) / f"{split}.safetensors"), config)


def load_model(system: System, config: SystemConfig, weights: Path, *, classes: int, seed: int = 0) -> nn.Module:
    """The network with the weights of ``weights``, in eval mode on this process's device.

    Parts that the weights do not cover (the policy, in a unimodal checkpoint) keep their seeded initial values.
    """
    torch.manual_seed(seed)
    model = system.build(system.without_initial_weights(config), classes)
    load_into(model, load_weights(weights))
    return model.to(this_device()).eval()


def _tidy(result: Path, *, keep: bool) -> None:
    """An empty folder for a new run; for one that goes on, only what is whole."""
    if not keep:
        shutil.rmtree(result, ignore_errors=True)
    result.mkdir(parents=True, exist_ok=True)
    remove_leftovers(result)
