"""A sweep under a simulated clock: some workers, one unit of time a pass. What is decided depends on what had ended by then."""

from __future__ import annotations

import heapq
import math
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.search_efficiency.methods import Asker, Method, Params
from benchmarks.search_efficiency.problem import FINETUNE, JOINT, PASSES, Problem
from explorer.fronts import OperatingPoint, front
from explorer.search.ladder import Ladder
from explorer.spec.rungs import Rung

WORKERS = 4
REDUCTION_FACTOR, GRACE_EPOCHS, SETTLED = 3, 2, 0.1  # the product's defaults
RUNGS = (Rung(stage="joint", epochs=2), Rung(stage="joint", epochs=6), Rung(stage="joint"))


@dataclass(frozen=True, kw_only=True)
class Moment:
    """``passes`` of all trials by ``time``; the front's hypervolume then."""

    time: float
    passes: int
    hypervolume: float


@dataclass(kw_only=True)
class _Trial:
    number: int
    params: Params
    joint: int = 0  # epochs done
    left: list[Rung] = field(default_factory=list)


@dataclass(order=True, kw_only=True)
class _Run:
    """A trial on a worker."""

    until: float
    trial: _Trial = field(compare=False)
    passes: int = field(compare=False)


class Sweep:
    """One run of a method on a problem until ``passes`` are spent; the trials begun by then are finished."""

    def __init__(self, problem: Problem, method: Method, *, seed: int, passes: int) -> None:
        self._problem, self._method = problem, method
        self._budget = passes
        self._charged = self._done = 0  # passes handed out, and trained
        self._running: list[_Run] = []
        self._now = self._warm_at = 0.0
        self._members: list[OperatingPoint] = []
        self.history: list[Moment] = []
        self.trials = self.pruned = 0
        self._ladder = Ladder(maximise=(True, False), logarithmic=(False, True), reduction_factor=REDUCTION_FACTOR)
        self._paused: dict[int, _Trial] = {}
        self._seed = seed

    def run(self) -> list[Moment]:
        with tempfile.TemporaryDirectory() as folder:
            self._asker: Asker = self._method.asker(self._seed, Path(folder))
            while True:
                while len(self._running) < WORKERS and (trial := self._next()) is not None:
                    self._train(trial)
                if not self._running:
                    return self.history
                run = heapq.heappop(self._running)
                self._now = run.until
                self._done += run.passes
                if self._goes_on(run.trial):
                    self._train(run.trial)

    # --- who trains next ----------------------------------------------------------------------------------------------

    @property
    def _asking(self) -> bool:
        return self._charged < self._budget

    def _next(self) -> _Trial | None:
        number = self._ladder.next_promotion(asking=self._asking)
        if number is not None:
            self._ladder.promote(number)
            trial = self._paused.pop(number)
            if trial.joint == JOINT:
                self._publish(trial)
            return trial
        if self._asking:
            number, params = self._asker.ask()
            self.trials += 1
            self._ladder.begin(number)
            return _Trial(number=number, params=params, left=list(RUNGS) if self._method.stopping else [])
        for number in self._ladder.to_prune(asking=False):
            self._ladder.end(number, "PRUNED")
            self._asker.tell(number, None)
            del self._paused[number]
            self.pruned += 1
        return None

    def _train(self, trial: _Trial) -> None:
        """Until the trial's next halt."""
        wait = 0.0
        passes = sum(self._way(trial))
        if trial.joint == 0:
            if not self._method.shared:
                passes += PASSES["warmup"]
            elif self._charged == 0:
                passes, self._warm_at = passes + PASSES["warmup"], self._now + PASSES["warmup"]
            else:
                wait = max(0.0, self._warm_at - self._now)
        self._charged += passes
        heapq.heappush(self._running, _Run(until=self._now + wait + passes, trial=trial, passes=passes))

    def _way(self, trial: _Trial) -> Iterator[int]:
        """Passes of each stage up to the next rung, or to the end."""
        goal = (trial.left[0].epochs or JOINT) if trial.left else JOINT
        yield (goal - trial.joint) * PASSES["joint"] // JOINT
        if not trial.left:
            yield PASSES["finetune"]

    # --- what it leaves -----------------------------------------------------------------------------------------------

    def _goes_on(self, trial: _Trial) -> bool:
        """A trial has come to its next rung, or to its end. Whether it keeps its place."""
        if not trial.left:
            if trial.joint < JOINT:
                trial.joint = JOINT
                self._publish(trial)
            end = self._problem.stand(trial.params, joint=JOINT, finetune=FINETUNE)
            self._add(end.points)
            self._ladder.end(trial.number, "COMPLETE")
            self._asker.tell(trial.number, end.values)
            return False
        rung = trial.left.pop(0)
        trial.joint = rung.epochs or JOINT
        now = self._problem.stand(trial.params, joint=trial.joint)
        before = self._problem.stand(trial.params, joint=trial.joint - 1)
        change = max(abs(now.rates[name] - before.rates[name]) for name in now.rates)
        standing = self._ladder.arrive(
            trial.number, rung, now.values, settled=rung.epochs is None or change <= SETTLED
        )
        if standing == "passed":
            return True
        self._paused[trial.number] = trial
        return False

    def _publish(self, trial: _Trial) -> None:
        """The joint stage is whole: its epochs are candidates."""
        if self._method.epochs:
            for epoch in range(1, JOINT + 1):
                self._add(self._problem.stand(trial.params, joint=epoch).points, quiet=epoch < JOINT)

    def _add(self, points: tuple[OperatingPoint, ...], *, quiet: bool = False) -> None:
        kept = points if self._method.thresholds else points[:1]
        self._members = front([*self._members, *kept])
        if not quiet:
            volume = self._problem.hypervolume(self._members)
            self.history.append(Moment(time=self._now, passes=self._passes, hypervolume=volume))

    @property
    def _passes(self) -> int:
        """Done by now, those of trials that still train included."""
        return self._done + sum(run.passes - min(run.passes, math.ceil(run.until - self._now)) for run in self._running)
