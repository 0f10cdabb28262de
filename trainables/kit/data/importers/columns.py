"""Rows with named columns, whatever their names: shared by CSV and JSON lines."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from trainables.kit.data.importers.entry import Entry, FileName, Item, LeftOut, Unresolved

# Ours -> names seen in published lists; the first that a row has counts.
COLUMNS: Mapping[str, Sequence[str]] = {
    "path": ("path", "video_path", "file", "filename", "file_name", "filepath"),
    "id": ("id", "youtube_id", "video_id", "yt_id", "ytid", "vid", "video", "video_name", "name", "youtube", "clip_id"),
    "labels": ("labels", "label_names", "classes"),
    "label": ("template", "label_name", "label", "class_name", "class", "activity", "action", "category", "target"),
    "start_s": ("start_s", "time_start", "start_time", "start", "t_start", "start_seconds", "begin"),
    "end_s": ("end_s", "time_end", "end_time", "end", "t_end", "end_seconds"),
    "split": ("split", "subset", "set", "partition"),
    "group": ("group", "source", "recording"),
}


def known_columns(names: Sequence[str]) -> dict[str, str]:
    """Ours -> the column of a row that holds it."""
    by_name = {name.strip().casefold().replace(" ", "_"): name for name in reversed(names)}
    return {
        ours: by_name[theirs] for ours, several in COLUMNS.items() for theirs in reversed(several) if theirs in by_name
    }


def item(where: str, row: Mapping[str, Any], columns: Mapping[str, str]) -> Item:
    """A row as an entry."""
    value = {ours: row.get(theirs) for ours, theirs in columns.items()}
    value = {ours: v for ours, v in value.items() if v is not None and v != ""}
    name = str(value.get("id", value.get("path", ""))).strip()
    if not name:
        return Unresolved(where=where, id="", trouble="bad_line", detail="names neither an id nor a path")
    labels = _labels(value.get("labels", value.get("label")))
    if not labels:
        return LeftOut(where=where, rule="unlabelled", detail=name)
    try:
        start_s, end_s = (_seconds(value.get(key)) for key in ("start_s", "end_s"))
    except ValueError as error:
        return Unresolved(where=where, id=name, trouble="bad_line", detail=str(error))
    if (detail := times_problem(start_s, end_s)) is not None:
        return Unresolved(where=where, id=name, trouble="bad_line", detail=detail)
    if "path" in value:
        files: tuple[FileName, ...] = (FileName(name=str(value["path"]).strip()),)
    else:
        files = file_names(name, start_s, end_s)
    is_part = start_s is not None or end_s is not None
    return Entry(
        where=where,
        id=part_id(name, start_s, end_s) if "path" not in value else name,
        files=files,
        labels=labels,
        split=None if value.get("split") is None else str(value["split"]).strip(),
        start_s=start_s,
        end_s=end_s,
        group=str(value["group"]) if "group" in value else name if is_part else None,
    )


def file_names(name: str, start_s: float | None, end_s: float | None) -> tuple[FileName, ...]:
    """How a file of a video id is called: cut out of it as Kinetics' tools do, or whole."""
    whole = (FileName(name=name), FileName(name=f"v_{name}"))
    if start_s is None or end_s is None:
        return whole
    first, last = round(start_s), round(end_s)
    cut = (f"{name}_{first:06d}_{last:06d}", f"{name}_{first}_{last}", f"{name}_{first:06d}")
    return (*(FileName(name=text, is_cut=True) for text in cut), *whole)


def part_id(name: str, start_s: float | None, end_s: float | None) -> str:
    """An id for a part of a video, as Kinetics' tools name their files."""
    if start_s is None and end_s is None:
        return name
    return "_".join(
        [name, *(f"{round(s):06d}" if s == round(s) else f"{s:010.3f}" for s in (start_s or 0, end_s or 0))]
    )


def times_problem(start_s: float | None, end_s: float | None) -> str | None:
    """The rule of a manifest that a part breaks: told here, where its line in the source is known."""
    for seconds in (start_s, end_s):
        if seconds is not None and not 0 <= seconds < math.inf:
            return f"times must be seconds, 0 or more, got {seconds:g}"
    if end_s is not None and end_s <= (start_s or 0):
        return f"a part must end after it begins, got {start_s or 0:g} s to {end_s:g} s"
    return None


def _labels(value: Any) -> tuple[str | int, ...]:
    """Names, or numbers where they are nothing else."""
    several = value if isinstance(value, list) else [] if value is None else [value]
    # Something-Something marks the objects of a class: "Holding [something]".
    texts = (re.sub(r"[\[\]]", "", str(v)).strip() for v in several)
    return tuple(int(text) if text.isdecimal() else text for text in texts)


def _seconds(value: Any) -> float | None:
    if value is None:
        return None
    try:
        return float(value)
    except (ValueError, TypeError):
        raise ValueError(f"times must be seconds, 0 or more, got {value!r}") from None
