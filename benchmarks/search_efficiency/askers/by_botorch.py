"""BoTorch: Gaussian processes and the logarithm of noisy expected hypervolume improvement (qLogNEHVI; Daulton et al. 2021,
Ament et al. 2023), asked for one point at a time, with running trials pending."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np

from benchmarks.search_efficiency.askers.cube import Cube
from benchmarks.search_efficiency.problem import Params, Problem
from benchmarks.search_efficiency.roles import Asked, Told

RESTARTS, RAW_SAMPLES, MC_SAMPLES = 4, 64, 64


class QLogNEHVI:
    """Sobol points until 2 (d + 1) trials have ended, d being the number of coordinates, but at most 12."""

    learns_points = False

    def __init__(self, problem: Problem, seed: int, folder: Path) -> None:
        from torch.quasirandom import SobolEngine

        self._cube = Cube(problem.search)
        self._signs = [1.0 if way == "max" else -1.0 for way in problem.objectives.values()]
        self._first = min(12, 2 * (self._cube.size + 1))
        self._sobol = SobolEngine(self._cube.size, scramble=True, seed=seed)
        self._seed = seed
        self._asked: dict[int, Params] = {}
        self._values: dict[int, tuple[float, float]] = {}

    def ask(self) -> Asked:
        number = len(self._asked)
        if number < self._first or len(self._values) < 2:
            params = self._cube.params(self._sobol.draw(1)[0].tolist())
        else:
            params = self._cube.params(self._proposal(number))
        self._asked[number] = params
        return Asked(number=number, params=params)

    def tell(self, number: int, told: Told | None) -> None:
        assert told is not None
        self._values[number] = told.values

    def _proposal(self, number: int) -> list[float]:
        import torch
        from botorch.acquisition.multi_objective import logei
        from botorch.acquisition.multi_objective.logei import qLogNoisyExpectedHypervolumeImprovement
        from botorch.fit import fit_gpytorch_mll
        from botorch.models import SingleTaskGP
        from botorch.models.transforms import Standardize
        from botorch.optim import optimize_acqf
        from botorch.sampling import SobolQMCNormalSampler
        from botorch.utils.multi_objective.hypervolume import infer_reference_point
        from botorch.utils.multi_objective.pareto import is_non_dominated
        from gpytorch.mlls import ExactMarginalLogLikelihood

        # Else it compiles a C++ kernel into the user's cache, and a process that was killed meanwhile leaves a lock there on which
        # every later one waits for ever. The Python path gives the same values.
        logei._load_attempted = True
        running = [n for n in self._asked if n not in self._values]
        x, pending = (
            torch.tensor([self._cube.point(self._asked[n]) for n in numbers], dtype=torch.double).reshape(
                -1, self._cube.size
            )
            for numbers in (self._values, running)
        )
        y = torch.tensor(np.array(list(self._values.values())) * self._signs, dtype=torch.double)
        with warnings.catch_warnings(), torch.random.fork_rng():
            warnings.simplefilter("ignore")
            torch.manual_seed(1000 * self._seed + number)
            model = SingleTaskGP(x, y, outcome_transform=Standardize(m=2))
            fit_gpytorch_mll(ExactMarginalLogLikelihood(model.likelihood, model))
            gain = qLogNoisyExpectedHypervolumeImprovement(
                model=model,
                ref_point=infer_reference_point(y[is_non_dominated(y)]),
                X_baseline=x,
                X_pending=pending if running else None,
                sampler=SobolQMCNormalSampler(torch.Size([MC_SAMPLES]), seed=number),
                prune_baseline=True,
            )
            bounds = torch.stack([torch.zeros(self._cube.size), torch.ones(self._cube.size)]).double()
            best, _ = optimize_acqf(
                gain, bounds, q=1, num_restarts=RESTARTS, raw_samples=RAW_SAMPLES, options={"maxiter": 100}
            )
        return best[0].tolist()
