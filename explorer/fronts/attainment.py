"""Which trade-offs a front attains how often: over repeats of a sweep, or over draws of the validation videos. Pure.

The empirical attainment function (Grunert da Fonseca, Fonseca and Hall 2001): a trade-off is attained by a set of points where one
of them costs no more and is no less accurate. The surface of a share joins the best trade-offs that this share of the sets, or
more, attains.

Axes: ``B`` video, ``P`` point.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import moocore
import numpy as np

from explorer.fronts.dominance import Valued
from trainables.contract import Convention

DRAWS = 200
SHARES = (0.05, 0.5, 0.95)  # of the draws


@dataclass(frozen=True, kw_only=True)
class Surface:
    """The trade-offs that at least ``share`` of the sets attain, cheapest first: a staircase, ``accuracy_P`` rising."""

    share: float
    cost_P: tuple[float, ...]
    accuracy_P: tuple[float, ...]

    def to_json(self) -> dict[str, object]:
        return {"share": self.share, "gflops": list(self.cost_P), "accuracy": list(self.accuracy_P)}


@dataclass(frozen=True, kw_only=True)
class Attainment:
    """``sets``: how many fronts it is over; ``over``: of what: ``repeats`` or draws of ``videos``."""

    over: str
    sets: int
    surfaces: tuple[Surface, ...]

    def to_json(self) -> dict[str, object]:
        return {"over": self.over, "sets": self.sets, "surfaces": [surface.to_json() for surface in self.surfaces]}


def surfaces(sets: Sequence[np.ndarray], shares: Sequence[float]) -> tuple[Surface, ...]:
    """``sets``: of each front its points, (P, 2): cost, accuracy. A surface that no trade-off reaches has no points."""
    points = np.concatenate([np.asarray(one, dtype=float).reshape(-1, 2) for one in sets]) if sets else np.empty((0, 2))
    if not len(points):
        return tuple(Surface(share=share, cost_P=(), accuracy_P=()) for share in shares)
    number = np.repeat(np.arange(len(sets)), [len(one) for one in sets])
    # A set without a point attains nothing, but counts: the percentile is of all sets.
    held = len(np.unique(number))
    found = []
    for share in shares:
        percentile = min(100.0, 100 * np.ceil(share * len(sets) - 1e-9) / held) if held else 0.0
        if np.ceil(share * len(sets) - 1e-9) > held:
            found.append(Surface(share=share, cost_P=(), accuracy_P=()))
            continue
        rows = moocore.eaf(points * [1, -1], number, percentiles=[percentile])
        rows = rows[np.argsort(rows[:, 0])]
        found.append(Surface(share=share, cost_P=tuple(rows[:, 0].tolist()), accuracy_P=tuple((-rows[:, 1]).tolist())))
    return tuple(found)


def over_videos(
    members: Sequence[Valued], *, convention: Convention, draws: int = DRAWS, seed: int = 0
) -> Attainment | None:
    """A front's own uncertainty: its points valued on ``draws`` bootstrap samples of the validation videos.

    The same videos for every point of a draw, so that what they have in common does not blur their order. Costs are kept:
    they vary little from draw to draw, and are not stored by video. None without points.
    """
    if not members or len({p.val.videos for p in members}) > 1:
        return None
    correct_PB = np.array([p.val.correct_B() for p in members], dtype=float)
    cost_P = [p.val.gflops[convention] for p in members]
    videos = correct_PB.shape[1]
    weight_DB = np.random.default_rng(seed).multinomial(videos, np.full(videos, 1 / videos), size=draws)
    accuracy_DP = weight_DB @ correct_PB.T / videos
    sets = [np.stack([cost_P, accuracy_P], 1) for accuracy_P in accuracy_DP]
    return Attainment(over="videos", sets=draws, surfaces=surfaces(sets, SHARES))


def over_repeats(fronts: Sequence[Sequence[Valued]], *, convention: Convention) -> Attainment | None:
    """Best, median and worst of the fronts of one experiment with several seeds. None with fewer than two that have points."""
    held = [front for front in fronts if front]
    if len(held) < 2:
        return None
    sets = [np.array([[p.val.gflops[convention], p.val.accuracy] for p in front]) for front in held]
    return Attainment(over="repeats", sets=len(held), surfaces=surfaces(sets, (1 / len(held), 0.5, 1.0)))
