"""Optuna's own samplers, asked and told as Ray's OptunaSearch does (a test compares the two)."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path

import optuna

from benchmarks.search_efficiency.problem import Problem
from benchmarks.search_efficiency.roles import Asked, Told
from explorer.search.distributions import to_distributions

GENERATION = 12  # of NSGA-II, as in this program: Optuna's 50 would spend a whole sweep on random points


class RawOptuna:
    learns_points = False

    def __init__(
        self, problem: Problem, seed: int, folder: Path, *, sampler: Callable[[int], optuna.samplers.BaseSampler]
    ) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        directions = ["maximize" if way == "max" else "minimize" for way in problem.objectives.values()]
        self._study = optuna.create_study(directions=directions, sampler=sampler(seed))
        self._distributions = to_distributions(problem.search)

    def ask(self) -> Asked:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            trial = self._study.ask(self._distributions)
        return Asked(number=trial.number, params=trial.params)

    def tell(self, number: int, told: Told | None) -> None:
        assert told is not None
        self._study.tell(number, list(told.values))


def _tpe(seed: int) -> optuna.samplers.BaseSampler:
    return optuna.samplers.TPESampler(seed=seed)


def _nsga2(seed: int) -> optuna.samplers.BaseSampler:
    return optuna.samplers.NSGAIISampler(seed=seed, population_size=GENERATION)


def _gp(seed: int) -> optuna.samplers.BaseSampler:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return optuna.samplers.GPSampler(seed=seed)


tpe = partial(RawOptuna, sampler=_tpe)
nsga2 = partial(RawOptuna, sampler=_nsga2)
gp = partial(RawOptuna, sampler=_gp)
