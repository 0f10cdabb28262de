"""The manifest: one JSON object a line, one line a video (or a part of one). Imports no torch.

    {"id": "clip_001", "split": "train", "path": "videos/clip_001.mp4", "label": 3, "label_name": "bowling"}

``path`` is relative to the manifest's folder, or absolute. ``split`` (train, val, test) is given for every video or for
none. A set whose videos show several classes at once has ``labels`` and ``label_names`` (lists of equal length) on every
line instead of ``label`` and ``label_name``. ``start_s`` and ``end_s`` (optional) name a part of the file. ``group``
(optional) names what no split may tear apart: a recording, a speaker; parts of one file are a group by themselves. ``path``
may be a folder of numbered pictures; ``fps`` says how many of them make a second. ``sha256`` (optional) is that of the file: one
whose content is another is refused.
"""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from trainables.errors import InvalidInput, ManifestError

_SHA256 = re.compile("[0-9a-f]{64}")
SPLITS = ("train", "val", "test")
# What a problem is about: a line that cannot be used at all, its classes, or the file that it names.
Kind = Literal["line", "label", "file"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Video:
    """A line of the manifest. ``path`` is absolute; ``split`` None = not assigned yet.

    ``labels`` and ``label_names`` hold one entry, or several in a set with several classes a video. ``start_s`` and
    ``end_s`` are seconds of the file's own clock; None = from its beginning, to its end. ``fps``: of a folder of pictures.
    ``sha256``: what the content must be, in hex; None = anything.
    """

    id: str
    path: Path
    labels: tuple[int, ...]
    label_names: tuple[str, ...]
    split: str | None = None
    group: str | None = None
    start_s: float | None = None
    end_s: float | None = None
    fps: float | None = None
    sha256: str | None = None

    @property
    def label(self) -> int:
        """The label; of several the first."""
        return self.labels[0]

    @property
    def source(self) -> str:
        """What no split may tear apart: the group, or without one the file."""
        return f"group {self.group}" if self.group is not None else f"file {self.path}"


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """All videos, sorted by id (so that the order of lines changes nothing), and the class names by label.

    ``multi_label``: the lines name ``labels``, also where each holds but one.
    """

    path: Path
    videos: tuple[Video, ...]
    classes: tuple[str, ...]
    multi_label: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Problem:
    """A broken rule of a line: the rule, the value received."""

    kind: Kind
    text: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """One line as read.

    ``video`` is None where anything but the file is wrong. ``row`` is the JSON object of a line with problems (empty if it
    is none).
    """

    number: int
    row: Mapping[str, Any]
    video: Video | None
    problems: tuple[Problem, ...]


@dataclass(frozen=True, kw_only=True)
class Lines:
    """A manifest as read: every line that is not blank, and the rules that only all lines together can break."""

    path: Path
    lines: tuple[Line, ...]
    problems: tuple[Problem, ...]
    multi_label: bool


def read_manifest(path: Path | str) -> Manifest:
    """Read and check a manifest.

    Raises:
        ManifestError: the file is missing, unreadable or empty.
        InvalidInput: lines break the format; every broken line is named with all that is wrong with it.
    """
    found = read_lines(path)
    problems = [f"line {line.number}: {problem.text}" for line in found.lines for problem in line.problems]
    problems += [problem.text for problem in found.problems]
    if problems:
        raise InvalidInput(f"manifest {path}", problems)
    return as_manifest(found.path, [line.video for line in found.lines if line.video], multi_label=found.multi_label)


def as_manifest(path: Path, videos: Iterable[Video], *, multi_label: bool) -> Manifest:
    """Videos whose lines are in order, as a manifest."""
    names = {label: name for video in videos for label, name in zip(video.labels, video.label_names, strict=True)}
    return Manifest(
        path=path,
        videos=tuple(sorted(videos, key=lambda video: video.id)),
        classes=tuple(names[label] for label in sorted(names)),
        multi_label=multi_label,
    )


def read_lines(path: Path | str) -> Lines:
    """Read a manifest and report what is wrong with it, without raising for it.

    Raises:
        ManifestError: the file is missing, unreadable or empty.
    """
    path = Path(path)
    try:
        # Not splitlines(): it also parts at characters that JSON allows inside of a text (U+2028, U+0085).
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ManifestError(
            f"manifest must be a readable JSON-lines file, got {path} ({error}); `explorer data synth FOLDER` makes an example"
        ) from error
    reader = _Reader(path.parent.resolve())
    read = tuple(reader.read(number, line) for number, line in enumerate(lines, start=1) if line.strip())
    if not read:
        raise ManifestError(f"manifest must name at least one video, got {path} without any; add a line for each video")
    return Lines(path=path, lines=read, problems=tuple(reader.whole()), multi_label=reader.multi_label)


def write_manifest(path: Path, videos: Iterable[Video], *, multi_label: bool) -> None:
    """Write videos as a manifest, in one step. Files below its folder are named relative to it, others in full.

    Raises:
        ManifestError: it cannot be written there, or the disk is full.
    """
    folder = path.parent.resolve()
    aside = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with aside.open("w", encoding="utf-8") as file:
            for video in videos:
                file.write(json.dumps(_row(video, folder, multi_label=multi_label), ensure_ascii=False) + "\n")
        os.replace(aside, path)
    except OSError as error:
        raise ManifestError(f"manifest must be in a place that can be written to, got {path} ({error})") from error
    finally:
        with suppress(OSError):
            aside.unlink()


def path_in(folder: Path, path: Path) -> str:
    """How a manifest in ``folder`` names a file: relative if the file is below it."""
    return str(path.relative_to(folder)) if path.is_relative_to(folder) else str(path)


def _row(video: Video, folder: Path, *, multi_label: bool) -> dict[str, Any]:
    classes: dict[str, Any] = {"label": video.label, "label_name": video.label_names[0]}
    if multi_label:
        classes = {"labels": list(video.labels), "label_names": list(video.label_names)}
    row = {"id": video.id, "split": video.split, "path": path_in(folder, video.path), **classes}
    row |= {"start_s": video.start_s, "end_s": video.end_s, "group": video.group}
    row |= {"fps": video.fps, "sha256": video.sha256}
    return {name: value for name, value in row.items() if value is not None}


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and value != ""


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_seconds(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value) and value >= 0


def _is_rate(value: Any) -> bool:
    return _is_seconds(value) and value > 0


def _is_sha256(value: Any) -> bool:
    return isinstance(value, str) and _SHA256.fullmatch(value) is not None


def _is_list_of(is_entry: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, list) and bool(value) and all(map(is_entry, value))


@dataclass(frozen=True, kw_only=True)
class _Field:
    kind: Kind
    is_right: Callable[[Any], bool]
    rule: str


FIELDS: Mapping[str, _Field] = {
    "id": _Field(kind="line", is_right=_is_text, rule="a text"),
    "path": _Field(kind="line", is_right=_is_text, rule="a text"),
    "label": _Field(kind="label", is_right=_is_whole, rule="a whole number"),
    "label_name": _Field(kind="label", is_right=_is_text, rule="a text"),
    "labels": _Field(kind="label", is_right=_is_list_of(_is_whole), rule="a list of whole numbers"),
    "label_names": _Field(kind="label", is_right=_is_list_of(_is_text), rule="a list of texts"),
    "split": _Field(kind="line", is_right=SPLITS.__contains__, rule=f"one of {', '.join(SPLITS)}"),
    "group": _Field(kind="line", is_right=_is_text, rule="a text"),
    "start_s": _Field(kind="line", is_right=_is_seconds, rule="seconds, 0 or more"),
    "end_s": _Field(kind="line", is_right=_is_seconds, rule="seconds, 0 or more"),
    "fps": _Field(kind="line", is_right=_is_rate, rule="pictures a second, above 0"),
    "sha256": _Field(kind="line", is_right=_is_sha256, rule="64 digits of 0-9 and a-f"),
}
_NO_ROW: Mapping[str, Any] = {}
ONE, SEVERAL = ("label", "label_name"), ("labels", "label_names")  # a class a video, or any number of them


class _Reader:
    """Reads line by line and remembers what later lines must not contradict."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.multi_label = False
        self._prefix = str(folder)  # joining texts and asking os is five times as fast as Path does it
        self._line_of_id: dict[str, int] = {}
        self._line_of_part: dict[tuple[str, float | None, float | None], int] = {}
        self._name_of_label: dict[int, tuple[str, int]] = {}
        self._label_of_name: dict[str, tuple[int, int]] = {}
        self._with_split = {True: 0, False: 0}
        self._with_labels = {True: 0, False: 0}
        self._split_of_source: dict[str, str] = {}
        self._torn: dict[str, set[str]] = {}

    def read(self, number: int, line: str) -> Line:
        """Check one line, every field of it, whatever is wrong with the others."""
        try:
            row = json.loads(line)
        except (json.JSONDecodeError, RecursionError) as error:
            text = f"must be one JSON object, got {line.strip()[:60]!r} ({getattr(error, 'msg', 'nested too deeply')})"
            return Line(number=number, row=_NO_ROW, video=None, problems=(Problem(kind="line", text=text),))
        if not isinstance(row, dict):
            text = f"must be a JSON object, got {type(row).__name__}"
            return Line(number=number, row=_NO_ROW, video=None, problems=(Problem(kind="line", text=text),))
        several = row.get("labels") is not None or row.get("label_names") is not None
        right, problems = _fields(row, several=several)
        problems += self._classes(number, right, several=several)
        problems += self._place(number, right)
        self._with_split["split" in right] += 1
        self._with_labels[several] += 1
        video = None if any(problem.kind != "file" for problem in problems) else self._video(right)
        if video is not None and video.split is not None:
            source = right["path"] if video.group is None else f"group {video.group}"
            if (known := self._split_of_source.setdefault(source, video.split)) != video.split:
                self._torn.setdefault(source, {known}).add(video.split)
        return Line(number=number, row=row if problems else _NO_ROW, video=video, problems=tuple(problems))

    def whole(self) -> list[Problem]:
        """What only all lines together can show."""
        problems = []
        missing = sorted(set(range(max(self._name_of_label, default=-1) + 1)) - set(self._name_of_label))
        if missing and len(missing) <= len(self._name_of_label):
            text = f"labels must count from 0 without gaps, got none for {', '.join(map(str, missing))}"
            problems.append(Problem(kind="label", text=text))
        elif missing:
            text = f"labels must count from 0 without gaps, got {sorted(self._name_of_label)[:10]}"
            problems.append(Problem(kind="label", text=text))
        for counts, field in ((self._with_split, "split"), (self._with_labels, "labels (instead of label)")):
            if counts[True] and counts[False]:
                text = f"{field} must be given for every video or for none, got {counts[True]} with and {counts[False]} without"
                problems.append(Problem(kind="line", text=text))
        for source, splits in self._torn.items():
            text = f"{source} must be in one split, got {', '.join(sorted(splits))}: what is learned there would leak"
            problems.append(Problem(kind="line", text=text))
        self.multi_label = self._with_labels[True] > 0
        return problems

    def _video(self, right: Mapping[str, Any]) -> Video:
        labels = right.get("labels") or [right["label"]]
        return Video(
            id=right["id"],
            path=self.folder / right["path"],
            labels=tuple(labels),
            label_names=tuple(right.get("label_names") or [right["label_name"]]),
            split=right.get("split"),
            group=right.get("group"),
            start_s=right.get("start_s"),
            end_s=right.get("end_s"),
            fps=right.get("fps"),
            sha256=right.get("sha256"),
        )

    def _place(self, number: int, right: Mapping[str, Any]) -> list[Problem]:
        """Id, file and part."""
        problems = []
        if "id" in right and (first := self._line_of_id.setdefault(right["id"], number)) != number:
            text = f"id must be unique, got {right['id']!r} again (first on line {first})"
            problems.append(Problem(kind="line", text=text))
        start_s, end_s = right.get("start_s"), right.get("end_s")
        if end_s is not None and end_s <= (start_s or 0):
            problems.append(
                Problem(kind="line", text=f"end_s must be above start_s, got {start_s or 0:g} to {end_s:g}")
            )
        if "path" not in right:
            return problems
        path = os.path.join(self._prefix, right["path"])
        if not os.path.isfile(path) and not (os.path.isdir(path) and "fps" in right):
            why = "is none" if os.path.lexists(path) else "does not exist"
            if os.path.isdir(path):
                why = "is a folder; if it holds numbered pictures, say with fps how many make a second"
            problems.append(Problem(kind="file", text=f"path must name a file, got {path}, which {why}"))
        if (first := self._line_of_part.setdefault((path, start_s, end_s), number)) != number:
            text = f"path must be unique, got {right['path']} again (first on line {first}) without another start_s and end_s"
            problems.append(Problem(kind="line", text=text))
        return problems

    def _classes(self, number: int, right: Mapping[str, Any], *, several: bool) -> list[Problem]:
        """Labels and their names, which are one to one in the whole manifest."""
        if several and ("label" in right or "label_name" in right):
            text = "must have label and label_name or labels and label_names, got both"
            return [Problem(kind="label", text=text)]
        if several and "labels" in right and "label_names" in right:
            labels, names = right["labels"], right["label_names"]
            if len(labels) != len(names) or len(set(labels)) != len(labels):
                text = f"labels must be different and as many as label_names, got {labels} and {names}"
                return [Problem(kind="label", text=text)]
            return [problem for pair in zip(labels, names, strict=True) for problem in self._class(number, *pair)]
        if not several and "label" in right and "label_name" in right:
            return self._class(number, right["label"], right["label_name"])
        return []

    def _class(self, number: int, label: int, name: str) -> list[Problem]:
        if label < 0:
            return [Problem(kind="label", text=f"label must be 0 or more, got {label}")]
        known, first = self._name_of_label.get(label, (name, number))
        if known != name:
            return [Problem(kind="label", text=f"label {label} is {known!r} on line {first}, got label_name {name!r}")]
        other, first = self._label_of_name.get(name, (label, number))
        if other != label:
            text = f"label_name {name!r} is label {other} on line {first}, got label {label}"
            return [Problem(kind="label", text=text)]
        self._name_of_label.setdefault(label, (name, number))
        self._label_of_name.setdefault(name, (label, number))
        return []


def _fields(row: Mapping[str, Any], *, several: bool) -> tuple[dict[str, Any], list[Problem]]:
    """The fields that are right, and what is wrong with the others. A field that is null is as if it were not there."""
    right, problems = {}, []
    for name, value in row.items():
        field = FIELDS.get(name)
        if field is None or value is None:
            continue
        if field.is_right(value):
            right[name] = value
        else:
            problems.append(Problem(kind=field.kind, text=f"{name} must be {field.rule}, got {value!r}"))
    for name in ("id", "path", *(SEVERAL if several else ONE)):
        if row.get(name) is None:
            text = f"must have the field {name!r}, got {', '.join(row) or 'none'}"
            problems.append(Problem(kind=FIELDS[name].kind, text=text))
    if unknown := sorted(row.keys() - FIELDS.keys()):
        text = f"fields must be {', '.join(FIELDS)}, got also {', '.join(unknown)}"
        problems.append(Problem(kind="line", text=text))
    return right, problems
