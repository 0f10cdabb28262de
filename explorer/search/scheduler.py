"""Pareto early stopping as Ray Tune sees it: pauses trials at rungs, lets the best go on, stops the others at the end.

Tune's own ASHA and median rule know one metric, and stop where they should pause. The decisions are those of
:class:`explorer.search.ladder.Ladder`; each is in the study before Tune hears of it, so that a sweep that is killed goes on
with it.

Tune starts the function of a trial that goes on again at its first line: it reports the rungs that it has behind it once more,
and is answered as before.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler

from explorer.search.book import RUNGS
from explorer.search.searcher import StudySearcher
from explorer.spec.rungs import Rung

RUNG = "rung"  # key of a result: the name of the rung that the trial has reached
ARRIVAL = "arrival"  # JSON: what Ladder.arrive is told of it

# What is told: paused or promoted, Tune's trial, rung, the values there.
Tell = Callable[[str, Trial, str, tuple[float, ...]], None]


class ParetoHalving(FIFOScheduler):  # type: ignore[misc]
    """Asynchronous (or, in cohorts, synchronous) successive halving with several objectives."""

    def __init__(self, searcher: StudySearcher, tell: Tell = lambda standing, trial, rung, values: None) -> None:
        super().__init__()
        assert searcher.ladder is not None
        self._searcher = searcher
        self._ladder = searcher.ladder
        self._tell = tell

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        if RUNG not in result:
            return self.CONTINUE
        number, rung = trial.config["number"], Rung.parse(result[RUNG])
        standing = self._ladder.arrive(number, rung, **json.loads(result[ARRIVAL]))
        self._note(number)
        if standing != "paused":
            return self.CONTINUE
        if self._ladder.next_promotion(asking=self._asking) == number:
            self._promote(trial)
            return self.CONTINUE
        self._searcher.on_pause(trial.trial_id)
        self._tell("paused", trial, rung.name, self._values(number, rung.name))
        return self.PAUSE

    def choose_trial_to_run(self, tune_controller: Any) -> Trial | None:
        """A trial that waits for its process first; then whoever is promoted. Asked at every step of Tune's loop."""
        live = sorted(tune_controller.get_live_trials(), key=lambda trial: trial.config["number"])
        trials: dict[int, Trial] = {trial.config["number"]: trial for trial in live}
        if self._searcher.interrupted:
            for trial in live:
                if trial.status == Trial.PAUSED:
                    tune_controller.stop_trial(trial)
            return None
        for trial in live:
            if trial.status == Trial.PENDING:
                return trial
        number = self._ladder.next_promotion(asking=self._asking)
        if number is not None and number in trials:
            if trials[number].status != Trial.PAUSED or self._searcher.running >= self._searcher.limit:
                return None  # Tune is still putting it to rest, or every place is taken
            self._promote(trials[number])
            self._searcher.on_unpause(trials[number].trial_id)
            return trials[number]
        for pruned in self._ladder.to_prune(asking=self._asking):
            if pruned in trials and trials[pruned].status == Trial.PAUSED:
                tune_controller.stop_trial(trials[pruned])
        return None

    @property
    def _asking(self) -> bool:
        return not self._searcher.exhausted

    def _promote(self, trial: Trial) -> None:
        number = trial.config["number"]
        rung = self._ladder.promote(number)
        self._note(number)
        self._tell("promoted", trial, rung, self._values(number, rung))

    def _values(self, number: int, rung: str) -> tuple[float, ...]:
        return self._ladder.trials[number].arrivals[rung].values

    def _note(self, number: int) -> None:
        arrivals = self._ladder.trials[number].arrivals
        self._searcher.book.note(number, RUNGS, {name: arrival.to_json() for name, arrival in arrivals.items()})

    def debug_string(self) -> str:
        return f"Pareto early stopping of {len(self._ladder.trials)} trials"

    def __getstate__(self) -> dict[str, Any]:
        return {}  # Tune pickles its arguments for Tuner.restore, which this program does not use


def passed_by(rung: Rung) -> dict[str, Any]:
    """What a forked trial reports of a rung inside a stage before it trains: it is not compared there.

    Its epochs are not those of a trial from scratch, whose stage it only ends: progress is equal at the end of the stage.
    """
    return at_rung(rung, (), settled=False, passes=0)


def at_rung(rung: Rung, values: Sequence[float], *, settled: bool, passes: int) -> dict[str, Any]:
    """What a trial reports at a rung; see :meth:`Ladder.arrive`."""
    return {RUNG: rung.name, ARRIVAL: json.dumps({"values": list(values), "settled": settled, "passes": passes})}
