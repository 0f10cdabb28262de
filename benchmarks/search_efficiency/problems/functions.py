"""Public test functions of two objectives, both to be minimised: one evaluation is one pass. The multi-fidelity ones are evaluated
at nine fidelities, a pass each; only the last one counts.

ZDT and DTLZ from pymoo, with six variables; the reference points, and the multi-fidelity pair, are BoTorch's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import moocore
import numpy as np

from benchmarks.search_efficiency.problem import Budget, Params, Stand
from explorer.spec.dimension import Dimension, Uniform
from explorer.spec.rungs import Rung

VARIABLES = 6
FIDELITIES = 9
Values = tuple[float, float]
REFERENCES: Mapping[str, Values] = {"zdt1": (11.0, 11.0), "zdt3": (11.0, 11.0), "dtlz2": (1.1, 1.1)}
MULTI_FIDELITY = ("momf_branin_currin", "momf_park")


@dataclass(frozen=True, kw_only=True)
class FunctionCourse:
    """``values_E``: of each fidelity, the last one the true ones."""

    values_E: Sequence[Values]
    shared = 0
    epoch_passes = 1
    finish = 0

    @property
    def epochs(self) -> int:
        return len(self.values_E)

    def at(self, epoch: int) -> Stand:
        return Stand(values=self.values_E[epoch - 1], points=())

    def end(self) -> Stand:
        return Stand(values=self.values_E[-1], points=[self.values_E[-1]])


class FunctionProblem:
    """``evaluate``: a point of the unit cube and a fidelity in (0, 1] to the two values."""

    objectives = {"first": "min", "second": "min"}
    logarithmic = (False, False)
    conditioning = None
    conditioned_at_most = 0
    default = None
    epochs_for_competitors = False

    def __init__(
        self,
        evaluate: Callable[[list[float], float], Values],
        *,
        variables: int,
        reference: Values,
        best: float,
        fidelities: int = 1,
    ) -> None:
        self._evaluate, self._reference, self.best, self._fidelities = evaluate, reference, best, fidelities
        self.search: Mapping[str, Dimension] = {f"x{n}": Uniform(0.0, 1.0) for n in range(variables)}
        self.rungs = tuple(Rung(stage="joint", epochs=n) for n in (1, 3)) if fidelities > 1 else ()

    def budget(self, trials: int) -> Budget:
        return Budget(trials=trials, own=self._fidelities, shared=0)

    def begin(self, seed: int) -> FunctionProblem:
        return self

    def course(self, params: Params) -> FunctionCourse:
        x = [float(params[path]) for path in self.search]  # type: ignore[arg-type]
        levels = range(1, self._fidelities + 1)
        return FunctionCourse(values_E=[self._evaluate(x, level / self._fidelities) for level in levels])

    def front(self, points: Sequence[Values]) -> list[Values]:
        if not points:
            return []
        kept = moocore.is_nondominated(np.array(points), keep_weakly=False)
        return [point for point, keep in zip(points, kept, strict=True) if keep]

    def hypervolume(self, points: Sequence[Values]) -> float:
        inside = [point for point in points if all(v < r for v, r in zip(point, self._reference, strict=True))]
        return float(moocore.hypervolume(np.array(inside), ref=self._reference)) if inside else 0.0


def from_pymoo(name: str) -> FunctionProblem:
    """ZDT1, ZDT3 or DTLZ2."""
    from pymoo.problems import get_problem

    two = {"n_obj": 2} if name == "dtlz2" else {}
    inner = get_problem(name, n_var=VARIABLES, **two)
    reference = REFERENCES[name]
    true_front = _dtlz2_front() if name == "dtlz2" else inner.pareto_front(1000)  # its parameter has two names
    best = float(moocore.hypervolume(np.asarray(true_front), ref=reference))
    return FunctionProblem(
        lambda x, fidelity: _two(inner.evaluate(np.array([x]))[0]), variables=VARIABLES, reference=reference, best=best
    )


def _dtlz2_front() -> np.ndarray:
    angle = np.linspace(0, np.pi / 2, 1000)
    return np.stack([np.cos(angle), np.sin(angle)], 1)


def from_botorch(name: str) -> FunctionProblem:
    """The modified Branin-Currin or Park pair of Irshad et al. (2021); BoTorch says what its true front covers."""
    import torch
    from botorch.test_functions.multi_objective_multi_fidelity import MOMFBraninCurrin, MOMFPark

    inner: Any = {"momf_branin_currin": MOMFBraninCurrin, "momf_park": MOMFPark}[name]()

    def evaluate(x: list[float], fidelity: float) -> Values:
        # Currin divides by its second variable.
        return _two(inner(torch.tensor([[*(max(v, 1e-9) for v in x), fidelity]], dtype=torch.double))[0].tolist())

    return FunctionProblem(
        evaluate, variables=inner.dim - 1, reference=(0.0, 0.0), best=float(inner._max_hv), fidelities=FIDELITIES
    )


def _two(values: Sequence[float]) -> Values:
    first, second = map(float, values)
    return first, second
