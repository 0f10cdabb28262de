"""Which points no other one dominates, and how much they cover. Accuracy is better when higher, cost when lower."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from typing import Literal, Protocol, TypeVar

import moocore
import numpy as np

from explorer.fronts.points import Measured
from trainables.contract import Convention

Split = Literal["val", "test"]
CHEAPEST_SHARE = 1e-3  # of the all-on cost: what is cheaper counts as this cheap, so that the area stays finite
REFERENCE_MARGIN = 0.05  # the reference accuracy lies this far below the best unimodal baseline


class Valued(Protocol):
    """What has an accuracy and a cost on validation (and test), and an identity that settles ties."""

    @property
    def val(self) -> Measured: ...

    @property
    def test(self) -> Measured | None: ...

    @property
    def identity(self) -> Hashable: ...


P = TypeVar("P", bound=Valued)


def front(points: Iterable[P], *, convention: Convention = "full") -> list[P]:
    """The points that no other one dominates on validation, cheapest first.

    Of points with equal accuracy and cost one stays, the first by identity, so that the front does not depend on the
    order in which points arrive.
    """
    ordered = sorted(points, key=lambda p: (p.val.gflops[convention], -p.val.accuracy, str(p.identity)))
    if not ordered:
        return []
    objectives = np.array([[p.val.gflops[convention], -p.val.accuracy] for p in ordered])
    keep = moocore.is_nondominated(objectives, keep_weakly=False)
    return [point for point, kept in zip(ordered, keep, strict=True) if kept]


def hypervolume(
    points: Iterable[Valued],
    *,
    all_on_gflops: float,
    reference_accuracy: float,
    convention: Convention = "full",
    split: Split = "val",
) -> float:
    """Area that the points dominate, with log(GFLOPs / all-on GFLOPs) as the axis of cost.

    The reference point is (log 1 = 0, ``reference_accuracy``); a point that is worse than it on either axis adds
    nothing. 0 without points. ``split`` says on which videos the given points are valued; choose them on ``val``.
    Raises ``ValueError`` where a point was not measured on ``split``.
    """
    if not all_on_gflops > 0:
        raise ValueError(f"the all-on cost must be positive; got {all_on_gflops}")
    rows = []
    for point in points:
        measured = point.val if split == "val" else point.test
        if measured is None:
            raise ValueError(f"{point.identity}: not measured on {split}")
        rows.append([np.log(max(measured.gflops[convention] / all_on_gflops, CHEAPEST_SHARE)), measured.accuracy])
    inside = [row for row in rows if row[0] < 0 and row[1] > reference_accuracy]
    if not inside:
        return 0.0
    return float(moocore.hypervolume(np.array(inside), ref=[0.0, reference_accuracy], maximise=[False, True]))


def paired_difference(a: Valued, b: Valued, *, split: Split = "val") -> tuple[float, float]:
    """(mean, standard error) of accuracy(a) - accuracy(b), video by video: far tighter than two separate accuracies.

    Raises ``ValueError`` where the two were not measured on the same number of videos of ``split``, or on fewer than
    two.
    """
    one, other = (a.val, b.val) if split == "val" else (a.test, b.test)
    if one is None or other is None or one.videos != other.videos or one.videos < 2:
        counts: Sequence[int | None] = [None if m is None else m.videos for m in (one, other)]
        raise ValueError(f"a paired comparison needs the same videos of {split}, two at least; got {counts}")
    difference_B = one.correct_B().astype(float) - other.correct_B()
    return float(difference_B.mean()), float(difference_B.std(ddof=1) / np.sqrt(one.videos))
