"""What points use, as tables for the terminal: by site with several sweeps side by side, and by class for each sweep."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from explorer.report.tables import rate_columns

UNITS = "% of the segments, frames or channels that a site decides about, mean over validation videos"


def site_table(named: Sequence[tuple[str, Mapping[str, Any]]]) -> Table:
    """Mean share of every site, one column a sweep. ``named``: (sweep, its ``point_shares``)."""
    table = _table()
    table.add_column("site")
    for name, shares in named:
        table.add_column(Text(f"{name}\n{shares['system']}\n{shares['point_id']}"), justify="right")
    for site in dict.fromkeys(site for _, shares in named for site in shares["mean"]):
        table.add_row(Text(site), *(_percent(shares["mean"].get(site)) for _, shares in named))
    return table


def class_table(shares: Mapping[str, Any]) -> Table:
    """Mean share of every site (of every kind of site where there are many) for the videos of each class."""
    columns = rate_columns(list(shares["by_class"]))
    table = _table()
    table.add_column("class")
    for header in ("videos", *(f"{column} %" for column in columns)):
        table.add_column(Text(header), justify="right")
    for c, label in enumerate(shares["classes"]):
        found = [[shares["by_class"][site][c] for site in sites] for sites in columns.values()]
        cells = ["" if None in values else _percent(sum(values) / len(values)) for values in found]
        table.add_row(Text(label), str(shares["videos"][c]), *cells)
    return table


def _table() -> Table:
    return Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.0f}"
