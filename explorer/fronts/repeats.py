"""What a point is worth when its configuration is trained again with other seeds. Pure.

A point of the front was chosen because its accuracy was high, so its own value is a little too good. The same configuration
trained with further seeds was not chosen by anybody. Thresholds do not carry over from one network to another, so each further
seed is asked what a user would ask it: which of its own points is best, on validation, within the cost of the point repeated?
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from explorer.fronts.dominance import Split, Valued, front
from explorer.fronts.points import Measured
from trainables.contract import Convention

_CONFIDENCE = 0.95


@dataclass(frozen=True, kw_only=True)
class Repeats:
    """The values of one point with further seeds. ``missing``: seeds that have no point within its cost.

    ``accuracy``, ``gflops``: by seed, on ``split``; the point that was repeated is not among them.
    """

    seeds: tuple[int, ...]
    accuracy: tuple[float, ...]
    gflops: tuple[float, ...]
    split: Split
    missing: tuple[int, ...] = ()

    @property
    def mean(self) -> float:
        return statistics.fmean(self.accuracy)

    @property
    def standard_error(self) -> float | None:
        """Of the mean, from the spread between seeds; None with a single one."""
        if len(self.accuracy) < 2:
            return None
        return statistics.stdev(self.accuracy) / math.sqrt(len(self.accuracy))

    @property
    def interval(self) -> tuple[float, float] | None:
        """Of the mean, 95 % (Student's t); None with a single seed."""
        error = self.standard_error
        if error is None:
            return None
        from scipy.stats import t  # 0.3 s to import

        half = float(t.ppf((1 + _CONFIDENCE) / 2, len(self.accuracy) - 1)) * error
        return self.mean - half, self.mean + half

    def to_json(self) -> dict[str, object]:
        """The mean and the interval, and what they come from."""
        return {
            "seeds": list(self.seeds),
            "missing": list(self.missing),
            "split": self.split,
            "accuracy": list(self.accuracy),
            "gflops": list(self.gflops),
            "mean": self.mean,
            "standard_error": self.standard_error,
            "interval_95": None if self.interval is None else list(self.interval),
        }


def repeats_of(
    point: Valued, by_seed: Mapping[int, Sequence[Valued]], *, convention: Convention, split: Split = "val"
) -> Repeats | None:
    """``point`` with each further seed, whose candidates ``by_seed`` holds. None where no seed has a point within its cost.

    Chosen on validation, within the validation cost of ``point`` in ``convention``; valued on ``split``.
    """
    budget = point.val.gflops[convention] * (1 + 1e-9)
    found: dict[int, Measured] = {}
    for seed, candidates in sorted(by_seed.items()):
        within = [c for c in candidates if c.val.gflops[convention] <= budget]
        best = front(within, convention=convention)
        measured = None if not best else best[-1].val if split == "val" else best[-1].test
        if measured is not None:
            found[seed] = measured
    if not found:
        return None
    return Repeats(
        seeds=tuple(found),
        accuracy=tuple(m.accuracy for m in found.values()),
        gflops=tuple(m.gflops[convention] for m in found.values()),
        split=split,
        missing=tuple(sorted(by_seed.keys() - found.keys())),
    )
