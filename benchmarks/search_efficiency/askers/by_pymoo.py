"""pymoo's NSGA-II by ask and tell: a generation is handed out one by one, and the next waits for its last member."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.search_efficiency.askers.cube import Cube
from benchmarks.search_efficiency.askers.raw_optuna import GENERATION
from benchmarks.search_efficiency.problem import Problem
from benchmarks.search_efficiency.roles import Asked, Told


class PymooNSGA2:
    learns_points = False

    def __init__(self, problem: Problem, seed: int, folder: Path) -> None:
        from pymoo.algorithms.moo.nsga2 import NSGA2
        from pymoo.core.problem import Problem as Pymoo
        from pymoo.core.termination import NoTermination

        self._cube = Cube(problem.search)
        self._signs = np.array([-1.0 if way == "max" else 1.0 for way in problem.objectives.values()])
        self._inner = Pymoo(n_var=self._cube.size, n_obj=2, xl=0.0, xu=1.0)
        self._algorithm = NSGA2(pop_size=GENERATION)
        self._algorithm.setup(self._inner, termination=NoTermination(), seed=seed, verbose=False)
        self._generation: Any = None
        self._values: dict[int, tuple[float, float]] = {}
        self._number = self._first = 0

    def ask(self) -> Asked | None:
        place = self._number - self._first
        if self._generation is None or place == len(self._generation):
            if self._generation is not None and not self._close():
                return None
            self._generation, self._first, place = self._algorithm.ask(), self._number, 0
        params = self._cube.params(self._generation[place].X)
        self._number += 1
        return Asked(number=self._number - 1, params=params)

    def _close(self) -> bool:
        """Tell the whole generation, if all of it has ended."""
        from pymoo.core.evaluator import Evaluator
        from pymoo.problems.static import StaticProblem

        members = range(self._first, self._number)
        if not all(number in self._values for number in members):
            return False
        values = np.array([self._values[number] for number in members]) * self._signs
        Evaluator().eval(StaticProblem(self._inner, F=values), self._generation)
        self._algorithm.tell(infills=self._generation)
        return True

    def tell(self, number: int, told: Told | None) -> None:
        assert told is not None
        self._values[number] = told.values
