"""How much each searched parameter matters for each objective, by Optuna's PED-ANOVA."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from pathlib import Path

import optuna
from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances
from optuna.trial import FrozenTrial, TrialState

from explorer.search.reader import open_study

FEWEST_TRIALS = 8  # below, the best share of the trials is one or two of them, and the figures are noise
BEST_SHARE = 0.25  # of the trials: what tells them from the rest is what matters


def importances(path: Path, objectives: Mapping[str, str]) -> dict[str, dict[str, float]]:
    """Objective -> parameter -> share, summing to 1; empty with too few complete trials. ``objectives``: in the study's order.

    Raises:
        NotFound: there is no study at ``path``.
    """
    study = open_study(path)
    complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    if len(complete) < FEWEST_TRIALS or not any(len(t.distributions) > 1 for t in complete):
        return {}
    found = {}
    for index, (objective, direction) in enumerate(objectives.items()):
        values = {t.values[index] for t in complete}
        if len(values) > 1:
            found[objective] = _shares(study, _lower_is_better(index, direction))
    return found


def _lower_is_better(index: int, direction: str) -> Callable[[FrozenTrial], float]:
    sign = -1.0 if direction == "max" else 1.0
    return lambda trial: sign * trial.values[index]


def _shares(study: optuna.Study, target: Callable[[FrozenTrial], float]) -> dict[str, float]:
    evaluator = PedAnovaImportanceEvaluator(target_quantile=BEST_SHARE)
    with warnings.catch_warnings():  # it warns of every target that low values are the good ones: here they are
        warnings.simplefilter("ignore", UserWarning)
        return dict(get_param_importances(study, evaluator=evaluator, target=target))
