"""The manifest: one JSON object a line, one line a video. Imports no torch.

    {"id": "clip_001", "split": "train", "path": "videos/clip_001.mp4", "label": 3, "label_name": "bowling"}

``path`` is relative to the manifest's folder, or absolute. ``split`` (train, val, test) is given for every video or for
none. ``group`` (optional) names what must not be torn apart by a split: a recording, a speaker.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainables.errors import InvalidInput, ManifestError

SPLITS = ("train", "val", "test")
FIELDS = {"id": str, "path": str, "label": int, "label_name": str}
OPTIONAL_FIELDS = {"split": str, "group": str}


@dataclass(frozen=True, kw_only=True)
class Video:
    """A line of the manifest. ``path`` is absolute; ``split`` None = not assigned yet."""

    id: str
    path: Path
    label: int
    label_name: str
    split: str | None = None
    group: str | None = None


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """All videos, sorted by id (so that the order of lines changes nothing), and the class names by label."""

    path: Path
    videos: tuple[Video, ...]
    classes: tuple[str, ...]


def read_manifest(path: Path | str) -> Manifest:
    """Read and check a manifest.

    Raises:
        ManifestError: the file is missing, unreadable or empty.
        InvalidInput: lines break the format; every broken line is named.
    """
    path = Path(path)
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ManifestError(
            f"manifest must be a readable JSON-lines file, got {path} ({error}); `explorer data synth FOLDER` makes an example"
        ) from error
    reader = _Reader(path.parent.resolve())
    for number, line in enumerate(lines, start=1):
        if line.strip():
            reader.read(number, line)
    problems = [*reader.problems, *reader.whole()]
    if problems:
        raise InvalidInput(f"manifest {path}", problems)
    if not reader.rows:
        raise ManifestError(f"manifest must name at least one video, got {path} without any; add a line for each video")
    videos = tuple(sorted(reader.rows, key=lambda video: video.id))
    names = {video.label: video.label_name for video in videos}
    return Manifest(path=path, videos=videos, classes=tuple(names[label] for label in sorted(names)))


class _Reader:
    """Reads line by line and remembers what later lines must not contradict."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.rows: list[Video] = []
        self.problems: list[str] = []
        self._line_of_id: dict[str, int] = {}
        self._line_of_path: dict[Path, int] = {}
        self._name_of_label: dict[int, tuple[str, int]] = {}
        self._label_of_name: dict[str, tuple[int, int]] = {}

    def read(self, number: int, line: str) -> None:
        """Check one line; keep it as a video if nothing is wrong with it."""
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            self.problems.append(f"line {number}: must be one JSON object, got {line.strip()[:60]!r} ({error.msg})")
            return
        problems = _field_problems(row)
        if not problems:
            video = Video(**{**row, "path": (self.folder / row["path"])})
            problems = self._contradictions(number, video)
            if not problems:
                self.rows.append(video)
        self.problems += [f"line {number}: {problem}" for problem in problems]

    def _contradictions(self, number: int, video: Video) -> list[str]:
        problems = []
        if video.split is not None and video.split not in SPLITS:
            problems.append(f"split must be one of {', '.join(SPLITS)}, got {video.split!r}")
        if video.label < 0:
            problems.append(f"label must be 0 or more, got {video.label}")
        if not video.path.is_file():
            problems.append(f"path must name a file, got {video.path}, which does not exist")
        if (first := self._line_of_id.setdefault(video.id, number)) != number:
            problems.append(f"id must be unique, got {video.id!r} again (first on line {first})")
        if (first := self._line_of_path.setdefault(video.path, number)) != number:
            problems.append(f"path must be unique, got {video.path.name} again (first on line {first})")
        name, first = self._name_of_label.setdefault(video.label, (video.label_name, number))
        if name != video.label_name:
            problems.append(f"label {video.label} is {name!r} on line {first}, got label_name {video.label_name!r}")
        label, first = self._label_of_name.setdefault(video.label_name, (video.label, number))
        if label != video.label:
            problems.append(
                f"label_name {video.label_name!r} is label {label} on line {first}, got label {video.label}"
            )
        return problems

    def whole(self) -> list[str]:
        """What only all lines together can show."""
        problems = []
        missing = sorted(set(range(max(self._name_of_label, default=-1) + 1)) - set(self._name_of_label))
        if missing and len(missing) <= len(self._name_of_label):
            problems.append(f"labels must count from 0 without gaps, got none for {', '.join(map(str, missing))}")
        elif missing:
            problems.append(f"labels must count from 0 without gaps, got {sorted(self._name_of_label)[:10]}")
        given = Counter(video.split is not None for video in self.rows)
        if len(given) == 2:
            problems.append(
                f"split must be given for every video or for none, got {given[True]} with and {given[False]} without"
            )
        return problems


def _field_problems(row: Any) -> list[str]:
    if not isinstance(row, dict):
        return [f"must be a JSON object, got {type(row).__name__}"]
    problems = []
    for name, kind in {**FIELDS, **OPTIONAL_FIELDS}.items():
        value = row.get(name)
        if value is None:
            if name in FIELDS:
                problems.append(f"must have the field {name!r}, got {', '.join(row) or 'none'}")
        elif not isinstance(value, kind) or isinstance(value, bool) or value == "":
            problems.append(f"{name} must be {'a whole number' if kind is int else 'a text'}, got {value!r}")
    unknown = sorted(set(row) - set(FIELDS) - set(OPTIONAL_FIELDS))
    if unknown:
        problems.append(f"fields must be {', '.join([*FIELDS, *OPTIONAL_FIELDS])}, got also {', '.join(unknown)}")
    return problems
