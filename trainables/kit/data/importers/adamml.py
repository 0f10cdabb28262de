"""The list format of AdaMML's release (IBM/AdaMML, README and utils/video_dataset.py): ``path start end label [label...]``.

Separated by spaces (ActivityNet, FCVID) or semicolons (Kinetics-Sounds, Mini-Sports1M). ``path`` names a folder of
extracted frames or, in the list for sound, a wav file; ``start`` and ``end`` are frame numbers, counted from 1 and both
included. Test lists stop after ``end``. ``categories.txt`` beside a list names the classes, one a line.

That release pairs the lists of several modalities by row number. Here a video is one file that holds picture and sound: the
path's last part is the id by which the file is found, and further lists of the same split are only compared with the first.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

from trainables.kit.data.importers.columns import times_problem
from trainables.kit.data.importers.entry import Entry, FileName, Item, LeftOut, Options, Unresolved
from trainables.kit.data.importers.text import read_classes, read_text, split_of_name

LABEL_FILE = "categories.txt"
# Numbers from the right; the path may hold spaces.
LINE = {mark: re.compile(rf"(.+?){mark}(\d+){mark}(\d+)((?:{mark}\d+(?:\.0*)?)*)(?:{mark})?") for mark in (";", r"\s+")}


class AdammlLists:
    """See the module."""

    about = "AdaMML's lists: path start_frame end_frame label, separated by spaces or semicolons"

    def recognises(self, source: Path) -> bool:
        """By its first line."""
        return source.is_file() and _match(read_text(source).split("\n", 1)[0].strip()) is not None

    def read(self, sources: Sequence[Path], options: Options) -> Iterator[Item]:
        """The entries of the first list of every split; where another list of it gives other labels, a conflict."""
        lists: dict[str | None, list[Path]] = defaultdict(list)
        for source in sources:
            lists[split_of_name(source)].append(source)
        for split, (first, *others) in lists.items():
            entries_of = {
                other: {e.id: e for e in self._read(other, split, options) if isinstance(e, Entry)} for other in others
            }
            for item in self._read(first, split, options):
                clash = [
                    f"{entries[item.id].classes} in {other}"
                    for other, entries in entries_of.items()
                    if isinstance(item, Entry) and entries.get(item.id, item).labels != item.labels
                ]
                if clash and isinstance(item, Entry):
                    detail = f"labelled {item.classes}, but {', '.join(clash)}"
                    yield Unresolved(where=item.where, id=item.id, trouble="label_conflict", detail=detail)
                else:
                    yield item

    def classes(self, sources: Sequence[Path]) -> Sequence[str] | None:
        """``categories.txt`` beside the first list."""
        path = sources[0].with_name(LABEL_FILE)
        return read_classes(path) if path.is_file() else None

    def _read(self, source: Path, split: str | None, options: Options) -> Iterator[Item]:
        for number, line in enumerate(read_text(source).split("\n"), start=1):
            if line.strip():
                yield _item(f"{source} line {number}", line.strip(), split, options)


def _item(where: str, line: str, split: str | None, options: Options) -> Item:
    match = _match(line)
    if match is None:
        rule = "must be path, first frame, last frame, labels, separated by spaces or semicolons"
        return Unresolved(where=where, id="", trouble="bad_line", detail=f"{rule}, got {line[:80]!r}")
    name, begin, end = match[1].strip(), int(match[2]), int(match[3])
    labels = tuple(int(float(text)) for text in re.split(r"[;\s]+", match[4]) if text)
    id = PurePosixPath(name.replace("\\", "/")).name.removesuffix(".wav")
    if not labels:
        return LeftOut(where=where, rule="unlabelled", detail=id)
    start_s = end_s = None
    if options.frame_rate is not None:
        start_s, end_s = (begin - 1) / options.frame_rate, end / options.frame_rate
    elif begin > 1:
        detail = f"begins at frame {begin}: give --fps, the frame rate at which the frames were extracted"
        return Unresolved(where=where, id=id, trouble="bad_line", detail=detail)
    if (problem := times_problem(start_s, end_s)) is not None:
        detail = f"{problem}: frames {begin} to {end}, counted from 1"
        return Unresolved(where=where, id=id, trouble="bad_line", detail=detail)
    files = (FileName(name=name.removesuffix(".wav")), FileName(name=id))
    return Entry(where=where, id=id, files=files, labels=labels, split=split, start_s=start_s, end_s=end_s)


def _match(line: str) -> re.Match[str] | None:
    return LINE[";" if ";" in line else r"\s+"].fullmatch(line)
