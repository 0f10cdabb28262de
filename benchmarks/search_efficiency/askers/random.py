"""Independent draws."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from benchmarks.search_efficiency.problem import Problem
from benchmarks.search_efficiency.roles import Asked, Told
from explorer.spec.draws import random_point


class Random:
    learns_points = False

    def __init__(self, problem: Problem, seed: int, folder: Path) -> None:
        self._search, self._number = problem.search, -1
        self._draw = int(np.random.SeedSequence([seed, 77]).generate_state(1)[0])

    def ask(self) -> Asked:
        self._number += 1
        return Asked(number=self._number, params=random_point(self._search, (self._draw, self._number)))

    def tell(self, number: int, told: Told | None) -> None:
        """Nothing is learnt."""
