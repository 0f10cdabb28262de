"""What the trials of a run have asked for so far: stage keys, passes spent, what is done already. No Ray."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from explorer.search.book import CHAIN, RUNGS
from explorer.search.reader import TrialRecord
from explorer.spec.fork import Fork
from explorer.spec.plan import chain, own_chain, plan_info
from explorer.spec.rungs import Rung
from explorer.spec.space import SearchSpace
from explorer.store import Store
from trainables.contract import StageJob

_EXAMPLE_TRIALS = 4


@dataclass(kw_only=True)
class Ledger:
    """``jobs``: every stage that a trial needs, by key; ``named``: the chains that are trained beside the trials."""

    space: SearchSpace
    named: Mapping[str, tuple[StageJob, ...]]
    jobs: dict[str, StageJob] = field(default_factory=dict)
    _chains: dict[str, dict[str, str]] = field(default_factory=dict)

    @classmethod
    def open(cls, space: SearchSpace, named: Mapping[str, tuple[StageJob, ...]], trials: list[TrialRecord]) -> Ledger:
        """The ledger of a run that may have begun before with ``trials``."""
        ledger = cls(space=space, named=named)
        for trial in trials:
            if trial.state != "FAIL":
                ledger.chain_of(trial.params, trial.fork)
        return ledger

    def chain_of(self, params: Mapping[str, Any], fork: Fork | None = None) -> dict[str, str]:
        """Stage name -> key of a trial, whose stages count as spent from now on."""
        identity = json.dumps([dict(params), None if fork is None else fork.to_json()], sort_keys=True)
        if identity not in self._chains:
            jobs = chain(self.space, params, fork)
            self.jobs |= {job.key: job for job in jobs}
            self._chains[identity] = own_chain(jobs)
        return self._chains[identity]

    def passes_are_spent(self, trials: Iterable[tuple[int, str, Mapping[str, Any]]]) -> bool:
        """Whether ``trials`` (number, state, notes) take as many passes over the training videos as the budget allows.

        A trial counts with what it takes to its end; one that was stopped early, or waits at a rung, with what it took.
        """
        limit = self.space.budget.passes
        if limit is None:
            return False
        taken: dict[str, int] = {}
        for _, state, notes in trials:
            for key, passes in self._passes(state, notes):
                taken[key] = max(passes, taken.get(key, 0))
        return sum(taken.values()) >= limit

    def _passes(self, state: str, notes: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
        """Key and passes of each stage of a trial, as far as it goes."""
        rungs: dict[str, Mapping[str, Any]] = notes.get(RUNGS, {})
        name = next(reversed(rungs), "")
        arrival = rungs.get(name, {})
        # In strict order a trial knows of the others only what is certain: a paused one may yet go on.
        stopped = state == "PRUNED" or (self.space.order == "free" and state == "RUNNING")
        rung = Rung.parse(name) if stopped and arrival.get("standing") == "paused" else None
        for stage, key in notes.get(CHAIN, {}).items():
            last = rung is not None and stage == rung.stage
            if key in self.jobs:
                yield key, arrival["passes"] if last else self.jobs[key].training_passes
            if last:
                return

    def named_keys(self) -> dict[str, dict[str, str]]:
        """Name of a chain -> stage name -> key."""
        return {name: {job.stage: job.key for job in jobs} for name, jobs in self.named.items()}

    def missing(self, store: Store) -> list[str]:
        """Named chains of which the store does not hold every stage."""
        return [name for name, jobs in self.named.items() if not all(store.has(job.key) for job in jobs)]

    def repairs(self, trials: list[TrialRecord], store: Store) -> dict[str, tuple[StageJob, ...]]:
        """Chains of complete trials of which a checkpoint is gone or failed its checksum: it is trained again."""
        found = {}
        for trial in trials:
            if trial.state == "COMPLETE" and not all(map(store.has, self.chain_of(trial.params, trial.fork).values())):
                found[f"repair of trial {trial.number}"] = chain(self.space, trial.params, trial.fork)
        return found

    def done(self, store: Store) -> dict[str, dict[str, Any]]:
        """Key -> stage and epochs, of the stages that are trained already."""
        return {key: {"stage": job.stage, "epochs": job.epochs} for key, job in self.jobs.items() if store.has(key)}


def own_epochs(space: SearchSpace) -> dict[str, float]:
    """Stage name -> epochs that a further trial trains for itself, the mean of a few examples: for progress displays."""
    few = {"trials": _EXAMPLE_TRIALS, "passes": None, "hours": None}
    info = plan_info(space.model_copy(update={"budget": space.budget.model_copy(update=few)}))
    own: dict[str, float] = {}
    for stage in info.stages:
        if stage.shared_by == 1 and info.trials > 1:
            own[stage.name] = own.get(stage.name, 0.0) + stage.epochs / info.trials
    return own
