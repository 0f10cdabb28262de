"""What a sweep that goes on keeps of what was done. Reads its study, the store and what half-trained stages left."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from explorer.records import STUDY_FILE
from explorer.run.ledger import Ledger
from explorer.search.reader import read_study
from explorer.spec.plan import baseline_chains
from explorer.spec.space import SearchSpace
from explorer.store import Store
from trainables.kit.engine.resume import epochs_saved

_STATES = {"COMPLETE": "complete", "PRUNED": "pruned", "FAIL": "failed", "RUNNING": "unfinished", "WAITING": "queued"}


@dataclass(frozen=True, kw_only=True)
class Kept:
    """``trials``: by state. ``half_trained``: stage, epochs saved, epochs. ``to_come``: trials not yet begun; None = open."""

    trials: Mapping[str, int]
    stages: int
    epochs: int
    half_trained: tuple[tuple[str, int, int], ...]
    damaged: tuple[str, ...]
    budget: int | None
    to_come: int | None

    def to_json(self) -> str:
        return json.dumps(asdict(self))


def kept(space: SearchSpace) -> Kept:
    """What running ``space`` again will find. Checksums are compared; a checkpoint that fails is moved aside.

    Raises:
        NotFound: the sweep was never begun.
    """
    trials = read_study(space.folder / STUDY_FILE)
    ledger = Ledger.open(space, baseline_chains(space), trials)
    store = Store(space.store_folder, area=space.area)
    jobs = {**ledger.jobs, **{job.key: job for chain in ledger.named.values() for job in chain}}
    before = {key for key in jobs if store.is_there(key)}
    done = {key for key in before if store.has(key)}
    half = [(jobs[key].stage, epochs_saved(store.work_folder(key)), jobs[key].epochs) for key in jobs.keys() - done]
    states = Counter("paused" if trial.paused_at else _STATES[trial.state] for trial in trials)
    budget = space.budget.trials
    return Kept(
        trials=dict(states),
        stages=len(done),
        epochs=sum(jobs[key].epochs for key in done),
        half_trained=tuple(sorted(found for found in half if found[1])),
        damaged=tuple(sorted(jobs[key].stage for key in before - done)),
        budget=budget,
        to_come=None if budget is None else max(0, budget - len(trials)),
    )
