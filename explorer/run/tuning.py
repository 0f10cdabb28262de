"""The Tuner of a sweep: it runs in a thread of its own, says nothing on the terminal and keeps nothing on disk."""

from __future__ import annotations

import json
import logging
import os
import threading
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ray import tune
from ray.tune import Callback

from explorer.run.events import Kind
from explorer.run.queue_actor import ON_HEAD_NODE
from explorer.run.trial import run_trial, subscriber
from explorer.search.aim import AIM
from explorer.search.book import ChainOf
from explorer.search.scheduler import ParetoHalving
from explorer.search.searcher import REASON, TRIAL_ATTRS, TRIAL_STATE, StudySearcher
from explorer.spec.fork import FORK, Fork
from explorer.spec.space import SearchSpace

_log = logging.getLogger(__name__)

_DEATHS = 5  # times that a trial's process may be killed; the function itself never raises


class SweepSearcher(StudySearcher):
    """Can be interrupted. Whoever opens the study next runs the trials again that were cut short."""

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        return self.FINISHED if self.interrupted else super().suggest(trial_id)

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        if self.interrupted and (result or {}).get(TRIAL_STATE) != "COMPLETE":
            return
        super().on_trial_complete(trial_id, result, error)


class TrialEvents(Callback):
    """Writes what happens to trials into the queue's list of events, and drops what an ended trial still waits for.

    A trial that was cut short because the sweep was interrupted has not ended: nothing is told of it.
    """

    def __init__(self, queue: Any, searcher: SweepSearcher, chain_of: ChainOf) -> None:
        self._queue = queue
        self._searcher = searcher
        self._chain_of = chain_of
        self._begun: set[int] = set()

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        number = trial.config["number"]
        if number not in self._begun:
            self._begun.add(number)
            self._note(Kind.TRIAL_STARTED, trial)

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        result = trial.last_result or {}
        if result.get(TRIAL_STATE) == "COMPLETE":
            values = {metric: result[metric] for metric in ("accuracy", "gflops")}
            self._note(Kind.TRIAL_FINISHED, trial, values=values)
        elif (pruned := self._pruned(trial.config["number"])) is not None:
            self._ended(Kind.TRIAL_PRUNED, trial, **pruned)
        else:
            attrs = json.loads(result.get(TRIAL_ATTRS) or "{}")
            self._failed(trial, attrs.get(REASON, "the trial ended without a result"))

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self._failed(trial, "the trial's process died")

    def on_standing(self, standing: str, trial: Any, rung: str, values: Sequence[float]) -> None:
        """A trial was paused at a rung, or promoted beyond it."""
        kind = Kind.TRIAL_PAUSED if standing == "paused" else Kind.TRIAL_PROMOTED
        objectives = self._searcher.book.search.objectives
        self._note(kind, trial, rung=rung, values=dict(zip(objectives, values, strict=True)))

    def _pruned(self, number: int) -> dict[str, Any] | None:
        climber = None if self._searcher.ladder is None else self._searcher.ladder.trials[number]
        if climber is None or climber.state != "PRUNED":
            return None
        return {"rung": next(reversed(climber.arrivals), ""), "reason": climber.reason}

    def _failed(self, trial: Any, error: str) -> None:
        self._ended(Kind.TRIAL_FAILED, trial, error=error)

    def _ended(self, kind: Kind, trial: Any, **data: Any) -> None:
        if not self._searcher.interrupted:
            self._note(kind, trial, **data)
            self._queue.drop.remote(subscriber(trial.config["number"]))

    def _note(self, kind: Kind, trial: Any, **data: Any) -> None:
        params, fork = trial.config["params"], Fork.of(trial.config)
        data = {"params": params, "chain": self._chain_of(params, fork), **self._why(trial.config["number"]), **data}
        self._queue.note.remote(kind, trial.config["number"], data)

    def _why(self, number: int) -> dict[str, Any]:
        """Why it was this trial, where that is to be told."""
        notes = self._searcher.book.notes(number)
        return {name: notes[name] for name in (AIM, FORK) if name in notes}

    def __getstate__(self) -> dict[str, Any]:
        return {}  # Tune pickles its arguments for Tuner.restore, which this program does not use


class Tuning(threading.Thread):
    """Runs trials until the searcher has no more. ``error``: what ended it before its time."""

    def __init__(
        self, space: SearchSpace, queue: Any, searcher: SweepSearcher, events: TrialEvents, scratch: Path
    ) -> None:
        super().__init__(name="tuner", daemon=True)
        self.error: Exception | None = None
        trial = tune.with_parameters(run_trial, space=space, queue=queue)
        self._tuner = tune.Tuner(
            tune.with_resources(trial, ON_HEAD_NODE),
            tune_config=tune.TuneConfig(
                search_alg=searcher,
                scheduler=None if searcher.ladder is None else ParetoHalving(searcher, events.on_standing),
                num_samples=-1,
                reuse_actors=True,
            ),
            run_config=tune.RunConfig(
                name="tune",
                storage_path=str(scratch),
                verbose=0,
                callbacks=[events],
                failure_config=tune.FailureConfig(max_failures=_DEATHS),
            ),
        )

    def run(self) -> None:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                self._tuner.fit()
        except Exception as error:
            _log.debug("Tune ended", exc_info=True)
            self.error = error


def quieten(slots: int) -> None:
    """Tune's pace and volume. Its limit of pending trials keeps it from asking for more than can run."""
    os.environ["TUNE_MAX_PENDING_TRIALS_PG"] = str(slots)
    for name in ("ray", "ray.tune", "ray.train", "ray.data"):
        logging.getLogger(name).setLevel(logging.ERROR)
