"""Keeping a stream of videos to a mean budget, by choosing each video's setting from what was spent so far. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from trainables.errors import UserError

HORIZON = 8  # videos over which a deficit is made up for
_MEMORY = 16  # videos over which what a setting costs is compared with what it cost on validation


class BudgetController:
    """Chooses, video by video, among settings of known mean cost so that the running mean of the true costs is ``budget``.

    ``gflops``: mean cost of each setting on validation, ascending (a front's points, cheapest first). Before each video
    :meth:`choose` names the setting whose expected cost is nearest to the allowance: the budget, and an eighth of what is left
    over (or overdrawn) so far. After it, :meth:`spent` says what it did cost; where videos drift to dearer or cheaper ones,
    the expectation follows. What is left over stays within what some 8 videos can make up for, so the running mean's
    distance from the budget falls as 1 / videos. A budget above the dearest setting's cost is not used up.

    Raises:
        UserError: the budget is below the cheapest setting's cost: no mixture of them meets it.
    """

    def __init__(self, gflops: Sequence[float], budget: float) -> None:
        self._gflops_P = np.asarray(gflops, dtype=float)
        assert len(self._gflops_P) and (np.diff(self._gflops_P) >= 0).all(), "settings must be given cheapest first"
        if not self._gflops_P[0] <= budget < np.inf:
            raise UserError(
                f"a mean budget must be at least what the cheapest setting costs, {self._gflops_P[0]:.4g} GFLOPs a video on "
                f"validation; got {budget:g}"
            )
        self.budget = float(budget)
        self.videos = 0
        self.total = 0.0
        self._dearness = 1.0  # of the stream's videos beside validation's

    def choose(self) -> int:
        """The setting for the next video, as a position in ``gflops``."""
        left = self.budget * self.videos - self.total
        allowance = self.budget + left / HORIZON
        return int(np.abs(self._gflops_P * self._dearness - allowance).argmin())

    def spent(self, gflops: float, setting: int) -> None:
        """What the last video, under ``setting``, did cost."""
        self.videos += 1
        self.total += gflops
        if self._gflops_P[setting] > 0:
            self._dearness += (gflops / self._gflops_P[setting] - self._dearness) / min(self.videos + 1, _MEMORY)

    @property
    def mean(self) -> float:
        """Running mean so far; 0 before the first video."""
        return self.total / self.videos if self.videos else 0.0
