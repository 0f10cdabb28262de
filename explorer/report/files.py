"""The front as files: JSON and CSV for programs, HTML for people."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from explorer.browse import Front
from explorer.errors import UserError
from explorer.merged import merged_front
from explorer.report.front_page import front_html, repeat_groups
from explorer.report.page.attainment import attainment_of_repeats
from trainables.contract import Json


def write_front_files(front: Front, folder: Path) -> tuple[Path, ...]:
    """Write ``front.json``, ``front.csv`` and ``front.html`` into ``folder``, each written aside and renamed."""
    texts = {
        "front.json": json.dumps(front.to_json(), indent=1, allow_nan=False) + "\n",
        "front.csv": front_csv(front),
        "front.html": front_html(front),
    }
    return _write(folder, texts)


def write_common_files(fronts: Sequence[Front], folder: Path) -> tuple[Path, ...]:
    """Write ``front.json`` and ``front.html`` of several sweeps that make one front into ``folder``."""
    text = json.dumps(fronts_json(fronts), indent=1, allow_nan=False) + "\n"
    return _write(folder, {"front.json": text, "front.html": front_html(fronts)})


def fronts_json(fronts: Sequence[Front]) -> dict[str, Json]:
    """``sweeps``: each one's own; ``front``: points of all sweeps, or null and ``not_comparable``: why there is none.

    ``attainment``: of repeats among them.
    """
    repeats = attainment_of_repeats(fronts, repeat_groups([front.record.space for front in fronts]))
    told: dict[str, Json] = {"sweeps": [front.to_json() for front in fronts], "attainment": repeats}
    try:
        return {**told, "front": [one.to_json() for one in merged_front(fronts)]}
    except UserError as error:
        return {**told, "front": None, "not_comparable": str(error)}


def _write(folder: Path, texts: Mapping[str, str]) -> tuple[Path, ...]:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        aside = folder / f".{name}.{os.getpid()}"
        aside.write_text(text, encoding="utf-8")
        os.replace(aside, folder / name)
    return tuple(folder / name for name in texts)


def front_csv(front: Front) -> str:
    """Front and baselines, a line each; rates, knobs, parameters are columns ``rate.``, ``knob.``, ``param.``."""
    rows = []
    for point in (*front.points, *front.baselines):
        flat = {"name": point.name, **point.to_json(front.convention)}
        for prefix, key in (("rate", "rates"), ("knob", "knobs"), ("param", "parameters")):
            flat |= {f"{prefix}.{name}": value for name, value in flat.pop(key).items()}
        rows.append({**flat, "convention": front.convention})
    text = io.StringIO()
    columns = list(dict.fromkeys(column for row in rows for column in row))
    writer = csv.DictWriter(text, fieldnames=columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
