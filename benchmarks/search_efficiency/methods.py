"""Who proposes trials, how far each is trained, and which points it leaves. One dictionary of names.

``ours`` asks the study that a sweep asks, with its sampler and its early stopping; the competitors are raw Optuna, as
``Ray Tune + OptunaSearch`` uses it: each trial trained from its first stage to its end, one point a trial.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import optuna

from benchmarks.search_efficiency.problem import OBJECTIVES, SEARCH
from explorer.search.book import StudyBook
from explorer.search.distributions import to_distributions
from explorer.search.search import Search
from explorer.spec.dimension import Value
from explorer.spec.draws import random_point

Params = Mapping[str, Value]


class Asker(Protocol):
    """Proposes trials and is told how they ended: values, or None for a trial that was stopped early."""

    def ask(self) -> tuple[int, Params]: ...

    def tell(self, number: int, values: tuple[float, float] | None) -> None: ...


@dataclass(frozen=True, kw_only=True)
class Method:
    """``thresholds``: each checkpoint leaves a point a budget, not only that of its default setting. ``epochs``: each epoch of the
    joint stage is a checkpoint. ``shared``: the warm-up is trained once. ``stopping``: rungs."""

    asker: Callable[[int, Path], Asker]
    shared: bool = False
    thresholds: bool = False
    epochs: bool = False
    stopping: bool = False


class Study:
    """The study of a sweep, as this program keeps it."""

    def __init__(self, seed: int, folder: Path, sampler: str = "tpe") -> None:
        search = Search(name="benchmark", search=SEARCH, objectives=OBJECTIVES, sampler=sampler, seed=seed)
        self.book = StudyBook(folder / "study.journal", search)

    def ask(self) -> tuple[int, Params]:
        asked = self.book.ask()
        assert asked is not None
        return asked.number, asked.params

    def tell(self, number: int, values: tuple[float, float] | None) -> None:
        state = "PRUNED" if values is None else "COMPLETE"
        self.book.tell(number, dict(zip(OBJECTIVES, values or (), strict=False)), state)


class RawOptuna:
    """``study.ask`` and ``study.tell`` with Optuna's own sampler."""

    def __init__(self, seed: int, folder: Path) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        directions = ["maximize" if way == "max" else "minimize" for way in OBJECTIVES.values()]
        self._study = optuna.create_study(directions=directions, sampler=optuna.samplers.TPESampler(seed=seed))

    def ask(self) -> tuple[int, Params]:
        trial = self._study.ask(to_distributions(SEARCH))
        return trial.number, trial.params

    def tell(self, number: int, values: tuple[float, float] | None) -> None:
        assert values is not None
        self._study.tell(number, list(values))


class Random:
    """Independent draws."""

    def __init__(self, seed: int, folder: Path) -> None:
        self._seed, self._number = seed, -1

    def ask(self) -> tuple[int, Params]:
        self._number += 1
        draw = int(np.random.SeedSequence([self._seed, 77]).generate_state(1)[0])
        return self._number, random_point(SEARCH, (draw, self._number))

    def tell(self, number: int, values: tuple[float, float] | None) -> None:
        """Nothing is learnt."""


OURS = "ours"
# What ray.tune.Tuner with OptunaSearch does; then with what this program adds, one thing after the other; then ours.
METHODS: dict[str, Method] = {
    "random": Method(asker=Random),
    "tune_optuna": Method(asker=RawOptuna),
    "random+thresholds": Method(asker=Random, thresholds=True),
    "tune_optuna+thresholds": Method(asker=RawOptuna, thresholds=True),
    OURS: Method(asker=Study, shared=True, thresholds=True, epochs=True),
    "ours+early_stopping": Method(asker=Study, shared=True, thresholds=True, epochs=True, stopping=True),
    "ours-epochs": Method(asker=Study, shared=True, thresholds=True),
    "ours-thresholds": Method(asker=Study, shared=True, epochs=True),
    "ours-sharing": Method(asker=Study, thresholds=True, epochs=True),
}
