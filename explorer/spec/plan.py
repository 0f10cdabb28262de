"""What a sweep will train: the stages of each trial, which of them are shared, and how many passes that takes."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from explorer.spec.dimension import Value
from explorer.spec.draws import default_point, random_points
from explorer.spec.fork import Fork
from explorer.spec.rungs import Rung, rungs_of
from explorer.spec.space import SearchSpace
from trainables.contract import Json, Stage, StageJob, SystemConfig
from trainables.kit.engine.keys import forked, stage_jobs

_DRAWS_BY_TIME = 16  # a budget in hours says nothing about the number of trials: this many serve as an example
_DRAWS_AT_MOST = 1000


@dataclass(frozen=True, kw_only=True)
class PlannedStage:
    """A stage to train once. ``shared_by``: how many trials need it. ``passes``: over the training videos."""

    key: str
    name: str
    shared_by: int
    epochs: int
    passes: int
    baselines: tuple[str, ...] = ()  # the baselines that need it


@dataclass(frozen=True, kw_only=True)
class PlanInfo:
    """What a sweep will take. The trials are examples (seeded random points): only what they share is certain.

    ``passes_unshared``: what the same trials would take if each trained all of its stages. ``slots``: worker groups at
    a time, on this machine where the space does not say; 0 = not even one fits.
    """

    sweep: str
    system: str
    trials: int
    stages: tuple[PlannedStage, ...]
    passes_total: int
    passes_unshared: int
    slots: int
    warnings: tuple[str, ...]


def chain(space: SearchSpace, params: Mapping[str, Value], fork: Fork | None = None) -> tuple[StageJob, ...]:
    """The stage jobs of one trial, parents before children.

    A forked trial has those of the trial that it is forked from before its own, as far as it needs them: they are shared with it,
    or trained again where they are gone. So a stage may be there twice; the later one is the trial's own.
    """
    config = space.configure(params)
    stages = _in_order(space.load_system().stages(config))
    if fork is None:
        return _jobs(space, config, stages)
    place, forkable = _forkable(stages)
    assert space.fill_gaps is not None and space.fill_gaps.fork is not None
    epochs = max(1, round(space.fill_gaps.fork * forkable.epochs))
    origin = _jobs(space, space.configure(fork.params), _in_order(space.load_system().stages(space.configure(fork.params))))
    before = origin[: [job.stage for job in origin].index(forkable.name) + 1]
    return (*before, *_jobs(space, config, (forked(forkable, epochs), *stages[place + 1 :]), before=before))


def own_chain(jobs: Sequence[StageJob]) -> dict[str, str]:
    """Stage name -> key of a trial's own stages, in the order of training."""
    return {job.stage: job.key for job in jobs}


def can_fork(space: SearchSpace, params: Mapping[str, Value]) -> bool:
    """Whether another trial can be forked from the one with ``params``."""
    return any(stage.forkable for stage in space.load_system().stages(space.configure(params)))


def preview_chain(space: SearchSpace, params: Mapping[str, Value]) -> tuple[StageJob, ...]:
    """The jobs that a preview of one trial takes: the trial's stages before the table, the table, the preview.

    Raises as :func:`chain`.
    """
    system = space.load_system()
    config = space.configure(params)
    stages = _with_parents(system.preview_stages(config), system.stages(config))
    return stage_jobs(system, config, seed=space.seed, ranks=space.resources.workers, stages=stages)


def trial_rungs(space: SearchSpace, params: Mapping[str, Value]) -> tuple[Rung, ...]:
    """Where one trial may be stopped early; none where the space does not ask for it."""
    early = space.early_stopping
    if early is None:
        return ()
    stages = _in_order(space.load_system().stages(space.configure(params)))
    return rungs_of(stages, reduction_factor=early.reduction_factor, grace_epochs=early.grace_epochs)


def _jobs(
    space: SearchSpace, config: SystemConfig, stages: Sequence[Stage], *, before: Sequence[StageJob] = ()
) -> tuple[StageJob, ...]:
    return stage_jobs(
        space.load_system(),
        config,
        seed=space.seed,
        ranks=space.resources.workers,
        stages=stages,
        before=before,
    )


def _forkable(stages: Sequence[Stage]) -> tuple[int, Stage]:
    """The stage that can be forked, and its place."""
    return next((place, stage) for place, stage in enumerate(stages) if stage.forkable)


def baseline_chains(space: SearchSpace) -> Mapping[str, tuple[StageJob, ...]]:
    """The stage jobs of each baseline that the space asks for, those of the stages before included."""
    system = space.load_system()
    config = space.base_config()
    known = system.baseline_stages(config)
    return {
        name: stage_jobs(
            system,
            config,
            seed=space.seed,
            ranks=space.resources.workers,
            stages=_with_parents(known[name], system.stages(config)),
        )
        for name in space.baselines
    }


def stage_chain(
    space: SearchSpace, overrides: Mapping[str, Json], *, stage: str | None, seed: int
) -> tuple[StageJob, ...]:
    """The jobs that end with ``stage``, of a trial's own stages or of any baseline; None = the trial's last stage.

    ``overrides``: dotted path -> value, laid over the space's configuration.

    Raises:
        SpecError: the configuration does not take the overrides.
        KeyError: it has no such stage.
    """
    system = space.load_system()
    config = space.configure(overrides)
    own = system.stages(config)
    known = {s.name: s for stages in (*system.baseline_stages(config).values(), own) for s in stages}
    wanted = _with_parents([own[-1] if stage is None else known[stage]], known.values())
    return stage_jobs(system, config, seed=seed, ranks=space.resources.workers, stages=wanted)


def distinct_stages(chains: Mapping[str, tuple[StageJob, ...]]) -> tuple[PlannedStage, ...]:
    """Every stage of the named chains once; ``baselines`` are the chains that need it."""
    return _stages((), chains)


def plan_info(space: SearchSpace) -> PlanInfo:
    """What running ``space`` will take, without training anything."""
    chains = list(example_chains(space))
    baselines = baseline_chains(space)
    stages = _stages(chains, baselines)
    slots = space.resources.groups or _slots_here(space)
    system = space.load_system()
    warnings = [*system.warnings(space.base_config(), tuple(space.search))]
    if space.budget.trials is None and space.budget.passes is None:
        warnings.append(f"the budget names no number of trials: {len(chains)} are shown as an example")
    if space.early_stopping is not None:
        names = ", ".join(str(rung) for rung in trial_rungs(space, {}))
        warnings.append(f"early stopping: the passes are the most that it can take; trials are compared at {names}")
    if space.preview is not None:
        warnings.append(
            f"preview: from the second trial on, the best of {space.preview.candidates} previewed proposals runs; previews take "
            "one inference pass once and no training pass"
        )
    if space.fill_gaps is not None and space.fill_gaps.fork is not None:
        warnings.append("some of the trials are shown as forks of others; which are is decided by the gaps of the front")
    if slots == 0:
        need = space.resources
        warnings.append(
            f"not one group fits this machine (it needs {need.workers * need.cpus_per_worker:g} CPUs and "
            f"{need.workers * need.gpus_per_worker:g} GPUs); run it on a cluster or lower `resources`"
        )
    return PlanInfo(
        sweep=space.name,
        system=space.system,
        trials=len(chains),
        stages=stages,
        passes_total=sum(stage.passes for stage in stages),
        passes_unshared=sum(
            job.training_passes for jobs in (*chains, *baselines.values()) for job in {job.stage: job for job in jobs}.values()
        ),
        slots=slots,
        warnings=tuple(warnings),
    )


def example_chains(space: SearchSpace) -> Iterator[tuple[StageJob, ...]]:
    """Chains of as many trials as the budget pays for: the configuration's own values first, then random ones."""
    if space.search:
        points: Iterable[Mapping[str, Value]] = itertools.chain(
            [default_point(space)], random_points(space.search, space.seed)
        )
    else:
        points = [{}]  # nothing is searched: every trial would be the same one
    budget = space.budget
    limit = budget.trials
    if limit is None:
        limit = _DRAWS_AT_MOST if budget.passes else _DRAWS_BY_TIME
    trained: set[str] = set()
    passes = 0
    for params, fork in itertools.islice(_with_forks(space, points), min(limit, _DRAWS_AT_MOST)):
        jobs = chain(space, params, fork)
        passes += sum(job.training_passes for job in jobs if job.key not in trained)
        if budget.passes is not None and trained and passes > budget.passes:
            return
        trained.update(job.key for job in jobs)
        yield jobs


def _with_forks(
    space: SearchSpace, points: Iterable[Mapping[str, Value]]
) -> Iterator[tuple[Mapping[str, Value], Fork | None]]:
    """``points``, some of them as forks of the latest that can be forked, where the space asks for forks."""
    gaps, origin = space.fill_gaps, None
    for number, params in enumerate(points):
        forks = gaps is not None and gaps.fork is not None and number >= gaps.after and number % gaps.every == gaps.every - 1
        if forks and origin is not None:
            weights = {path: params[path] for path in space.weights()}
            yield {**origin.params, **weights}, origin
            continue
        if gaps is not None and gaps.fork is not None and can_fork(space, params):
            origin = Fork(trial=number, params=params)
        yield params, None


def _stages(
    chains: Iterable[tuple[StageJob, ...]], baselines: Mapping[str, tuple[StageJob, ...]]
) -> tuple[PlannedStage, ...]:
    """Every distinct key once, shared stages first."""
    jobs: dict[str, StageJob] = {}
    shared: dict[str, int] = {}
    needed_by: dict[str, list[str]] = {}
    for trial in chains:
        for job in trial:
            jobs.setdefault(job.key, job)
            shared[job.key] = shared.get(job.key, 0) + 1
    for name, baseline in baselines.items():
        for job in baseline:
            jobs.setdefault(job.key, job)
            needed_by.setdefault(job.key, []).append(name)
    planned = [
        PlannedStage(
            key=key,
            name=job.stage,
            shared_by=shared.get(key, 0),
            epochs=job.epochs,
            passes=job.training_passes,
            baselines=tuple(needed_by.get(key, ())),
        )
        for key, job in jobs.items()
    ]
    return tuple(sorted(planned, key=lambda stage: -stage.shared_by))


def _in_order(stages: Iterable[Stage]) -> tuple[Stage, ...]:
    """``stages`` with parents before children; otherwise in the given order."""
    by_name = {stage.name: stage for stage in stages}
    ordered: dict[str, Stage] = {}

    def add(stage: Stage) -> None:
        for parent in stage.after:
            if parent not in ordered:
                add(by_name[parent])
        ordered.setdefault(stage.name, stage)

    for stage in by_name.values():
        add(stage)
    return tuple(ordered.values())


def _with_parents(wanted: Iterable[Stage], others: Iterable[Stage]) -> tuple[Stage, ...]:
    """``wanted`` and, of ``others``, the stages that it starts from."""
    by_name = {stage.name: stage for stage in (*others, *wanted)}
    needed: dict[str, Stage] = {}
    open_names = [stage.name for stage in wanted]
    while open_names:
        stage = by_name[open_names.pop()]
        needed[stage.name] = stage
        open_names.extend(name for name in stage.after if name not in needed)
    return _in_order(stage for name, stage in by_name.items() if name in needed)


def _slots_here(space: SearchSpace) -> int:
    """How many worker groups fit this machine. A running cluster may hold more; asking it would mean starting Ray."""
    need = space.resources
    fit = len(os.sched_getaffinity(0)) / (need.workers * need.cpus_per_worker)
    if need.gpus_per_worker:
        listing = Path("/proc/driver/nvidia/gpus")
        gpus = len(list(listing.iterdir())) if listing.is_dir() else 0
        fit = min(fit, gpus / (need.workers * need.gpus_per_worker))
    return int(fit)
