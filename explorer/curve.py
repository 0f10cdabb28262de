"""What one checkpoint can do: its own accuracy against GFLOPs over the settings of its knobs, on validation.

It goes with a pick, so that whoever runs the pick can give a budget instead of knobs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from explorer.browse import Front, FrontPoint
from explorer.errors import NoPoint, UserError
from explorer.fronts import front as non_dominated
from trainables.contract import Convention, Json


@dataclass(frozen=True, kw_only=True)
class Setting:
    """Values of the knobs, with accuracy and mean GFLOPs a video by convention, on validation."""

    knobs: Mapping[str, float]
    accuracy: float
    gflops: Mapping[Convention, float]


def curve(front: Front, point: FrontPoint) -> list[dict[str, Json]]:
    """The settings of the checkpoint of ``point`` that no other setting of it dominates, cheapest first; JSON-able."""
    same = [
        p
        for p in (*front.candidates, *front.baselines)
        if (p.point.key, p.point.epoch) == (point.point.key, point.point.epoch)
    ]
    return [
        {"knobs": dict(p.point.knobs), "accuracy": p.val.accuracy, "gflops": dict(p.val.gflops)}
        for p in non_dominated(same, convention=front.convention)
    ]


def settings_of(info: Mapping[str, Any], convention: Convention) -> Sequence[Setting]:
    """The settings in ``pick.json``, cheapest first.

    Raises:
        UserError: the pick was written before there were any.
    """
    if not info.get("curve"):
        raise UserError("this pick names a single setting of its knobs; run `explorer pick` again to have its others")
    return sorted((Setting(**raw) for raw in info["curve"]), key=lambda s: s.gflops[convention])


def setting_within(info: Mapping[str, Any], max_gflops: float, convention: Convention) -> Setting:
    """The most accurate setting within a budget, ties to the cheaper.

    Raises:
        NoPoint: none is so cheap.
        UserError: the budget is no positive number, or the pick names a single setting.
    """
    if not 0 < max_gflops < float("inf"):
        raise UserError(f"a budget must be a positive number of GFLOPs a video, got {max_gflops:g}")
    settings = settings_of(info, convention)
    affordable = [s for s in settings if s.gflops[convention] <= max_gflops]
    if not affordable:
        raise NoPoint(
            f"no setting of this checkpoint costs at most {max_gflops:g} GFLOPs a video ({convention} convention); the "
            f"cheapest costs {settings[0].gflops[convention]:.4g}; raise the budget to that, or pick another checkpoint"
        )
    return max(affordable, key=lambda s: (s.accuracy, -s.gflops[convention]))
