"""The best trade-offs of a front, one sentence each: what stands first in MLflow's description of a sweep."""

from __future__ import annotations

from collections.abc import Iterator

from explorer.browse import METRIC, Front, FrontPoint

SHARES = (0.5, 0.25)  # of the cost of everything on


def sentences(front: Front) -> list[str]:
    """What a person would say of the front; empty where it is."""
    return list(dict.fromkeys(_sentences(front))) if front.points else []


def _sentences(front: Front) -> Iterator[str]:
    points = front.points
    best = max(points, key=lambda p: p.val.accuracy)
    yield f"The most accurate point reaches {_what(front, best)}."
    near = next(p for p in points if p.val.accuracy >= best.val.accuracy - best.val.standard_error)
    if near is not best:
        yield f"Within one standard error of that, {_what(front, near)} is the cheapest."
    everything = front.all_on_gflops.get(front.convention, 0.0)
    for share in SHARES:
        within = [p for p in points if p.val.gflops[front.convention] <= share * everything]
        if within and within[-1] is not best:
            yield f"With at most {share:.0%} of the cost of everything on, the best is {_what(front, within[-1])}."
    for baseline in front.baselines:
        yield from _against(front, baseline)


def _against(front: Front, baseline: FrontPoint) -> Iterator[str]:
    """The cheapest point that is at least as accurate as the baseline and costs less, if there is one."""
    cost = baseline.val.gflops[front.convention]
    for point in front.points:
        gflops = point.val.gflops[front.convention]
        if point.val.accuracy >= baseline.val.accuracy and 0 < gflops < cost:
            yield (
                f"The baseline {baseline.name} reaches {baseline.val.accuracy:.3f} at {cost:.4g} GFLOPs; "
                f"{_what(front, point)} needs {cost / gflops:.1f} times less."
            )
            return


def _what(front: Front, point: FrontPoint) -> str:
    gflops, everything = point.val.gflops[front.convention], front.all_on_gflops.get(front.convention, 0.0)
    share = f", {gflops / everything:.0%} of everything on" if everything > 0 else ""
    return (
        f"{METRIC} {point.val.accuracy:.3f} ± {point.val.standard_error:.3f} at {gflops:.4g} GFLOPs a video{share} "
        f"(`{point.point_id}`, trial {point.trial})"
    )
