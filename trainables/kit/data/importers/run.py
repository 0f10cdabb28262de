"""Entries to videos: find the files, number the classes, name the splits. What cannot be resolved is kept and told."""

from __future__ import annotations

import json
import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from trainables.errors import InvalidInput, UserError
from trainables.kit.data.check.records import write_lines
from trainables.kit.data.hashing import Progress, hash_files
from trainables.kit.data.importers import IMPORTERS
from trainables.kit.data.importers.entry import Entry, Item, Leave, LeftOut, Options, Trouble, Unresolved
from trainables.kit.data.importers.files import FileIndex, fold
from trainables.kit.data.importers.text import SPLIT_NAMES
from trainables.kit.data.manifest import SPLITS, Video, read_lines, write_manifest
from trainables.kit.data.outputs import file_problems
from trainables.kit.data.splits import Splits, complete_splits


@dataclass(frozen=True, kw_only=True)
class Imported:
    """``left_out``: how many lines by rule. ``other_classes``: classes that were not asked for, and their lines."""

    format: str
    videos: tuple[Video, ...]
    classes: tuple[str, ...]
    multi_label: bool
    unresolved: tuple[Unresolved, ...]
    left_out: Mapping[Leave, int]
    other_classes: Mapping[str, int]


def import_videos(sources: Sequence[Path], format: str, options: Options) -> Imported:
    """Read sources of one format.

    Raises:
        UserError: a source is missing or not of that format, or the folder of the files is none.
        InvalidInput: nothing can be resolved, or classes have no video.
    """
    _refuse_missing(sources)
    name = _recognise(sources) if format == "auto" else format
    importer = IMPORTERS[name]
    items = list(importer.read(sources, options))
    _refuse_unseen_splits(items, options)
    unresolved = [item for item in items if isinstance(item, Unresolved)]
    left_out = Counter(item.rule for item in items if isinstance(item, LeftOut))
    numbering = _Numbering.of([i for i in items if isinstance(i, Entry)], options.classes or importer.classes(sources))
    # Absolute paths need no index, and walking a large folder takes minutes on a network disk.
    source = sources[0] if sources[0].is_dir() else sources[0].parent
    finder = _Finder(options.root or source, options)
    videos: list[Video] = []
    taken: dict[tuple[Path, float | None, float | None], Entry] = {}
    others: Counter[str] = Counter()
    for entry in _once(items, unresolved):
        labels = numbering.numbers(entry)
        if isinstance(labels, LeftOut):
            left_out[labels.rule] += 1
            others[labels.detail] += 1
            continue
        found = finder.video(entry, labels, numbering.names)
        if isinstance(found, Unresolved):
            unresolved.append(found)
        elif (first := taken.setdefault((found.path, found.start_s, found.end_s), entry)) is not entry:
            unresolved.append(_again(entry, first, f"names the file {found.path.name} again, as {first.where} does"))
        else:
            videos.append(found)
    _refuse_without_effect(name, options, videos)
    _refuse_useless(videos, unresolved, left_out, numbering)
    videos = _grouped(videos)
    return Imported(
        format=name,
        videos=tuple(videos),
        classes=numbering.names,
        multi_label=any(len(video.labels) > 1 for video in videos),
        unresolved=tuple(unresolved),
        left_out=dict(left_out),
        other_classes=dict(others.most_common()),
    )


def with_hashes(imported: Imported, on_progress: Progress | None = None) -> Imported:
    """Every video with the SHA-256 of its file. Raises InvalidInput where files cannot be read."""
    shas = hash_files([video.path for video in imported.videos], None, on_progress)
    videos = tuple(replace(video, sha256=sha) for video, sha in zip(imported.videos, shas, strict=True))
    return replace(imported, videos=videos)


def make_splits(imported: Imported, seed: int) -> tuple[Imported, Splits]:
    """Every video with a split: the given ones completed, see ``splits``.

    Raises:
        InvalidInput: see ``complete_splits``.
    """
    splits = complete_splits(imported.videos, seed)
    return replace(imported, videos=tuple(splits.write_into(imported.videos))), splits


def refuse_output(out: Path, inputs: Sequence[Path]) -> None:
    """Refuse a place for the manifest before anything is read. ``inputs``: sources and other lists.

    Raises:
        InvalidInput: it, or the list of what is not resolved, cannot be written there, or would replace one of ``inputs``
            or a video.
    """
    if problems := file_problems(out, inputs) or file_problems(_beside(out), inputs):
        raise InvalidInput("--out", problems)


def _beside(out: Path) -> Path:
    return out.with_suffix(".unresolved.jsonl")


def write_imported(imported: Imported, out: Path) -> Path:
    """Write the manifest, and beside it what was not resolved (``NAME.unresolved.jsonl``, whose path is returned).

    Raises:
        InvalidInput: see :func:`refuse_output`; or the manifest would break a rule, for example name splits for some
            videos only; nothing is written.
        ManifestError: writing fails.
    """
    refuse_output(out, ())
    trial = out.with_name(f".{out.name}.trial")
    try:
        write_manifest(trial, imported.videos, multi_label=imported.multi_label)
        read = read_lines(trial)
        problems = [f"line {line.number}: {problem.text}" for line in read.lines for problem in line.problems]
        problems += [problem.text for problem in read.problems]
        if problems:
            raise InvalidInput(f"manifest {out}", problems)
        trial.replace(out)
    finally:
        with suppress(OSError):  # there is none, or none can be there
            trial.unlink()
    beside = _beside(out)
    rows = ({"where": u.where, "id": u.id, "trouble": u.trouble, "detail": u.detail} for u in imported.unresolved)
    write_lines(beside, (json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    return beside


def _refuse_missing(sources: Sequence[Path]) -> None:
    missing = [f"{source} must be a file or a folder, got neither" for source in sources if not source.exists()]
    if missing:
        raise InvalidInput("sources", missing)


def _refuse_without_effect(format: str, options: Options, videos: Sequence[Video]) -> None:
    problems = []
    if options.parts and format != "activitynet":
        problems.append(f"--parts is for --format activitynet alone, got {format}; leave it out")
    if options.frame_rate is not None and format != "adamml" and not any(video.fps for video in videos):
        problems.append(
            f"--fps is for --format adamml and for folders of pictures, got {format} without any; leave it out"
        )
    if problems:
        raise InvalidInput("arguments", problems)


def _refuse_unseen_splits(items: Sequence[Item], options: Options) -> None:
    """A name that no line has is a slip: its lines would silently stay in the split that they were in."""
    named = {item.split for item in items if isinstance(item, Entry) and item.split is not None}
    seen = named | {SPLIT_NAMES[name.casefold()] for name in named if name.casefold() in SPLIT_NAMES}
    problems = [
        f"--split-as {name}={split} must name a split of the sources, got {', '.join(sorted(named)) or 'none'} in them"
        for name, split in options.split_as.items()
        if name not in seen
    ]
    if problems:
        raise InvalidInput("arguments", problems)


def _recognise(sources: Sequence[Path]) -> str:
    names = []
    for source in sources:
        name = next((name for name, importer in IMPORTERS.items() if importer.recognises(source)), None)
        if name is None:
            kinds = "; ".join(f"{name}: {importer.about}" for name, importer in IMPORTERS.items())
            raise UserError(f"a source must be of a known format, got {source}; say which with --format ({kinds})")
        names.append(name)
    if len(set(names)) > 1:
        told = ", ".join(f"{source} {name}" for source, name in zip(sources, names, strict=True))
        raise UserError(f"sources must be of one format, got {told}; import them one after the other")
    return names[0]


def _once(items: Iterable[Item], unresolved: list[Unresolved]) -> list[Entry]:
    """Entries without those that are there twice; labels that differ are a conflict."""
    first: dict[str, Entry] = {}
    for entry in items:
        if not isinstance(entry, Entry):
            continue
        known = first.setdefault(entry.id, entry)
        if known is not entry:
            unresolved.append(_again(entry, known, f"is on {known.where} already"))
    return list(first.values())


def _again(entry: Entry, first: Entry, detail: str) -> Unresolved:
    if entry.labels == first.labels:
        return Unresolved(where=entry.where, id=entry.id, trouble="duplicate", detail=detail)
    detail = f"{detail}, labelled {first.classes} there and {entry.classes} here"
    return Unresolved(where=entry.where, id=entry.id, trouble="label_conflict", detail=detail)


class _Numbering:
    """Class names by label, and the labels of entries."""

    def __init__(self, names: tuple[str, ...], *, asked: bool) -> None:
        self.names = names
        self.asked = asked  # the names were given: entries of other classes are left out
        self._number = {fold(name): number for number, name in enumerate(names)}

    @classmethod
    def of(cls, entries: Sequence[Entry], classes: Sequence[str] | None) -> _Numbering:
        if classes is not None:
            return cls(tuple(classes), asked=True)
        labels = {label for entry in entries for label in entry.labels}
        numbers = {label for label in labels if isinstance(label, int)}
        if numbers and len(numbers) == len(labels):
            return cls(tuple(str(number) for number in range(max(numbers) + 1)), asked=False)
        if numbers:
            raise UserError("labels must be all names or all numbers, got both; write them alike")
        return cls(tuple(sorted({str(label) for label in labels})), asked=False)

    def numbers(self, entry: Entry) -> tuple[int, ...] | LeftOut:
        """The entry's labels; of its classes those that were asked for."""
        places = range(len(self.names))
        found = [
            self._number.get(fold(str(label)), label if isinstance(label, int) and label in places else None)
            for label in entry.labels
        ]
        kept = tuple(dict.fromkeys(number for number in found if number is not None))
        return kept or LeftOut(where=entry.where, rule="other_class", detail=", ".join(map(str, entry.labels)))


class _Finder:
    """Finds the files of entries."""

    def __init__(self, root: Path, options: Options) -> None:
        self.root, self.options = root, options
        self._index: FileIndex | None = None

    def video(self, entry: Entry, labels: tuple[int, ...], names: Sequence[str]) -> Video | Unresolved:
        """The entry as a line of a manifest."""
        split = self.options.split
        if split is None and entry.split is not None:
            usual = SPLIT_NAMES.get(entry.split.casefold(), entry.split)
            split = self.options.split_as.get(entry.split, self.options.split_as.get(usual, usual))
        if split is not None and split not in SPLITS:
            detail = f"split must be one of {', '.join(SPLITS)}, got {split!r}; name it with --split-as {split}=train"
            return self._unresolved(entry, "bad_split", detail)
        path, is_cut = Path(entry.files[0].name), False
        if not (path.is_absolute() and path.exists()):
            self._index = self._index or FileIndex(self.root)
            found = self._index.first(entry.files, [*(names[label] for label in labels), *filter(None, [entry.split])])
            if found is None:
                tried = ", ".join(file.name for file in entry.files)
                return self._unresolved(entry, "no_file", f"no video file called {tried} below {self._index.root}")
            name, paths = found
            if len(paths) > 1:
                inside = ", ".join(str(path.relative_to(self._index.root)) for path in paths[:3])
                return self._unresolved(entry, "several_files", f"{len(paths)} files are called {name.name}: {inside}")
            path, is_cut = paths[0], name.is_cut
        if not os.path.exists(path):
            return self._unresolved(entry, "no_file", f"{path} is a link that leads nowhere")
        fps = self.options.frame_rate if path.is_dir() else None
        if path.is_dir() and fps is None:
            detail = f"{path} is a folder of pictures: say with --fps how many make a second, as --fps 12"
            return self._unresolved(entry, "no_fps", detail)
        return Video(
            id=entry.id,
            path=path,
            labels=labels,
            label_names=tuple(names[label] for label in labels),
            split=split,
            group=entry.group,
            start_s=None if is_cut else entry.start_s,
            end_s=None if is_cut else entry.end_s,
            fps=fps,
        )

    def _unresolved(self, entry: Entry, trouble: Trouble, detail: str) -> Unresolved:
        return Unresolved(where=entry.where, id=entry.id, trouble=trouble, detail=detail)


def _grouped(videos: Sequence[Video]) -> list[Video]:
    """Groups only where they hold anything together."""
    sizes = Counter(video.group for video in videos)
    return [replace(video, group=None) if sizes[video.group] == 1 else video for video in videos]


def _refuse_useless(
    videos: Sequence[Video], unresolved: Sequence[Unresolved], left_out: Mapping[Leave, int], numbering: _Numbering
) -> None:
    """A manifest needs a video of every class; without any, the first troubles tell most."""
    if not videos:
        told = [f"{u.where}: {u.detail}" for u in unresolved[:5]] or ["nothing in the sources is a labelled video"]
        told += [f"{count} left out: {rule}" for rule, count in left_out.items()]
        raise InvalidInput("import: no line could be resolved", told)
    counts: dict[int, int] = defaultdict(int)
    for video in videos:
        for label in video.labels:
            counts[label] += 1
    empty = [name for number, name in enumerate(numbering.names) if not counts[number]]
    if empty:
        remedy = "name it as the source does, or take it out of --classes" if numbering.asked else "find its files"
        troubles = Counter(u.trouble for u in unresolved)
        counted = ", ".join(f"{count} {trouble}" for trouble, count in troubles.most_common())
        why = f"; unresolved lines: {counted}" if counted else ""
        raise InvalidInput("import", [f"class {name!r} must have a video, got none: {remedy}{why}" for name in empty])
