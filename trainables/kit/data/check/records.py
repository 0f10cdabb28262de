"""What a check measured, one JSON line a file, beside the manifest: so that the next check reads only what has changed.

Lines are appended as files are done, and the whole is written anew at the end; a line that a killed check left half
written is ignored.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from trainables.contract import Json
from trainables.kit.data.check.facts import PictureFacts, Probe, SoundFacts
from trainables.kit.data.frame_folder import signature
from trainables.kit.data.manifest import path_in

VERSION = 2  # of what is measured and judged: lines of another one are measured again


class Records:
    """The record file of one manifest: ``NAME.check.jsonl`` beside ``NAME.jsonl``."""

    def __init__(self, manifest: Path) -> None:
        self.folder = manifest.parent.resolve()
        self.path = manifest.with_suffix(".check.jsonl")

    def read(self) -> dict[Path, Probe]:
        """What is known by path; nothing where the file is missing or of another version."""
        known: dict[Path, Probe] = {}
        try:
            lines = self.path.read_text(encoding="utf-8").split("\n")
        except (OSError, UnicodeDecodeError):
            return known
        for line in lines:
            try:
                row = json.loads(line)
                path = self.folder / row.pop("path")
                known[path] = _probe(row)
            except (ValueError, KeyError, TypeError):
                continue
        return known

    def append(self, path: Path, probe: Probe) -> None:
        """Add one file's line.

        Raises:
            OSError: the folder cannot be written to.
        """
        with self.path.open("a+b") as file:
            if file.tell():  # a line that a full disk or a kill left half written must not take this one with it
                file.seek(-1, os.SEEK_END)
                file.write(b"" if file.read(1) == b"\n" else b"\n")
            file.write(self._line(path, probe).encode())

    def write(self, probes: Mapping[Path, Probe]) -> None:
        """Replace the file in one step."""
        write_lines(self.path, (self._line(path, probe) for path, probe in probes.items()))

    def _line(self, path: Path, probe: Probe) -> str:
        row = {"path": path_in(self.folder, path), "version": VERSION, **dataclasses.asdict(probe)}
        return json.dumps(row, ensure_ascii=False) + "\n"


def is_current(probe: Probe, path: Path, fps: float | None) -> bool:
    """Whether the file is the one that was measured (size and time of change), and measuring again is of no use."""
    if probe.passing or probe.fps != fps:
        return False
    try:
        return (probe.size_bytes, probe.mtime_ns) == signature(path)
    except OSError:
        return False


def write_lines(path: Path, lines: Iterable[str]) -> None:
    """Write a file of lines (each with its end) in one step."""
    aside = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        with aside.open("w", encoding="utf-8") as file:
            file.writelines(lines)
        os.replace(aside, path)
    finally:
        with suppress(OSError):
            aside.unlink()


def _probe(row: dict[str, Any]) -> Probe:
    if row.pop("version") != VERSION:
        raise ValueError("another version")
    picture, sound = _facts(row.pop("picture")), _facts(row.pop("sound"))
    return Probe(
        **{**row, "notes": tuple(row["notes"])},
        picture=None if picture is None else PictureFacts(**picture),
        sound=None if sound is None else SoundFacts(**sound),
    )


def _facts(value: Json) -> dict[str, Any] | None:
    if value is None:
        return None
    if not isinstance(value, dict):
        raise TypeError("facts must be an object")
    return value
