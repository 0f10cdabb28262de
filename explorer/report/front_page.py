"""The front as one HTML file that needs nothing else: no server, no network, no other file."""

from __future__ import annotations

import dataclasses
import html
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from explorer.browse import METRIC, Front, FrontPoint
from trainables.contract import CONVENTIONS

ASSETS = Path(__file__).parent / "assets"
DOMINATED_LIMIT = 3000  # more faint marks than this slow a browser down and show nothing new

_NOTES = (
    "Accuracy is over the validation videos. At a setting chosen for its accuracy, each video is judged by the "
    "thresholds that the other half of the videos chose; a default setting was chosen by nobody. ± is one standard "
    "error. GFLOPs are multiply-accumulates / 1e9, means over the videos, the policy's own included. Picking a point "
    "gives its accuracy on the test videos."
)


def front_html(front: Front) -> str:
    """The page as text (about 5 MB, nearly all of it the plotting library)."""
    from plotly.offline import get_plotlyjs

    parts = {
        "title": html.escape(f"Front of {front.name}"),
        "style": _asset("front_page.css"),
        "data": _script_json(page_data(front)),
        "plotly": get_plotlyjs(),
        "script": _asset("front_page.js"),
    }
    # One pass, so that nothing inside a part is taken for a placeholder.
    return re.sub(r"@@(\w+)@@", lambda match: parts[match[1]], _asset("front_page.html"))


def page_data(front: Front) -> dict[str, Any]:
    """What the page's script reads: every row once, parameters by trial, front membership by convention."""
    by_convention = {c: dataclasses.replace(front, convention=c) for c in CONVENTIONS if c in front.all_on_gflops}
    by_convention = by_convention or {front.convention: front}
    members = {convention: {p.point_id for p in view.points} for convention, view in by_convention.items()}
    shown = _thinned([p for p in front.candidates if not any(p.point_id in ids for ids in members.values())])
    on_some_front = [p for p in front.candidates if any(p.point_id in ids for ids in members.values())]
    rows = [
        _row(point, {convention: point.point_id in ids for convention, ids in members.items()})
        for point in (*on_some_front, *shown, *front.baselines)
    ]
    return {
        "sweep": front.name,
        "system": front.system,
        "metric": METRIC,
        "convention": front.convention,
        "videos": front.videos,
        "trials": front.trials,
        "candidates": len(front.candidates),
        "notes": _NOTES,
        "conventions": {
            convention: {
                "hypervolume": view.hypervolume,
                "all_on_gflops": front.all_on_gflops.get(convention, 0.0),
                "reference": None if view.reference is None else view.reference.to_json(),
            }
            for convention, view in by_convention.items()
        },
        "parameters": {p.trial: dict(p.parameters) for p in front.candidates if p.trial is not None},
        "rows": rows,
    }


def _row(point: FrontPoint, on_front: dict[Any, bool]) -> dict[str, Any]:
    return {
        "id": point.point_id,
        "name": point.name,
        "label": point.label,
        "trial": point.trial,
        "stage": point.point.stage,
        "epoch": point.point.epoch,
        "accuracy": point.val.accuracy,
        "error": point.val.standard_error,
        "gflops": dict(point.val.gflops),
        "rates": dict(point.val.rates),
        "knobs": dict(point.point.knobs),
        "front": on_front if point.name is None else dict.fromkeys(on_front, False),
    }


def _thinned(points: Sequence[FrontPoint]) -> list[FrontPoint]:
    if len(points) <= DOMINATED_LIMIT:
        return list(points)
    return [points[i * len(points) // DOMINATED_LIMIT] for i in range(DOMINATED_LIMIT)]


def _script_json(value: Any) -> str:
    """JSON that a script element can hold: no string in it can end the element or open a comment."""
    text = json.dumps(value, ensure_ascii=True, allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _asset(name: str) -> str:
    return (ASSETS / name).read_text(encoding="utf-8")
