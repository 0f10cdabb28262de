"""One number for a whole trade-off. Importing this module does not import torch."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import numpy as np

from trainables.contract import Knob, Replay
from trainables.kit.measure.replay import ModalityReplay

# Shares of the cost of everything on: from all of it down to 1/13.5, evenly spaced in the logarithm.
BUDGETS: tuple[float, ...] = tuple(2.0 ** (-step / 4) for step in range(16))
_CHUNK = 256  # settings scored at a time


def accuracy_over_budgets(table: Replay, knobs: Sequence[Knob], *, all_on_gmacs: float) -> float:
    """Mean over ``BUDGETS`` of the best accuracy that any setting of the replay knobs reaches within the budget.

    In [0, 1]. Accuracy and cost (mean GMACs a video, full convention) are those of the table's videos; a budget that no
    setting keeps counts as 0. It is the expected accuracy for someone whose budget is drawn evenly in its logarithm.
    """
    free = [knob for knob in knobs if knob.by == "replay"]
    values = [dict.fromkeys((knob.default, *knob.values)) for knob in free]
    settings = [dict(zip((k.name for k in free), chosen, strict=True)) for chosen in itertools.product(*values)]
    accuracy_P, gmacs_P = _accuracy_and_gmacs(table, settings)
    share_P = gmacs_P / all_on_gmacs
    within = [accuracy_P[share_P <= budget * (1 + 1e-6)] for budget in BUDGETS]  # rates are float32
    return float(np.mean([found.max() if len(found) else 0.0 for found in within]))


def _accuracy_and_gmacs(table: Replay, settings: Sequence[Mapping[str, float]]) -> tuple[np.ndarray, np.ndarray]:
    """Means over videos, by setting."""
    if isinstance(table, ModalityReplay):
        means = table.means(settings)
        return means.accuracy_P, means.gmacs_P["full"]
    accuracy, gmacs = [], []
    for first in range(0, len(settings), _CHUNK):
        scored = table.score(settings[first : first + _CHUNK])
        accuracy.append(scored.correct_PB.mean(1))
        gmacs.append(scored.gmacs_PB["full"].mean(1))
    return np.concatenate(accuracy), np.concatenate(gmacs)
