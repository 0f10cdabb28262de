"""JSON objects, one a line or in one list, under many names of fields: other people's manifests, Something-Something V2."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from trainables.errors import UserError
from trainables.kit.data.importers.columns import item, known_columns
from trainables.kit.data.importers.entry import Item, Options, Unresolved
from trainables.kit.data.importers.text import read_text, split_of_name


class JsonRows:
    """See the module."""

    about = "JSON objects, one a line or in one list"

    def recognises(self, source: Path) -> bool:
        """By its extension."""
        return source.suffix.lower() in {".jsonl", ".json", ".ndjson"}

    def read(self, sources: Sequence[Path], options: Options) -> Iterator[Item]:
        """Every object; the split of a file called ``train.json`` is train where no field says otherwise."""
        for source in sources:
            split = split_of_name(source)
            for where, row in _rows(source):
                if not isinstance(row, dict):
                    detail = f"must be a JSON object, got {str(row)[:60]!r}"
                    yield Unresolved(where=where, id="", trouble="bad_line", detail=detail)
                    continue
                columns = known_columns(list(row))
                if "split" not in columns and split is not None:
                    row, columns = {**row, "split": split}, {**columns, "split": "split"}
                yield item(where, row, columns)

    def classes(self, sources: Sequence[Path]) -> Sequence[str] | None:
        """Of manifests, whose lines name label and label_name, the numbering is kept."""
        names: dict[int, str] = {}
        for _, row in (pair for source in sources for pair in _rows(source)):
            if isinstance(row, dict):
                labels = row.get("labels") or [row.get("label")]
                for label, name in zip(labels, row.get("label_names") or [row.get("label_name")], strict=False):
                    if not isinstance(label, int) or not isinstance(name, str) or names.setdefault(label, name) != name:
                        return None
        return [names[label] for label in sorted(names)] if sorted(names) == list(range(len(names))) else None


def _rows(source: Path) -> Iterator[tuple[str, object]]:
    text = read_text(source)
    if text.lstrip().startswith("["):
        try:
            for number, row in enumerate(json.loads(text), start=1):
                yield f"{source.name} entry {number}", row
        except ValueError as error:
            raise UserError(f"a list must be JSON, got {source} ({error})") from error
        return
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            try:
                yield f"{source.name} line {number}", json.loads(line)
            except ValueError:
                yield f"{source.name} line {number}", line.strip()
