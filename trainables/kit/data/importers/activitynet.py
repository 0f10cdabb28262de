"""ActivityNet's JSON: ``database`` -> id -> ``subset`` and ``annotations``, each with ``label`` and ``segment`` [from, to].

A video is one line with the classes of all its annotations; with ``parts`` every annotation is a line of its own.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from trainables.errors import UserError
from trainables.kit.data.importers.columns import part_id, times_problem
from trainables.kit.data.importers.entry import Entry, FileName, Item, LeftOut, Options, Unresolved
from trainables.kit.data.importers.text import read_text


class ActivityNet:
    """See the module."""

    about = "ActivityNet's JSON"

    def recognises(self, source: Path) -> bool:
        """By its key ``database``."""
        return source.suffix.lower() == ".json" and '"database"' in read_text(source)

    def read(self, sources: Sequence[Path], options: Options) -> Iterator[Item]:
        """Every video, or every annotated part; videos without annotations (the withheld test set) are left out."""
        for source in sources:
            for name, video in self._database(source).items():
                yield from _items(f"{source.name} {name}", name, video, options)

    def classes(self, sources: Sequence[Path]) -> None:
        """The labels are names."""

    def _database(self, source: Path) -> dict[str, Any]:
        try:
            database = json.loads(read_text(source))["database"]
        except (ValueError, TypeError, KeyError) as error:
            raise UserError(f"ActivityNet's JSON must have an object 'database', got {source} ({error!r})") from error
        if not isinstance(database, dict):
            raise UserError(f"ActivityNet's database must be an object of id -> video, got {type(database).__name__}")
        return database


def _items(where: str, name: str, video: Any, options: Options) -> Iterator[Item]:
    try:
        split, annotations = video.get("subset"), video.get("annotations") or []
        labels = tuple(dict.fromkeys(str(annotation["label"]) for annotation in annotations))
        segments = [(float(a["segment"][0]), float(a["segment"][1])) for a in annotations] if options.parts else []
    except (AttributeError, KeyError, TypeError, ValueError, IndexError) as error:
        detail = f"annotations must have label and segment, got {error!r}"
        yield Unresolved(where=where, id=name, trouble="bad_line", detail=detail)
        return
    files = (FileName(name=f"v_{name}"), FileName(name=name))
    if not labels:
        yield LeftOut(where=where, rule="unlabelled", detail=name)
    elif not options.parts:
        yield Entry(where=where, id=name, files=files, labels=labels, split=split)
    for annotation, (start_s, end_s) in zip(annotations, segments, strict=False):
        if (problem := times_problem(start_s, end_s)) is not None:
            yield Unresolved(where=where, id=name, trouble="bad_line", detail=problem)
            continue
        id = part_id(name, start_s, end_s)
        label = (str(annotation["label"]),)
        yield Entry(
            where=where, id=id, files=files, labels=label, split=split, start_s=start_s, end_s=end_s, group=name
        )
