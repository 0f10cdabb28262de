"""A whole manifest: every file decoded, every line judged, what is bad put into quarantine. Nothing is replaced or dropped."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from trainables.errors import InvalidInput, UserError
from trainables.kit.data.check.facts import Probe
from trainables.kit.data.check.pool import probe_files
from trainables.kit.data.check.reasons import Note, Reason
from trainables.kit.data.check.records import Records, is_current, write_lines
from trainables.kit.data.hashing import Progress, changed_detail
from trainables.kit.data.manifest import SPLITS, Line, Lines, Video, path_in, read_lines, write_manifest
from trainables.kit.data.outputs import file_problems
from trainables.kit.data.streams import is_cut_off

MIN_S = 0.5
LIMIT_S = 60


@dataclass(frozen=True, kw_only=True)
class Settings:
    """``min_s``: shorter videos (or parts) are ``too_short``. ``limit_s``: seconds without progress after which a file is
    given up. ``classes``: the names by label that are right; None takes those of the manifest. ``again``: measure also what
    has not changed since the last check. ``hash``: the good videos carry their SHA-256, for the clean manifest."""

    workers: int = os.cpu_count() or 1
    min_s: float = MIN_S
    limit_s: int = LIMIT_S
    classes: Sequence[str] | None = None
    again: bool = False
    hash: bool = False


@dataclass(frozen=True, kw_only=True)
class Quarantined:
    """A line that cannot be trained on. ``path`` as the manifest would name it."""

    line: int
    id: str
    path: str
    reason: Reason
    detail: str


@dataclass(frozen=True, kw_only=True)
class Report:
    """The outcome. ``good``: the videos without those in quarantine, ``good_s`` their length in all. ``notes``: how many
    good videos have each. ``classes`` and ``splits`` are those of all lines that are whole."""

    manifest: Path
    lines: int
    files: int
    probed: int
    quarantined: tuple[Quarantined, ...]
    good: tuple[Video, ...]
    multi_label: bool
    classes: Mapping[int, str]
    splits: frozenset[str]
    notes: Mapping[Note, int]
    good_s: float
    records: Path
    quarantine: Path


def check_manifest(path: Path, settings: Settings | None = None, on_progress: Progress | None = None) -> Report:
    """Measure every file that has changed since the last check and judge every line.

    Writes ``NAME.check.jsonl`` (what was measured, a line a file) and ``NAME.quarantine.jsonl`` beside the manifest.

    Raises:
        ManifestError: the manifest is missing, unreadable or empty.
        InvalidInput: lines that are no videos at all: no JSON, no path, an id twice. All of them are named.
        UserError: the folder of the manifest cannot be written to.
    """
    settings = settings or Settings()
    found = read_lines(path)
    _refuse_unusable(found)
    records = Records(path)
    paths = list(dict.fromkeys(_path(found, line) for line in found.lines))
    known, fps = records.read(), _fps(found)
    current = {file: known[file] for file in paths if file in known and is_current(known[file], file, fps.get(file))}
    probes = {} if settings.again else current
    todo = [file for file in paths if file not in probes]
    try:
        for outcome in probe_files(todo, workers=settings.workers, limit_s=settings.limit_s, fps=fps):
            probe = _compared(outcome.probe, known.get(outcome.path))
            probes[outcome.path] = probe
            records.append(outcome.path, probe)
            if on_progress is not None:
                on_progress(len(probes), len(paths))
        records.write({file: probes[file] for file in paths})
        report = _judge(found, probes, settings, probed=len(todo), records=records.path)
        rows = (
            {"id": bad.id, "path": bad.path, "reason": bad.reason, "detail": bad.detail} for bad in report.quarantined
        )
        write_lines(report.quarantine, (json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    except PermissionError as error:
        raise UserError(
            f"the folder of the manifest must be writable, got {error}; copy the manifest (with full paths) to another folder"
        ) from error
    return report


def refuse_as_clean(manifest: Path, path: Path) -> None:
    """Refuse a place for the clean manifest before anything is decoded.

    Raises:
        InvalidInput: it cannot be written, or would replace the manifest itself or what is kept beside it.
    """
    kept = [manifest, Records(manifest).path, _quarantine(manifest)]
    if problems := file_problems(path, kept):
        raise InvalidInput("clean manifest", problems)


def write_clean(report: Report, path: Path) -> None:
    """Write the manifest without the lines in quarantine.

    Raises:
        InvalidInput: see :func:`refuse_as_clean`; or a class or a split has lost all its videos, so that labels or splits
            would no longer be what they were.
    """
    refuse_as_clean(report.manifest, path)
    labels = {label for video in report.good for label in video.labels}
    splits = {video.split for video in report.good}
    problems = [
        f"class {name!r} must have a video, got none that is good; repair one, or take the class out of the manifest"
        for label, name in sorted(report.classes.items())
        if label not in labels
    ]
    problems += [
        f"split {name} must have a video, got none that is good" for name in SPLITS if name in report.splits - splits
    ]
    if not report.good:
        problems.append("a manifest must name at least one video, got none that is good")
    if problems:
        raise InvalidInput(f"clean manifest {path}", problems)
    write_manifest(path, report.good, multi_label=report.multi_label)


def _quarantine(manifest: Path) -> Path:
    return manifest.with_suffix(".quarantine.jsonl")


def _compared(probe: Probe, earlier: Probe | None) -> Probe:
    """Damage that no decoder notices shows here, if the file was good when it was measured first."""
    if earlier is None or None in (earlier.sha256, probe.sha256) or earlier.sha256 == probe.sha256:
        return probe
    return replace(probe, notes=(*probe.notes, "changed"))


def _refuse_unusable(found: Lines) -> None:
    """Lines that name no video cannot be put into quarantine; labels and files that are wrong can.

    Where lines are refused, wrong labels are told with them; files have not been looked into yet.
    """
    of_lines = [(line.number, problem) for line in found.lines for problem in line.problems if problem.kind != "file"]
    unknown = any(problem.kind == "label" for _, problem in of_lines)
    of_all = [problem.text for problem in found.problems if problem.kind == "line" or not unknown]
    if of_all or any(problem.kind == "line" for _, problem in of_lines):
        told = [f"line {number}: {problem.text}" for number, problem in of_lines]
        raise InvalidInput(f"manifest {found.path}", [*told, *of_all])


def _path(found: Lines, line: Line) -> Path:
    return line.video.path if line.video is not None else found.path.parent.resolve() / line.row["path"]


def _fps(found: Lines) -> dict[Path, float]:
    return {line.video.path: line.video.fps for line in found.lines if line.video and line.video.fps is not None}


def _judge(found: Lines, probes: Mapping[Path, Probe], settings: Settings, *, probed: int, records: Path) -> Report:
    folder, bad, good, notes = found.path.parent.resolve(), [], [], Counter[Note]()
    for line in found.lines:
        path = _path(found, line)
        verdict = _verdict(line, probes[path], settings)
        if verdict is not None:
            name = line.video.id if line.video is not None else line.row["id"]
            bad.append(
                Quarantined(line=line.number, id=name, path=path_in(folder, path), reason=verdict[0], detail=verdict[1])
            )
        elif line.video is not None:
            good.append(replace(line.video, sha256=probes[path].sha256) if settings.hash else line.video)
            notes.update(probes[path].notes)
    videos = [line.video for line in found.lines if line.video is not None]
    return Report(
        manifest=found.path,
        lines=len(found.lines),
        files=len(probes),
        probed=probed,
        quarantined=tuple(bad),
        good=tuple(good),
        multi_label=found.multi_label,
        classes={k: name for video in videos for k, name in zip(video.labels, video.label_names, strict=True)},
        splits=frozenset(video.split for video in videos if video.split is not None),
        notes=dict(notes.most_common()),
        good_s=sum(_length_s(video.start_s, video.end_s, probes[video.path]) for video in good),
        records=records,
        quarantine=_quarantine(found.path),
    )


def _verdict(line: Line, probe: Probe, settings: Settings) -> tuple[Reason, str] | None:
    """Reason and detail, or None for a good line. What is wrong with the file goes before what is wrong with its label."""
    if probe.reason is not None:
        return probe.reason, probe.detail
    if line.video is not None and line.video.sha256 not in (None, probe.sha256):
        return "corrupt", changed_detail(str(line.video.sha256), str(probe.sha256))
    if line.video is None:
        return "label_unknown", "; ".join(problem.text for problem in line.problems if problem.kind == "label")
    if settings.classes is not None:
        named = dict(enumerate(settings.classes))
        for label, name in zip(line.video.labels, line.video.label_names, strict=True):
            if named.get(label) != name:
                return "label_unknown", f"label {label} must be {named.get(label, 'no class')!r}, got {name!r}"
    return _too_short(line.video, probe, settings.min_s)


def _too_short(video: Video, probe: Probe, min_s: float) -> tuple[Reason, str] | None:
    assert probe.picture is not None
    length_s = _length_s(video.start_s, video.end_s, probe)
    asked_s = None if video.end_s is None else video.end_s - (video.start_s or 0)
    if video.start_s is not None or video.end_s is not None:
        part = f"the part from {video.start_s or 0:g} s to {'the end' if video.end_s is None else f'{video.end_s:g} s'}"
        if length_s < min_s or (asked_s is not None and is_cut_off(length_s, asked_s)):
            return "too_short", f"{part} holds {length_s:.2f} s: the file ends at {probe.picture.end_s:.2f} s"
    elif length_s < min_s:
        return "too_short", f"holds {length_s:.2f} s, at least {min_s:g} s are asked for"
    return None


def _length_s(start_s: float | None, end_s: float | None, probe: Probe) -> float:
    """Seconds of picture within a part."""
    if probe.picture is None:
        return 0.0
    end_s = probe.picture.end_s if end_s is None else min(end_s, probe.picture.end_s)
    return max(0.0, end_s - max(start_s or 0.0, probe.picture.start_s))
