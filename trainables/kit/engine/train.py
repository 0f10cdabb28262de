"""The one training loop. A stage is a list of passes over the training videos; the system supplies the step.

It runs by itself (one process under a debugger) and inside a worker of a sweep, by the same code. After each epoch
the state is written to the work folder, so that a run that was killed goes on with the next epoch and ends with the
same bits as one that was not: every random draw is keyed by (seed, epoch, pass, step), never by what ran before.
"""

from __future__ import annotations

import functools
import json
import math
import os
import platform
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from trainables.contract import (
    Batch,
    Data,
    Json,
    Loss,
    Pass,
    Replay,
    Stage,
    StageJob,
    StepContext,
    System,
    SystemConfig,
)
from trainables.errors import StageFailed
from trainables.kit.engine.files import epoch_folder, read_arrays, write_arrays, write_json
from trainables.kit.engine.keys import find_stage
from trainables.kit.engine.optim import PairedOptimiser
from trainables.kit.engine.ranks import Ranks
from trainables.kit.engine.weights import load_into, load_weights, owned_state, save_weights, starts_with
from trainables.kit.measure.metrics import mean_average_precision
from trainables.systems import load_system

RESUME_FILE = "resume.pt"
RESULT_FOLDER = "result"


class StageCancelled(Exception):
    """Nobody waits for this stage any more: it ended between two epochs and published nothing."""


@dataclass(frozen=True, kw_only=True)
class EpochReport:
    """What is told after each epoch. ``metrics``: losses by pass, and accuracy, GFLOPs and rates of a candidate epoch."""

    key: str
    stage: str
    epoch: int
    epochs: int
    metrics: Mapping[str, float]
    seconds: float


@dataclass(kw_only=True)
class _Run:
    """A stage made ready to train."""

    job: StageJob
    system: System
    config: SystemConfig
    stage: Stage
    data: Data
    model: nn.Module
    optimisers: list[PairedOptimiser]
    inherited: tuple[str, ...]
    device: torch.device
    ranks: Ranks
    history: list[dict[str, float]]


def run_stage(
    job: StageJob,
    *,
    work: Path,
    parents: Mapping[str, Path],
    cache: Path,
    on_epoch: Callable[[EpochReport], bool],
    ranks: Ranks | None = None,
) -> Path:
    """Train ``job`` and return the folder of its result, which lies inside ``work``.

    ``parents``: folder of each parent stage's result. ``on_epoch`` answers whether to go on.

    Raises:
        StageCancelled: ``on_epoch`` answered no.
        StageFailed: the loss is not finite.
    """
    started = time.monotonic()
    run = _prepare(job, parents=parents, cache=cache, ranks=ranks or Ranks())
    result = work / RESULT_FOLDER
    done = _resume(run, work)
    if done == 0 and run.ranks.first:
        shutil.rmtree(result, ignore_errors=True)
        result.mkdir(parents=True)
    for epoch in range(done, run.stage.epochs):
        epoch_started = time.monotonic()
        metrics = _train_epoch(run, epoch)
        if run.ranks.first:
            metrics |= _measure_candidate(run, epoch, result)
            run.history.append(metrics)
            _save_resume(run, work, epoch + 1)
        report = EpochReport(
            key=job.key,
            stage=job.stage,
            epoch=epoch,
            epochs=run.stage.epochs,
            metrics=metrics,
            seconds=time.monotonic() - epoch_started,
        )
        if not run.ranks.agree(on_epoch(report) if run.ranks.first else True):
            raise StageCancelled(job.key)
    if run.ranks.first and not (result / "stage.json").exists():  # else it was killed after this, while being measured
        _finish(run, result, seconds=time.monotonic() - started)
    return result


def replay_epoch(job: StageJob, result: Path, epoch: int, split: str, *, cache: Path) -> Replay:
    """Measure a stored candidate epoch on another split and store the table beside its weights."""
    system, config = _system_of(job)
    stage = find_stage(system, config, job.stage)
    data = _open_for(system, job, cache)
    weights = epoch_folder(result, epoch) / "weights.safetensors"
    model = load_model(system, config, weights, classes=len(data.classes), seed=job.seed)
    table = _replay(system, model, config, data, split, stage=stage, seed=job.seed)
    write_arrays(epoch_folder(result, epoch) / f"{split}.safetensors", table.arrays())
    return table


def read_replay(job: StageJob, result: Path, epoch: int, split: str) -> Replay:
    """The stored replay table of a candidate epoch."""
    system, config = _system_of(job)
    return system.replay_from(read_arrays(epoch_folder(result, epoch) / f"{split}.safetensors"), config)


def load_model(system: System, config: SystemConfig, weights: Path, *, classes: int, seed: int = 0) -> nn.Module:
    """The network with the weights of ``weights``, in eval mode on this process's device.

    Parts that the weights do not cover (the policy, in a unimodal checkpoint) keep their seeded initial values.
    """
    torch.manual_seed(seed)
    model = system.build(config, classes)
    load_into(model, load_weights(weights))
    return model.to(_device()).eval()


# --- preparing --------------------------------------------------------------------------------------------------------


def _system_of(job: StageJob) -> tuple[System, SystemConfig]:
    system = load_system(job.system)
    return system, system.Config.model_validate(dict(job.config))


@functools.lru_cache(maxsize=2)
def _open(system: str, config_json: str, cache: str) -> Data:
    """Opened data, kept between the jobs of a process. Jobs of a sweep differ in lambda and the like, not in data."""
    loaded = load_system(system)
    return loaded.open_data(loaded.Config.model_validate(json.loads(config_json)), Path(cache))


def _open_for(system: System, job: StageJob, cache: Path) -> Data:
    config = system.Config.model_validate(dict(job.config))
    return _open(job.system, json.dumps(system.data_part(config), sort_keys=True), str(cache))


def _device() -> torch.device:
    """This process's device. torchrun and Ray Train say in LOCAL_RANK which of the node's GPUs is its own."""
    if not torch.cuda.is_available():
        return torch.device("cpu")
    return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")) % torch.cuda.device_count())


def _prepare(job: StageJob, *, parents: Mapping[str, Path], cache: Path, ranks: Ranks) -> _Run:
    system, config = _system_of(job)
    stage = find_stage(system, config, job.stage)
    data = _open_for(system, job, cache)
    torch.manual_seed(job.seed)
    model = system.build(config, len(data.classes))
    inherited: dict[str, torch.Tensor] = {}
    for name in stage.after:
        inherited |= load_weights(parents[name] / "weights.safetensors")
    load_into(model, inherited)
    device = _device()
    model.to(device)
    videos = len(data.ids("train"))
    steps_per_epoch = math.ceil(videos / stage.batch_size)
    return _Run(
        job=job,
        system=system,
        config=config,
        stage=stage,
        data=data,
        model=model,
        optimisers=[
            PairedOptimiser(p.optimiser, _trained(model, p), steps_per_epoch=steps_per_epoch, epochs=stage.epochs)
            for p in stage.passes
        ],
        inherited=tuple(inherited),
        device=device,
        ranks=ranks,
        history=[],
    )


def _trained(model: nn.Module, pass_: Pass) -> list[nn.Parameter]:
    chosen = [p for name, p in model.named_parameters() if starts_with(name, pass_.trains)]
    assert chosen, f"pass {pass_.name!r} trains nothing: no parameter below {pass_.trains}"
    return chosen


def _set_modes(model: nn.Module, pass_: Pass) -> None:
    """Only what the pass trains learns; a frozen part is in eval mode, so that its batch statistics do not drift."""
    model.train(pass_.frozen_mode == "train")
    for name, module in model.named_modules():
        if starts_with(name, pass_.trains):
            module.train()
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(starts_with(name, pass_.trains))


# --- training ---------------------------------------------------------------------------------------------------------


def _train_epoch(run: _Run, epoch: int) -> dict[str, float]:
    metrics: dict[str, float] = {}
    for index, (pass_, optimiser) in enumerate(zip(run.stage.passes, run.optimisers, strict=True)):
        _set_modes(run.model, pass_)
        sums: dict[str, float] = {}
        videos = 0
        batches = run.data.train_batches(
            modalities=run.stage.modalities,
            segments=run.stage.segments,
            batch_size=run.stage.batch_size,
            draw=(run.job.seed, epoch, index),
            rank=run.ranks.rank,
            ranks=run.ranks.size,
        )
        for step, batch in enumerate(batches):
            loss = _step(run, pass_, optimiser, batch.to(run.device), draw=(epoch, index, step))
            count = len(batch.label_B)
            videos += count
            for name, value in {"loss": loss.total, **loss.logs}.items():
                number = value.detach().item() if isinstance(value, torch.Tensor) else value
                sums[name] = sums.get(name, 0.0) + number * count
        metrics |= {f"{pass_.name}.{name}": value / max(1, videos) for name, value in sums.items()}
    run.ranks.copy_buffers(run.model)
    return metrics


def _step(run: _Run, pass_: Pass, optimiser: PairedOptimiser, batch: Batch, *, draw: tuple[int, int, int]) -> Loss:
    epoch, index, step = draw
    # One number for everything random in this step, dropout included: a resumed run draws what the first would have.
    step_seed = _mix(run.job.seed, epoch, index, step, run.ranks.rank)
    torch.manual_seed(step_seed)
    context = StepContext(
        stage=run.stage.name,
        pass_name=pass_.name,
        epoch=epoch,
        epochs=run.stage.epochs,
        generator=torch.Generator(device=run.device).manual_seed(step_seed),
    )
    loss = run.system.step(run.model, run.config, batch, context)
    if not bool(torch.isfinite(loss.total)):
        raise StageFailed(
            f"{run.stage.name}: the loss is {loss.total.item()} in epoch {epoch}, pass {pass_.name}, step {step}; "
            "lower the learning rate or the penalty"
        )
    optimiser.zero_grad()
    loss.total.backward()
    run.ranks.average_gradients(p for group in optimiser.torch.param_groups for p in group["params"])
    optimiser.step()
    return loss


def _mix(*numbers: int) -> int:
    """One 63-bit seed from several numbers (splitmix64 steps)."""
    state = 0
    for number in numbers:
        state = (state ^ (number & 0xFFFFFFFFFFFFFFFF)) + 0x9E3779B97F4A7C15 & 0xFFFFFFFFFFFFFFFF
        state = (state ^ (state >> 30)) * 0xBF58476D1CE4E5B9 & 0xFFFFFFFFFFFFFFFF
        state = (state ^ (state >> 27)) * 0x94D049BB133111EB & 0xFFFFFFFFFFFFFFFF
        state ^= state >> 31
    return state >> 1


# --- measuring --------------------------------------------------------------------------------------------------------


def _is_candidate(stage: Stage, epoch: int) -> bool:
    return stage.candidates == "every" or (stage.candidates == "last" and epoch == stage.epochs - 1)


def _measure_candidate(run: _Run, epoch: int, result: Path) -> dict[str, float]:
    if not _is_candidate(run.stage, epoch):
        return {}
    table = _replay(run.system, run.model, run.config, run.data, "val", stage=run.stage, seed=run.job.seed)
    folder = epoch_folder(result, epoch)
    write_arrays(folder / "val.safetensors", table.arrays())
    save_weights(folder / "weights.safetensors", _state(run))
    scored = table.score([{}])
    return {
        "val.accuracy": float(scored.correct_PB.mean()),
        "val.map": mean_average_precision(table.video_logits({}), table.label_B),
        **{f"val.gflops.{convention}": float(g.mean()) for convention, g in scored.gmacs_PB.items()},
        **{f"val.rate.{site}": float(rate.mean()) for site, rate in scored.rate_PB.items()},
    }


def _replay(
    system: System, model: nn.Module, config: SystemConfig, data: Data, split: str, *, stage: Stage, seed: int
) -> Replay:
    model.eval()
    with torch.no_grad():
        return system.replay(model, config, data, split, mode=stage.mode, seed=seed)


def _state(run: _Run) -> dict[str, torch.Tensor]:
    trained = {prefix for pass_ in run.stage.passes for prefix in pass_.trains}
    return owned_state(run.model, trained=trained, inherited=run.inherited)


# --- stopping and going on --------------------------------------------------------------------------------------------


def _save_resume(run: _Run, work: Path, done: int) -> None:
    work.mkdir(parents=True, exist_ok=True)
    aside = work / f".{RESUME_FILE}.{os.getpid()}"
    state: dict[str, Any] = {
        "key": run.job.key,
        "done": done,
        "model": run.model.state_dict(),
        "optimisers": [o.state_dict() for o in run.optimisers],
        "history": run.history,
    }
    torch.save(state, aside)
    os.replace(aside, work / RESUME_FILE)


def _resume(run: _Run, work: Path) -> int:
    """Restore an unfinished run of the same key; the number of epochs that it had finished."""
    path = work / RESUME_FILE
    if not path.exists():
        return 0
    try:
        state = torch.load(path, map_location=run.device, weights_only=True)
    except Exception:  # cut short by a full disk, say: the epochs are lost, the stage is not
        return 0
    if state["key"] != run.job.key:
        return 0
    run.model.load_state_dict(state["model"])
    for optimiser, saved in zip(run.optimisers, state["optimisers"], strict=True):
        optimiser.load_state_dict(saved)
    run.history.extend(state["history"])
    return int(state["done"])


def _finish(run: _Run, result: Path, *, seconds: float) -> None:
    stage, job = run.stage, run.job
    if stage.select == "best_accuracy" and stage.candidates == "every":
        best = max(range(stage.epochs), key=lambda epoch: run.history[epoch]["val.accuracy"])
        save_weights(result / "weights.safetensors", load_weights(epoch_folder(result, best) / "weights.safetensors"))
    else:
        save_weights(result / "weights.safetensors", _state(run))
    cost = run.system.cost(run.config, len(run.data.classes))
    info: dict[str, Json] = {
        "key": job.key,
        "system": job.system,
        "stage": job.stage,
        "baseline": stage.baseline,
        "mode": stage.mode,
        "config": dict(job.config),
        "seed": job.seed,
        "parents": dict(job.parents),
        "epochs": stage.epochs,
        "training_passes": stage.training_passes,
        "metrics": run.history,
        "classes": list(run.data.classes),
        "videos": {split: len(run.data.ids(split)) for split in ("train", "val", "test")},
        "cost": {
            "segments": cost.segments,
            "per_segment_macs": {c: dict(macs) for c, macs in cost.per_segment_macs.items()},
            "always_macs": dict(cost.always_macs),
        },
        "provenance": {
            "data_fingerprint": run.system.data_fingerprint(run.config),
            "seconds": round(seconds, 3),
            "torch": torch.__version__,
            "python": platform.python_version(),
            "device": torch.cuda.get_device_name(run.device) if run.device.type == "cuda" else "cpu",
            "threads": torch.get_num_threads(),
            "ranks": run.ranks.size,
        },
    }
    write_json(result / "stage.json", info)
