"""The study of a sweep, as this program keeps it: its samplers, its rule for conditioned trials, its early stopping."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from optuna.trial import FrozenTrial

from benchmarks.search_efficiency.problem import Course, Params, Problem
from benchmarks.search_efficiency.roles import Asked, Asker, Standing, Stopping, Told
from explorer.search.book import REACHED, StudyBook
from explorer.search.filling import Filling, Reached
from explorer.search.focus import Focus, conditioned_focus
from explorer.search.ladder import Ladder
from explorer.search.search import Search
from explorer.spec.dimension import Choice, Dimension
from explorer.spec.rungs import Rung

REDUCTION_FACTOR, SETTLED = 3, 0.1  # the product's defaults


class Study:
    """``conditioned``: with the rule of ``start_with: conditioned``, where the problem has conditioned trials."""

    learns_points = True

    def __init__(
        self, problem: Problem, seed: int, folder: Path, *, conditioned: bool = True, sampler: str = "tpe"
    ) -> None:
        self._problem = problem
        kind = problem.conditioning if conditioned else None
        more: dict[str, Dimension] = {kind.field: Choice((kind.off, kind.on))} if kind else {}
        first = [] if problem.default is None else [{**problem.default, **({kind.field: kind.on} if kind else {})}]
        optional: dict[str, Any] = {"focus": self._focus, "canonical": self._canonical} if kind else {}
        search = Search(
            name="benchmark",
            search={**problem.search, **more},
            objectives=problem.objectives,
            sampler=sampler,
            seed=seed,
            first_points=first,
            **optional,
        )
        self.learns_points = kind is not None
        self.book = StudyBook(folder / "study.journal", search)

    def ask(self) -> Asked:
        asked = self.book.ask()
        assert asked is not None
        return Asked(number=asked.number, params=asked.params)

    def tell(self, number: int, told: Told | None) -> None:
        if told is None:
            self.book.tell(number, {}, "PRUNED")
            return
        best = self._problem.front(told.points) if self.learns_points else ()
        reached = {
            "accuracy_P": [p.val.accuracy for p in best],
            "gflops_P": [p.val.gflops["full"] for p in best],
            "knobs_P": [dict(p.knobs) for p in best],
        }
        values = dict(zip(self._problem.objectives, told.values, strict=True))
        self.book.tell(number, values, attrs={REACHED: reached})

    def _canonical(self, params: Params) -> Params:
        kind, default = self._problem.conditioning, self._problem.default
        assert kind is not None and default is not None
        if params.get(kind.field) != kind.on:
            return params
        return {**params, **{path: default[path] for path in kind.covers}}

    def _focus(self, complete: Sequence[FrozenTrial], begun: Sequence[Params], number: int) -> Sequence[Focus]:
        kind = self._problem.conditioning
        assert kind is not None
        everyone = [trial.params for trial in complete] + list(begun)
        if sum(params[kind.field] == kind.on for params in everyone) >= self._problem.conditioned_at_most:
            return [Focus(settled={kind.field: kind.off})]  # the table has no other
        reached = [Reached(trial=t.number, params=t.params, **t.user_attrs[REACHED]) for t in complete]
        filling = Filling(search=self._problem.search, weights=kind.covers)
        return conditioned_focus(kind, filling, reached, begun)


class Halving:
    """Successive halving as in a sweep: a trial is compared once its selection rates have come to rest."""

    def __init__(self, problem: Problem, asker: Asker) -> None:
        self._rungs = problem.rungs
        self._ladder = Ladder(
            maximise=[way == "max" for way in problem.objectives.values()],
            logarithmic=problem.logarithmic,
            reduction_factor=REDUCTION_FACTOR,
        )
        self.begin, self.promote = self._ladder.begin, self._ladder.promote
        self.next_promotion, self.to_prune = self._ladder.next_promotion, self._ladder.to_prune

    def halts(self, course: Course) -> Sequence[Rung]:
        return self._rungs

    def arrive(self, number: int, rung: Rung, course: Course, epochs: int) -> Standing:
        now = course.at(epochs)
        before = course.at(epochs - 1).rates if epochs > 1 else now.rates
        change = max((abs(now.rates[name] - before[name]) for name in now.rates), default=0.0)
        return self._ladder.arrive(number, rung, now.values, settled=rung.epochs is None or change <= SETTLED)

    def end(self, number: int, state: str) -> None:
        self._ladder.end(number, state)


def halving(problem: Problem, asker: Asker) -> Stopping:
    return Halving(problem, asker)


conditioned = partial(Study, conditioned=True)
independent = partial(Study, conditioned=False)
by_gp = partial(Study, conditioned=True, sampler="gp")
