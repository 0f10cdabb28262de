"""When a search has stopped finding anything."""

from __future__ import annotations

from collections.abc import Sequence

import moocore
import numpy as np


def trials_without_gain(values: Sequence[Sequence[float]], directions: Sequence[str]) -> int:
    """How many of the last finished trials in a row added no area under the front of those before them.

    ``values``: the objectives of complete trials, in the order in which they ended; ``directions``: ``maximize`` or ``minimize``.
    A trial adds area if and only if no earlier one is at least as good in every objective, whatever the reference point.
    """
    if not values:
        return 0
    sign = np.array([-1.0 if way == "maximize" else 1.0 for way in directions])
    costs = np.asarray(values, float) * sign
    last_gain = 0
    front = costs[:1]
    for n, row in enumerate(costs[1:], 1):
        if not (front <= row).all(1).any():
            last_gain = n
            front = moocore.filter_dominated(np.vstack([front, row]))
    return len(costs) - 1 - last_gain
