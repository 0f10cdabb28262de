"""Previews as stage jobs: worker groups make them, the store keeps them by key, and none is made twice."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import ray

from explorer.errors import UserError
from explorer.run.entry import State
from explorer.run.events import Kind
from explorer.run.jobs import Outcome
from explorer.search.previews import Previewed
from explorer.search.rung0 import RungZero
from explorer.search.search import Params
from explorer.spec.plan import preview_chain
from explorer.spec.space import SearchSpace
from explorer.store import Store
from trainables.contract import PREVIEW_STAGES, StageJob

SUBSCRIBER = "previews"
_PRIORITY = -1  # before the trials: a trial waits for them


def rung_zero(space: SearchSpace, queue: Any) -> RungZero | None:
    """What chooses among a trial's proposals; None where the space does not ask for it."""
    if space.preview is None:
        return None
    jobs = PreviewJobs(space, queue)

    def tell(number: int, told: Mapping[str, Any]) -> None:
        queue.note.remote(
            Kind.TRIAL_PREVIEWED, number, dict(told)
        )  # answered when the driver has read it: not waited for

    return RungZero(space.preview.candidates, needs=jobs.needs, preview=jobs, tell=tell)


class PreviewJobs:
    """Asks the queue for previews and reads what they reached from the store; never waits."""

    def __init__(self, space: SearchSpace, queue: Any) -> None:
        self._space = space
        self._queue = queue
        self._store = Store(space.store_folder)
        self._chains: dict[str, tuple[StageJob, ...]] = {}
        self._made: dict[str, Previewed | None] = {}

    def needs(self, params: Params) -> list[str]:
        """Keys of the stages that a preview rests on."""
        return [job.key for job in self._chain(params) if job.stage not in PREVIEW_STAGES]

    def __call__(self, wanted: Sequence[Params]) -> list[Previewed | None] | None:
        """What each preview reached, None for one that failed; None for all while one is being made."""
        chains = [self._chain(params) for params in wanted]
        missing = {chain[-1].key: chain for chain in chains if chain and chain[-1].key not in self._made}
        if missing:
            outcomes: Mapping[str, Outcome] | None = ray.get(self._queue.wait.remote(list(missing), 0.0))
            if outcomes is None:  # the sweep ends
                return None
            for key, chain in missing.items():
                self._attend(key, chain, outcomes.get(key))
        if any(chain and chain[-1].key not in self._made for chain in chains):
            return None
        return [self._made[chain[-1].key] if chain else None for chain in chains]

    def _attend(self, key: str, chain: tuple[StageJob, ...], outcome: Outcome | None) -> None:
        if outcome is None:
            self._queue.submit.remote(chain, SUBSCRIBER, _PRIORITY)
        elif outcome.state is State.DONE:
            points = self._store.points(key)
            if points:
                self._made[key] = Previewed.of(points)
            else:  # it was damaged on the storage meanwhile
                self._queue.submit.remote(chain, SUBSCRIBER, _PRIORITY)
        elif outcome.state in (State.FAILED, State.CANCELLED):
            self._made[key] = None

    def _chain(self, params: Params) -> tuple[StageJob, ...]:
        identity = json.dumps(dict(params), sort_keys=True)
        if identity not in self._chains:
            try:
                self._chains[identity] = preview_chain(self._space, params)
            except UserError:  # values that are refused together: the trial says so
                self._chains[identity] = ()
        return self._chains[identity]
