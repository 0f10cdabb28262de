"""CSV as Kinetics publishes it (``label,youtube_id,time_start,time_end,split``), under many names of columns.

Also without a header where a line is just ``id;label``, as Something-Something V1 and Jester come.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from trainables.errors import UserError
from trainables.kit.data.importers.columns import COLUMNS, item, known_columns
from trainables.kit.data.importers.entry import Item, Options
from trainables.kit.data.importers.text import read_text, split_of_name

UNNAMED = {"id": "id", "label": "label"}


class CsvLists:
    """See the module."""

    about = "CSV with a header (Kinetics style), or lines of id;label"

    def recognises(self, source: Path) -> bool:
        """By its extension."""
        return source.suffix.lower() in {".csv", ".tsv"}

    def read(self, sources: Sequence[Path], options: Options) -> Iterator[Item]:
        """Every row; the split of a file called ``train.csv`` is train where no column says otherwise."""
        for source in sources:
            yield from self._read(source)

    def classes(self, sources: Sequence[Path]) -> None:
        """CSV brings none along."""

    def _read(self, source: Path) -> Iterator[Item]:
        text = read_text(source)
        rows = list(csv.reader(text.splitlines(), delimiter=_delimiter(text)))
        rows = [[cell.strip() for cell in row] for row in rows]
        if not rows:
            raise UserError(f"a list must have at least one row, got {source} without any")
        columns, first = known_columns(rows[0]), 1
        if not ({"id", "path"} & columns.keys()) or (len(rows[0]) > 1 and not {"label", "labels"} & columns.keys()):
            columns, first = UNNAMED, 0
            if len(rows[0]) > 2:
                raise UserError(
                    f"the first row of {source} must name its columns, got {', '.join(rows[0])}; known are "
                    + "; ".join(f"{ours}: {', '.join(names)}" for ours, names in COLUMNS.items())
                )
        header = rows[0] if first else list(UNNAMED)
        split = split_of_name(source)
        for number, row in enumerate(rows[first:], start=first + 1):
            if not any(row):
                continue
            cells = dict(zip(header, row, strict=False))
            where = f"{source.name} line {number}"
            if "split" not in columns and split is not None:
                cells["split"] = split
            yield item(where, cells, {**columns, "split": columns.get("split", "split")})


def _delimiter(text: str) -> str:
    """The first of the usual ones that the first line holds outside of quotes."""
    first = re.sub(r'"[^"]*"', "", text.split("\n", 1)[0])
    return min(",;\t", key=lambda mark: first.find(mark) if mark in first else len(first))
