"""An order of whole fronts: who goes on where only some can. Non-dominated sorting, with an epsilon-net inside a front.

Schmucker et al. 2021 (Multi-objective Asynchronous Successive Halving) and Salinas et al. 2021 rank so: a trial of an earlier
front comes first; within a front each next one is the one that is farthest from those before it, so that the first few are
spread over the whole trade-off and not crowded at one end of it.
"""

from __future__ import annotations

from collections.abc import Sequence

import moocore
import numpy as np


def pareto_order(values: Sequence[Sequence[float]], maximise: Sequence[bool]) -> list[int]:
    """Positions of ``values`` (one row a candidate, one column an objective), best first.

    Rows that come earlier win ties, so give them in an order that means something (trial numbers). Distances are Euclidean, each
    objective scaled by its range over all rows; a front's first one is the best in the first objective. Raises ``ValueError``
    for a value that is not finite.
    """
    if not len(values):
        return []
    rows = np.asarray(values, dtype=float)
    if not np.isfinite(rows).all():
        raise ValueError("only finite values can be ranked")
    losses = np.where(np.asarray(maximise), -rows, rows)
    ranks = np.asarray(moocore.pareto_rank(losses))
    span = np.ptp(losses, axis=0)
    scaled = losses / np.where(span > 0, span, 1.0)
    order: list[int] = []
    for rank in np.unique(ranks):
        order += _epsilon_net(scaled, np.flatnonzero(ranks == rank))
    return order


def _epsilon_net(scaled: np.ndarray, members: np.ndarray) -> list[int]:
    """``members`` (positions), each the farthest from the ones before it."""
    first = int(members[np.argmin(scaled[members, 0])])
    order, left = [first], [int(m) for m in members if m != first]
    distance = {m: float(np.linalg.norm(scaled[m] - scaled[first])) for m in left}
    while left:
        farthest = max(left, key=lambda m: (distance[m], -m))
        order.append(farthest)
        left.remove(farthest)
        for m in left:
            distance[m] = min(distance[m], float(np.linalg.norm(scaled[m] - scaled[farthest])))
    return order
