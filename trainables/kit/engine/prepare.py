"""A stage made ready to train: its system, data, network and optimisers."""

from __future__ import annotations

import functools
import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from trainables.contract import Data, Pass, Stage, StageJob, System, SystemConfig
from trainables.kit.engine.keys import stage_of
from trainables.kit.engine.optim import Group, PairedOptimiser, parameter_groups
from trainables.kit.engine.ranks import Ranks
from trainables.kit.engine.weights import load_into, load_weights, owned_state
from trainables.systems import load_system


@dataclass(kw_only=True)
class Run:
    """A stage made ready to train. ``inherited``: names of the state that it starts from; ``history``: metrics by epoch."""

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

    @property
    def rounds(self) -> int:
        """Epochs, and one round of measuring for a stage that trains nothing."""
        return max(1, self.stage.epochs)

    def state(self) -> dict[str, torch.Tensor]:
        """What this stage hands on: what it started from and what it trained."""
        trained = {prefix for pass_ in self.stage.passes for prefix in pass_.trains}
        return owned_state(self.model, trained=trained, inherited=self.inherited)


def prepare(job: StageJob, *, parents: Mapping[str, Path], cache: Path, ranks: Ranks) -> Run:
    """Build the network with the weights that the stage starts from, and its optimisers.

    Raises:
        UserError: weights that the configuration names are missing or do not fit.
    """
    system, config = system_of(job)
    stage = stage_of(system, config, job)
    assert stage.select == "last" or stage.candidates == "every", (
        f"{stage.name} selects among epochs that it does not measure"
    )
    data = open_for(system, job, cache)
    torch.manual_seed(job.seed)
    model = system.build(config, len(data.classes))
    inherited: dict[str, torch.Tensor] = {}
    for name in stage.after:
        inherited |= load_weights(parents[name] / "weights.safetensors")
    if not stage.after:
        inherited |= system.initial_state(config, stage.name, data.classes)
    load_into(model, inherited)
    device = this_device()
    if (
        device.type == "cuda" and ranks.ranks > 1
    ):  # torch has none for the CPU: there, statistics are those of a rank's share
        model = nn.SyncBatchNorm.convert_sync_batchnorm(model)
    model.to(device)
    steps_per_epoch = math.ceil(len(data.ids("train")) / stage.batch_size)
    return Run(
        job=job,
        system=system,
        config=config,
        stage=stage,
        data=data,
        model=model,
        optimisers=[
            PairedOptimiser(p.optimiser, _groups(model, p), steps_per_epoch=steps_per_epoch, epochs=stage.epochs)
            for p in stage.passes
        ],
        inherited=tuple(inherited),
        device=device,
        ranks=ranks,
        history=[],
    )


def system_of(job: StageJob) -> tuple[System, SystemConfig]:
    """The job's system and its validated configuration."""
    system = load_system(job.system)
    return system, system.Config.model_validate(dict(job.config))


def open_for(system: System, job: StageJob, cache: Path) -> Data:
    """The job's data, opened once for all jobs of a process that have it in common."""
    config = system.Config.model_validate(dict(job.config))
    return _open(job.system, json.dumps(system.data_part(config), sort_keys=True), str(cache))


@functools.lru_cache(maxsize=2)
def _open(system: str, config_json: str, cache: str) -> Data:
    """Jobs of a sweep differ in lambda and the like, not in data."""
    loaded = load_system(system)
    return loaded.open_data(loaded.Config.model_validate(json.loads(config_json)), Path(cache))


def this_device() -> torch.device:
    """This process's device. torchrun and Ray Train say in LOCAL_RANK which of the node's GPUs is its own."""
    if not torch.cuda.is_available():
        return torch.device("cpu")
    return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")) % torch.cuda.device_count())


def _groups(model: nn.Module, pass_: Pass) -> tuple[Group, ...]:
    groups = parameter_groups(pass_.optimiser, model, pass_.trains)
    assert groups, f"pass {pass_.name!r} trains nothing: no parameter below {pass_.trains}"
    return groups
