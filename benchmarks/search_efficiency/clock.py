"""A sweep under a simulated clock: some workers, one unit of time a pass. What is decided depends on what had ended by then."""

from __future__ import annotations

import heapq
import math
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.search_efficiency.problem import Course, Params, Point, Problem
from benchmarks.search_efficiency.roles import Asker, Method, Stopping, Told
from explorer.spec.rungs import Rung


@dataclass(frozen=True, kw_only=True)
class Moment:
    """``passes`` of all trials by ``time``; the front's hypervolume then."""

    time: float
    passes: int
    hypervolume: float


@dataclass(frozen=True, kw_only=True)
class Left:
    """What a trial leaves at ``time``: its end; or, where ``end`` is not set, checkpoints after the epochs ``first`` to ``last``.

    ``stopped``: it was stopped for good after ``last``.
    """

    time: float
    passes: int
    course: Course
    end: bool = False
    stopped: bool = False
    first: int = 0
    last: int = 0


@dataclass(frozen=True, kw_only=True)
class Trace:
    """A whole sweep. ``trials``: begun; ``pruned``: of them, stopped before their end."""

    left: Sequence[Left]
    trials: int
    pruned: int


@dataclass(kw_only=True)
class _Trial:
    number: int
    params: Params
    course: Course
    halts: list[Rung]
    epochs: int = 0  # done
    published: int = 0


@dataclass(order=True, kw_only=True)
class _Run:
    """A trial on a worker."""

    until: float
    order: int
    trial: _Trial = field(compare=False)
    passes: int = field(compare=False)


def history(problem: Problem, trace: Trace, method: Method) -> list[Moment]:
    """The hypervolume over a sweep, of what ``method`` counts of it: the same sweep serves those that differ in this alone."""
    members: list[Point] = []
    moments = []
    for left in trace.left:
        added = _counted(left, method)
        if added is None:
            continue
        members = problem.front([*members, *added])
        moments.append(Moment(time=left.time, passes=left.passes, hypervolume=problem.hypervolume(members)))
    return moments


def _counted(left: Left, method: Method) -> list[Point] | None:
    if left.end:
        stands = [left.course.end()]
    elif left.stopped:
        if not method.partial:
            return None
        stands = [left.course.at(left.last)]
    elif method.epochs:
        stands = [left.course.at(epoch) for epoch in range(left.first, left.last + 1)]
    else:
        return None
    return [point for stand in stands for point in (stand.points if method.thresholds else stand.points[:1])]


class Sweep:
    """One run of a method on a problem until the passes of ``trials`` whole trials are spent."""

    def __init__(self, problem: Problem, method: Method, *, seed: int, trials: int, workers: int = 4) -> None:
        self._problem, self._method, self._workers = problem.begin(seed), method, workers
        budget = problem.budget(trials)
        self._budget, self._at_most = budget.passes(shared=method.shared), budget.at_most
        self._charged = self._done = 0  # passes handed out, and trained
        self._running: list[_Run] = []
        self._now = self._warm_at = 0.0
        self._left: list[Left] = []
        self._paused: dict[int, _Trial] = {}
        self._begun = self._pruned = self._order = 0
        self._seed = seed

    def run(self) -> Trace:
        with tempfile.TemporaryDirectory() as folder:
            self._asker: Asker = self._method.asker(self._problem, self._seed, Path(folder))
            self._stopping: Stopping = self._method.stopping(self._problem, self._asker)
            while True:
                while len(self._running) < self._workers and (trial := self._next()) is not None:
                    self._train(trial)
                if not self._running:
                    return Trace(left=self._left, trials=self._begun, pruned=self._pruned)
                run = heapq.heappop(self._running)
                self._now = run.until
                self._done += run.passes
                if self._goes_on(run.trial):
                    self._train(run.trial)

    # --- who trains next ----------------------------------------------------------------------------------------------

    @property
    def _asking(self) -> bool:
        return self._charged < self._budget and (self._at_most is None or self._begun < self._at_most)

    def _next(self) -> _Trial | None:
        number = self._stopping.next_promotion(asking=self._asking)
        if number is not None:
            self._stopping.promote(number)
            trial = self._paused.pop(number)
            self._publish(trial)
            return trial
        if self._asking and (asked := self._asker.ask()) is not None:
            course = self._problem.course(asked.params)
            self._begun += 1
            self._stopping.begin(asked.number)
            return _Trial(
                number=asked.number, params=asked.params, course=course, halts=list(self._stopping.halts(course))
            )
        if not self._asking:
            for number in self._stopping.to_prune(asking=False):
                self._stop(self._paused.pop(number))
        return None

    def _train(self, trial: _Trial) -> None:
        """Until the trial's next halt, or its end."""
        course, wait = trial.course, 0.0
        goal = (trial.halts[0].epochs or course.epochs) if trial.halts else course.epochs
        passes = (goal - trial.epochs) * course.epoch_passes + (0 if trial.halts else course.finish)
        if trial.epochs == 0:
            if not self._method.shared:
                passes += course.shared
            elif self._charged == 0:
                passes, self._warm_at = passes + course.shared, self._now + course.shared
            else:
                wait = max(0.0, self._warm_at - self._now)
        self._charged += passes
        self._order += 1
        heapq.heappush(
            self._running, _Run(until=self._now + wait + passes, order=self._order, trial=trial, passes=passes)
        )

    # --- what it leaves -----------------------------------------------------------------------------------------------

    def _goes_on(self, trial: _Trial) -> bool:
        """A trial has come to its next halt, or to its end. Whether it keeps its place."""
        course = trial.course
        if not trial.halts:
            trial.epochs = course.epochs
            self._publish(trial)
            self._leave(Left(time=self._now, passes=self._passes, course=course, end=True))
            self._stopping.end(trial.number, "COMPLETE")
            epochs = range(1, course.epochs + 1) if self._asker.learns_points else ()
            stands = [*(course.at(epoch) for epoch in epochs), course.end()]
            points = [point for stand in stands for point in stand.points]
            self._asker.tell(trial.number, Told(values=stands[-1].values, points=points))
            return False
        rung = trial.halts.pop(0)
        trial.epochs = rung.epochs or course.epochs
        standing = self._stopping.arrive(trial.number, rung, course, trial.epochs)
        if standing == "stopped":
            self._stop(trial)
        elif standing == "paused":
            self._paused[trial.number] = trial
        return standing in ("passed", "promoted")

    def _stop(self, trial: _Trial) -> None:
        self._leave(Left(time=self._now, passes=self._passes, course=trial.course, stopped=True, last=trial.epochs))
        self._stopping.end(trial.number, "PRUNED")
        self._asker.tell(trial.number, None)
        self._pruned += 1

    def _publish(self, trial: _Trial) -> None:
        """Once the epochs are all trained, their checkpoints are candidates."""
        course = trial.course
        if trial.epochs == course.epochs and trial.published < course.epochs and course.epochs > 1:
            self._leave(
                Left(time=self._now, passes=self._passes, course=course, first=trial.published + 1, last=course.epochs)
            )
            trial.published = course.epochs

    def _leave(self, left: Left) -> None:
        self._left.append(left)

    @property
    def _passes(self) -> int:
        """Done by now, those of trials that still train included."""
        return self._done + sum(run.passes - min(run.passes, math.ceil(run.until - self._now)) for run in self._running)
