"""Stage keys: equal key = same checkpoint. Importing this module does not import torch."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace

from trainables.contract import LATER, Json, Optimiser, Stage, StageJob, System, SystemConfig

# Raised when the engine itself trains or measures differently: every key changes, nothing old is reused.
ENGINE_RECIPE = 2
_KEY_CHARS = 20  # 80 bits: no collision among a billion stages


def stage_key(
    system: str, stage: Stage, *, data_fingerprint: str, seed: int, ranks: int, parents: Mapping[str, str]
) -> str:
    """Content hash of all that can change the stage's result.

    That is: what the stage declares (epochs, passes, optimisers, batch and segments, the declared subset of the
    configuration), the data, the seed, the number of ranks that share a batch, and the keys of the stages before.
    Device, library versions and the trial's other parameters are provenance, not identity.
    """
    declared = _of_old(dataclasses.asdict(stage), stage)
    del declared["baseline"], declared["forkable"]  # labels, not causes
    for told, pass_ in zip(declared["passes"], stage.passes, strict=True):
        told["optimiser"] = _of_old(told["optimiser"], pass_.optimiser)
    content = {
        "engine": ENGINE_RECIPE,
        "system": system,
        "stage": declared,
        "data": data_fingerprint,
        "seed": seed,
        "ranks": ranks,
        "parents": dict(sorted(parents.items())),
    }
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), default=list, allow_nan=False)
    return hashlib.sha256(canonical.encode()).hexdigest()[:_KEY_CHARS]


def _of_old(told: Mapping[str, Json], of: Stage | Optimiser) -> dict[str, Json]:
    """Without fields that came later and are at their default: what was trained before them keeps its key."""
    later = {f.name for f in dataclasses.fields(of) if f.metadata == LATER and told[f.name] == f.default}
    return {name: value for name, value in told.items() if name not in later}


def stage_jobs(
    system: System,
    config: SystemConfig,
    *,
    seed: int,
    ranks: int,
    stages: Sequence[Stage],
    before: Sequence[StageJob] = (),
) -> tuple[StageJob, ...]:
    """The jobs of ``stages`` (parents before children), each addressed by its key. ``before``: jobs that they start from."""
    fingerprint = system.data_fingerprint(config)
    dumped: Mapping[str, Json] = config.model_dump(mode="json", by_alias=True)
    jobs = {job.stage: job for job in before}
    for stage in stages:
        parents = {name: jobs[name].key for name in stage.after}
        key = stage_key(
            system_reference(system), stage, data_fingerprint=fingerprint, seed=seed, ranks=ranks, parents=parents
        )
        jobs[stage.name] = StageJob(
            key=key,
            system=system_reference(system),
            stage=stage.name,
            config=dumped,
            seed=seed,
            parents=parents,
            epochs=stage.epochs,
            training_passes=stage.training_passes,
            baseline=stage.baseline,
        )
    return tuple(jobs[stage.name] for stage in stages)


def forked(stage: Stage, epochs: int) -> Stage:
    """``stage`` as a fork: it starts from another configuration's result of the same stage and trains ``epochs`` of its epochs.

    Learning rates and temperature run through their whole schedules, only faster: each epoch stands for several of the full ones,
    and the last for the last. So it begins as warm as a training from scratch, and not where the other one ended: with cold
    logits that are far from their threshold there would be hardly a gradient to move them to other weights (a hard draw does not
    depend on the temperature, so nothing that was learnt is lost by it), and it ends as cold, with rates as low.
    """
    pace = stage.epochs / epochs
    passes = tuple(
        replace(p, optimiser=replace(p.optimiser, milestones=tuple(m / pace for m in p.optimiser.milestones)))
        for p in stage.passes
    )
    return replace(stage, after=(stage.name,), epochs=epochs, full_epochs=stage.epochs, passes=passes)


def schedule_epoch(stage: Stage, epoch: int) -> int:
    """The epoch (from 0) of the stage's schedules at which ``epoch`` stands; of a fork it is a later one, the last for the last."""
    if stage.full_epochs is None:
        return epoch
    return -(-(epoch + 1) * stage.full_epochs // stage.epochs) - 1


def system_reference(system: System) -> str:
    """The string by which :func:`trainables.systems.load_system` finds ``system`` again in another process."""
    return f"{type(system).__module__}:{type(system).__qualname__}"


def stage_of(system: System, config: SystemConfig, job: StageJob) -> Stage:
    """The stage that ``job`` trains, as a fork where it is one."""
    stage = find_stage(system, config, job.stage)
    return forked(stage, job.epochs) if job.stage in job.parents else stage


def find_stage(system: System, config: SystemConfig, name: str) -> Stage:
    """The declared stage or baseline stage called ``name``."""
    baselines = (s for chain in system.baseline_stages(config).values() for s in chain)
    for stage in (*system.stages(config), *baselines, *system.preview_stages(config)):
        if stage.name == name:
            return stage
    raise AssertionError(f"{system.name} declares no stage {name!r}")
