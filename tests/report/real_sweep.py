"""A real sweep folder made without Ray: the toy is trained trial by trial into a real store and a real study."""

import dataclasses
import itertools
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

from explorer.execute import execute
from explorer.run.events import Event, Kind
from explorer.search.book import BASELINES, CHAIN, StudyBook
from explorer.search.from_space import search_of
from explorer.spec import SearchSpace, load_space
from explorer.spec.plan import baseline_chains, chain
from explorer.store import Store
from trainables.contract import StageJob
from trainables.kit.engine.train import EpochReport

SPACE = {
    "name": "toy-sweep",
    "system": "toy",
    "preset": "tiny",
    "search": {"lambda.rgb": {"log": [0.05, 4]}, "temperature.initial": {"uniform": [1, 10]}},
    "baselines": ["unimodal", "weighted_fusion"],
    "sampler": "random",
    "budget": {"trials": 4},
}


def toy_space(storage: Path, **fields: object) -> SearchSpace:
    """A small search over the toy, its folder begun."""
    source = storage / "source" / f"{fields.get('name', 'toy-sweep')}.yaml"
    source.parent.mkdir(parents=True, exist_ok=True)
    source.write_text(yaml.safe_dump({**SPACE, "storage": str(storage), **fields}))
    space = load_space(source)
    space.folder.mkdir(parents=True, exist_ok=True)
    (space.folder / "space.yaml").write_text(space.to_yaml())
    return space


class RealSweep:
    """Runs a sweep in this process and tells ``listen`` what happens, in the run layer's own events."""

    def __init__(self, space: SearchSpace, listen: Callable[[Event], None] = lambda event: None) -> None:
        self.space = space
        self.store = Store(space.store_folder)
        self.book = StudyBook(space.folder / "study.journal", search_of(space), trials=space.budget.trials)
        self._listen = listen
        self._count = itertools.count(1)
        self._seen: set[str] = set()

    def tell(self, kind: Kind, **fields: Any) -> None:
        self._listen(Event(sequence=next(self._count), time=time.time(), kind=kind, **fields))

    def start(self) -> None:
        self.tell(Kind.SWEEP_STARTED, data={"name": self.space.name, "folder": str(self.space.folder)})

    def baselines(self) -> None:
        chains = baseline_chains(self.space)
        self.book.set_attr(BASELINES, {name: _keys(jobs) for name, jobs in chains.items()})
        for name, jobs in chains.items():
            self.train(jobs)
            self.tell(Kind.CHAIN_FINISHED, data={"name": name, "chain": _keys(jobs)})

    def begin_trial(self) -> tuple[int, Mapping[str, Any], tuple[StageJob, ...]] | None:
        asked = self.book.ask(lambda params, fork: _keys(chain(self.space, params)))
        if asked is None:
            return None
        jobs = chain(self.space, asked.params)
        self.tell(Kind.TRIAL_STARTED, trial=asked.number, data={"params": dict(asked.params), "chain": _keys(jobs)})
        return asked.number, dict(asked.params), jobs

    def trial(self) -> bool:
        """One whole trial; False where the budget is used up."""
        begun = self.begin_trial()
        if begun is None:
            return False
        number, params, jobs = begun
        self.train(jobs)
        last = self.store.points(jobs[-1].key)[0]["val"]
        values = {"accuracy": last["accuracy"], "gflops": last["gflops"]["full"]}
        self.book.tell(number, values, attrs={CHAIN: _keys(jobs)})
        self.tell(Kind.TRIAL_FINISHED, trial=number, data={"params": params, "chain": _keys(jobs), "values": values})
        return True

    def train(self, jobs: tuple[StageJob, ...]) -> None:
        for job in jobs:
            known = {"key": job.key, "stage": job.stage}
            if job.key in self._seen:
                continue
            self._seen.add(job.key)
            if self.store.has(job.key):
                self.tell(Kind.STAGE_REUSED, **known, data={"job": dataclasses.asdict(job)})
                continue
            self.tell(Kind.STAGE_SUBMITTED, **known, data={"job": dataclasses.asdict(job)})
            self.tell(Kind.STAGE_STARTED, **known, data={"job": dataclasses.asdict(job), "slot": "slot-0"})
            execute(job, store=self.store, cache=self.space.cache_folder, on_epoch=self._epoch)
            self.tell(Kind.STAGE_FINISHED, **known, data={"seconds": 0.1})

    def end(self, state: str = "finished") -> None:
        self.book.close()
        self.tell(Kind.SWEEP_ENDED, data={"state": state})

    def _epoch(self, report: EpochReport) -> bool:
        fields = {name: getattr(report, name) for name in ("epoch", "epochs", "metrics", "seconds")}
        self.tell(Kind.STAGE_EPOCH, key=report.key, stage=report.stage, data=fields)
        return True


def train_real_sweep(
    storage: Path, *, listen: Callable[[Event], None] = lambda event: None, **fields: object
) -> SearchSpace:
    """Train the baselines and all trials of the toy; the folder is as a finished sweep leaves it."""
    sweep = RealSweep(toy_space(storage, **fields), listen)
    sweep.start()
    sweep.baselines()
    while sweep.trial():
        pass
    sweep.end()
    return sweep.space


def _keys(jobs: tuple[StageJob, ...]) -> dict[str, str]:
    return {job.stage: job.key for job in jobs}
