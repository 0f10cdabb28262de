"""What the trials of a run have asked for so far: stage keys, passes spent, what is done already. No Ray."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from explorer.search.reader import TrialRecord
from explorer.spec.plan import chain, plan_info
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
                ledger.chain_of(trial.params)
        return ledger

    def chain_of(self, params: Mapping[str, Any]) -> dict[str, str]:
        """Stage name -> key of a trial, whose stages count as spent from now on."""
        identity = json.dumps(dict(params), sort_keys=True)
        if identity not in self._chains:
            jobs = chain(self.space, params)
            self.jobs |= {job.key: job for job in jobs}
            self._chains[identity] = {job.stage: job.key for job in jobs}
        return self._chains[identity]

    def passes_are_spent(self) -> bool:
        """Whether the trials so far take as many passes over the training videos as the budget allows."""
        limit = self.space.budget.passes
        return limit is not None and sum(job.training_passes for job in self.jobs.values()) >= limit

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
            if trial.state == "COMPLETE" and not all(map(store.has, self.chain_of(trial.params).values())):
                found[f"repair of trial {trial.number}"] = chain(self.space, trial.params)
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
