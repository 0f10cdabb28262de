"""Fronts as one HTML file that needs nothing else: no server, no network, no other file."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from explorer.browse import Front
from explorer.report.page.sweep import sweep_data
from trainables.contract import Json

ASSETS = Path(__file__).parent / "assets"
SCRIPTS = ("base", "attainment", "plot", "choice", "table", "search", "decisions", "main")
# What two sweeps may differ in and still be repeats of one experiment.
_OF_A_REPEAT = ("name", "member_of", "seed", "storage", "tracking", "budget", "resources")

_NOTES = (
    "Accuracy is over the validation videos. At a setting chosen for its accuracy, each video is judged by the "
    "thresholds that the other half of the videos chose; a default setting was chosen by nobody. ± is one standard "
    "error. GFLOPs are multiply-accumulates / 1e9, means over the videos, the policy's own included. Picking a point "
    "gives its accuracy on the test videos."
)


def front_html(fronts: Front | Sequence[Front]) -> str:
    """The page as text (about 5 MB, nearly all of it the plotting library); several fronts lie over each other."""
    from plotly.offline import get_plotlyjs

    several = [fronts] if isinstance(fronts, Front) else list(fronts)
    parts = {
        "title": html.escape(title_of(several)),
        "style": _asset("front_page.css"),
        "data": _script_json(page_data(several)),
        "plotly": get_plotlyjs(),
        "script": "\n".join(['"use strict";', "(() => {", *(_asset(f"page_{name}.js") for name in SCRIPTS), "})();"]),
    }
    # One pass, so that nothing inside a part is taken for a placeholder.
    return re.sub(r"@@(\w+)@@", lambda match: parts[match[1]], _asset("front_page.html"))


def title_of(fronts: Sequence[Front]) -> str:
    """What the page is called."""
    return f"Front{'s' if len(fronts) > 1 else ''} of {', '.join(front.name for front in fronts)}"


def page_data(fronts: Sequence[Front]) -> dict[str, Json]:
    """What the page's script reads."""
    repeats = repeat_groups([front.record.space for front in fronts])
    sweeps = [sweep_data(front) | {"repeat": group} for front, group in zip(fronts, repeats, strict=True)]
    return {
        "title": title_of(fronts),
        "convention": fronts[0].convention if fronts else "full",
        "notes": [_NOTES, *comparison_notes(fronts)],
        "sweeps": sweeps,
    }


def repeat_groups(spaces: Sequence[Mapping[str, Any]]) -> list[int | None]:
    """For each search space the number of the experiment that it repeats; None where no other one is like it."""
    alike = [
        json.dumps({k: v for k, v in space.items() if k not in _OF_A_REPEAT}, sort_keys=True, default=str)
        for space in spaces
    ]
    groups = sorted({text for text in alike if alike.count(text) > 1 and text != "{}"})
    return [groups.index(text) if text in groups else None for text in alike]


def comparison_notes(fronts: Sequence[Front]) -> list[str]:
    """What a reader must know before comparing sweeps: other videos, or other systems."""
    notes = []
    seen = [{s.data_fingerprint for s in front.record.measured_stages()} - {""} for front in fronts]
    if len(fronts) > 1 and not all(a & b or not a or not b for a in seen for b in seen):
        notes.append("These sweeps were measured on different videos: their accuracies are not comparable.")
    if len({front.system for front in fronts}) > 1:
        notes.append("These sweeps are of different systems: compare their costs in the full convention only.")
    return notes


def _script_json(value: Any) -> str:
    """JSON that a script element can hold: no string in it can end the element or open a comment."""
    text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _asset(name: str) -> str:
    return (ASSETS / name).read_text(encoding="utf-8")
