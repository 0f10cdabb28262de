"""The front as files: JSON and CSV for programs, HTML for people."""

from __future__ import annotations

import csv
import io
import json
import os
from pathlib import Path

from explorer.browse import Front
from explorer.report.front_page import front_html


def write_front_files(front: Front, folder: Path) -> tuple[Path, ...]:
    """Write ``front.json``, ``front.csv`` and ``front.html`` into ``folder``, each written aside and renamed."""
    texts = {
        "front.json": json.dumps(front.to_json(), indent=1, allow_nan=False) + "\n",
        "front.csv": front_csv(front),
        "front.html": front_html(front),
    }
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
