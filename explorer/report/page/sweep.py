"""One sweep as the page shows it: its points with all their costs, and what lies below the plot."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from explorer.browse import METRIC, Front, FrontPoint
from explorer.fronts import front as non_dominated
from explorer.fronts.repeats import Repeats
from explorer.records import RUNS
from explorer.report.page.analysis import analysis
from explorer.report.page.attainment import attainment_by_convention
from explorer.report.page.decimals import short
from explorer.report.page.decisions import decisions
from explorer.report.page.published import published_rows
from trainables.contract import CONVENTIONS, Convention, Json
from trainables.timing import TimeTable

DOMINATED_LIMIT = 3000  # more faint marks than this slow a browser down and show nothing new
NETWORK, WHOLE = "network_s", "total_s"  # costs in seconds, beside the conventions


def sweep_data(front: Front) -> dict[str, Json]:
    """Every row once, parameters by trial, front membership by cost; then history, decisions, time, the paper's rows."""
    views = {c: dataclasses.replace(front, convention=c) for c in CONVENTIONS if c in front.all_on_gflops}
    views = views or {front.convention: front}
    members = {str(c): {p.point_id for p in view.points} for c, view in views.items()} | _fronts_in_time(front)
    on_some_front = [p for p in front.candidates if any(p.point_id in ids for ids in members.values())]
    others = [p for p in front.candidates if not any(p.point_id in ids for ids in members.values())]
    kept = {p.point_id for p in front.deployable}
    return {
        "name": front.name,
        "argument": pick_argument(front.folder, front.name),
        "system": front.system,
        "metric": METRIC,
        "videos": front.videos,
        "trials": front.trials,
        "candidates": len(front.candidates),
        "conventions": {
            convention: {
                "hypervolume": short(view.hypervolume),
                "all_on_gflops": front.all_on_gflops.get(convention, 0.0),
                "reference": None if view.reference is None else view.reference.to_json(),
            }
            for convention, view in views.items()
        },
        "parameters": {p.trial: dict(p.parameters) for p in front.candidates if p.trial is not None},
        "rows": [
            _row(front, point, {cost: point.point_id in ids for cost, ids in members.items()}, kept)
            | _repeats(views, point, members)
            for point in (*on_some_front, *_thinned(others), *front.baselines)
        ],
        "attainment": attainment_by_convention(views),
        "times": _times(front),
        "published": published_rows(front),
        **analysis(front),
        **decisions(front, [*on_some_front, *front.baselines]),
    }


def pick_argument(folder: Path, name: str) -> str:
    """What ``explorer pick`` is to be given, in the folder where the page is made: the name where that will do."""
    below = (RUNS / name).resolve() == folder.resolve()
    return shlex.quote(name if below else str(folder.resolve()))


def _fronts_in_time(front: Front) -> dict[str, set[str]]:
    """Ids of the points that no other one dominates in seconds: other ones than in GFLOPs."""
    timed = front.times
    if timed is None:
        return {}
    seconds: Mapping[str, Callable[[FrontPoint], float]] = {
        NETWORK: lambda point: point.network_s(timed.times),
        WHOLE: lambda point: point.total_s(timed.times),
    }
    return {cost: {p.point_id for p in _cheapest(front.deployable, of)} for cost, of in seconds.items()}


def _cheapest(points: Iterable[FrontPoint], seconds: Callable[[FrontPoint], float]) -> list[FrontPoint]:
    """The front with ``seconds`` in the place of GFLOPs."""
    timed = [_InSeconds(point=point, seconds=seconds(point)) for point in points]
    return [one.point for one in non_dominated(timed)]


@dataclasses.dataclass(frozen=True, kw_only=True)
class _InSeconds:
    """A point valued in seconds, as dominance asks for it."""

    point: FrontPoint
    seconds: float
    test: None = None

    @property
    def val(self) -> Any:
        return dataclasses.replace(self.point.val, gflops=dict.fromkeys(CONVENTIONS, self.seconds))

    @property
    def identity(self) -> Any:
        return self.point.identity


def _times(front: Front) -> dict[str, Json] | None:
    timed = front.times
    if timed is None:
        return None
    return {
        "text": timed.text,
        "parts": [{"name": p.name, "kind": p.kind} for p in timed.times.parts],
        "all_on": _all_on(front, timed.times),
    }


def _all_on(front: Front, times: TimeTable) -> dict[str, float]:
    """Seconds of everything on, no policy: what all saving is measured against."""
    return {
        NETWORK: short(times.network_s(front.all_on_rates, policy=False)),
        WHOLE: short(times.total_s(front.all_on_rates, policy=False)),
    }


def _row(front: Front, point: FrontPoint, on_front: Mapping[str, bool], kept: set[str]) -> dict[str, Any]:
    baseline, timed = point.name is not None, front.times
    cost = {str(c): gflops for c, gflops in point.val.gflops.items()}
    parts = None
    if timed is not None:
        cost |= {NETWORK: short(point.network_s(timed.times)), WHOLE: short(point.total_s(timed.times))}
        parts = [short(s, 3) for s in point.seconds(timed.times).values()]
    return {
        "id": point.point_id,
        "name": point.name,
        "label": point.label,
        "trial": point.trial,
        "stage": point.point.stage,
        "epoch": point.point.epoch,
        "accuracy": point.val.accuracy,
        "error": short(point.val.standard_error),
        "cost": cost,
        "seconds": parts,
        "rates": {site: short(rate) for site, rate in point.val.rates.items()},
        "knobs": dict(point.point.knobs),
        "front": dict.fromkeys(on_front, False) if baseline else dict(on_front),
        "kept": point.checkpoint.is_file() if baseline else point.point_id in kept,
    }


def _repeats(
    views: Mapping[Convention, Front], point: FrontPoint, members: Mapping[str, set[str]]
) -> dict[str, Json]:
    """Of a point of the front, by convention of the cost within which the further seeds were asked."""
    found = {c: view.repeats(point) for c, view in views.items() if point.point_id in members[str(c)]}
    told = {str(c): _spread(repeats) for c, repeats in found.items() if repeats is not None}
    return {"repeats": told} if told else {}


def _spread(repeats: Repeats) -> dict[str, Json]:
    error = repeats.standard_error
    return {"mean": short(repeats.mean), "error": None if error is None else short(error), "seeds": len(repeats.seeds)}


def _thinned(points: Sequence[FrontPoint]) -> list[FrontPoint]:
    if len(points) <= DOMINATED_LIMIT:
        return list(points)
    return [points[i * len(points) // DOMINATED_LIMIT] for i in range(DOMINATED_LIMIT)]
