"""Syne Tune's MO-ASHA (Salinas et al. 2021; Schmucker et al. 2021): random configurations, of which those that rank low among all
that have been at the same rung are stopped for good."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.search_efficiency.problem import Course, Problem
from benchmarks.search_efficiency.roles import Asked, Asker, Standing, Stopping, Told
from explorer.spec.dimension import Choice, Dimension, Int, Log, Uniform
from explorer.spec.rungs import Rung

METRICS = ["first", "second"]
REDUCTION_FACTOR = 3  # its default


class MoAsha:
    """Proposes and stops. Its rungs lie where this program's do; the unit after the last epoch is the rest of the trial."""

    learns_points = False

    def __init__(self, problem: Problem, seed: int, folder: Path) -> None:
        from syne_tune.optimizer.schedulers.multiobjective.moasha import MOASHA

        self._signs = [-1.0 if way == "max" else 1.0 for way in problem.objectives.values()]
        self._grace = next((rung.epochs for rung in problem.rungs if rung.epochs is not None), 1)
        self._state = np.random.RandomState(seed).get_state()
        space = {path: _domain(dimension) for path, dimension in problem.search.items()}
        self._make = lambda epochs: MOASHA(
            space,
            METRICS,
            time_attr="epoch",
            max_t=epochs + 1,
            grace_period=self._grace,
            reduction_factor=REDUCTION_FACTOR,
            random_seed=seed,
        )
        self._space = space
        self._scheduler: Any = None
        self._trials: dict[int, Any] = {}
        self._number = -1

    def ask(self) -> Asked:
        self._number += 1
        with self._global_draws():
            config = {path: domain.sample() for path, domain in self._space.items()}
        params = {path: value.item() if isinstance(value, np.generic) else value for path, value in config.items()}
        return Asked(number=self._number, params=params)

    def tell(self, number: int, told: Told | None) -> None: ...

    # --- early stopping -----------------------------------------------------------------------------------------------

    def halts(self, course: Course) -> Sequence[Rung]:
        if self._scheduler is None:
            self._scheduler = self._make(course.epochs)
        places = sorted(place for bracket in self._scheduler.brackets for place, _ in bracket.rungs)
        return [Rung(stage="joint", epochs=int(place)) for place in places if place <= course.epochs]

    def begin(self, number: int) -> None:
        self._trials[number] = None

    def arrive(self, number: int, rung: Rung, course: Course, epochs: int) -> Standing:
        from syne_tune.backend.trial_status import Trial

        if self._trials[number] is None:
            self._trials[number] = Trial(trial_id=number, config={}, creation_time=datetime(2020, 1, 1))
            with self._global_draws():
                self._scheduler.on_trial_add(self._trials[number])
        values = [sign * value for sign, value in zip(self._signs, course.at(epochs).values, strict=True)]
        result = {"epoch": epochs, **dict(zip(METRICS, values, strict=True))}
        return "stopped" if self._scheduler.on_trial_result(self._trials[number], result) == "STOP" else "passed"

    def next_promotion(self, *, asking: bool) -> int | None:
        return None

    def promote(self, number: int) -> None: ...

    def to_prune(self, *, asking: bool) -> Sequence[int]:
        return ()

    def end(self, number: int, state: str) -> None: ...

    @contextmanager
    def _global_draws(self) -> Iterator[None]:
        """MOASHA draws from NumPy's global generator, whatever seed it is given: it gets one of its own here."""
        before = np.random.get_state()
        np.random.set_state(self._state)
        try:
            yield
        finally:
            self._state = np.random.get_state()
            np.random.set_state(before)


def itself(problem: Problem, asker: Asker) -> Stopping:
    assert isinstance(asker, MoAsha)
    return asker


def _domain(dimension: Dimension) -> Any:
    from syne_tune import config_space

    match dimension:
        case Choice(values=values):
            return config_space.choice(list(values))
        case Int(low=low, high=high):
            return config_space.randint(low, high)
        case Log(low=low, high=high):
            return config_space.loguniform(low, high)
        case Uniform(low=low, high=high):
            return config_space.uniform(low, high)
    raise AssertionError(f"no domain for {dimension}")
