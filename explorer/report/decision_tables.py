"""What points choose, as tables for the terminal: by site with several sweeps side by side, and by class for each sweep."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

UNITS = "% of the segments, frames or channels that a site decides about, mean over validation videos"


def site_table(named: Sequence[tuple[str, Mapping[str, Any]]]) -> Table:
    """Share of every site's choices, one column a sweep. ``named``: (sweep, its ``point_shares``).

    Of a site that only uses or skips, use alone is shown; of a point in a forced mode, what it computes.
    """
    table = _table()
    table.add_column("site")
    table.add_column("choice")
    for name, shares in named:
        table.add_column(Text(f"{name}\n{shares['system']}\n{shares['point_id']}"), justify="right")
    found = [_by_site(shares) for _, shares in named]
    rows = list(dict.fromkeys(row for one in found for row in one))
    for n, row in enumerate(rows):
        ends = n + 1 == len(rows) or (rows[n + 1][0] != row[0] and row[1] != "use")
        cells = [_percent(one.get(row)) for one in found]
        table.add_row(*map(Text, row), *cells, end_section=ends)
    return table


def _by_site(shares: Mapping[str, Any]) -> dict[tuple[str, str], float]:
    sites = shares["chosen"]["sites"]
    if not sites:
        return {(name, "use"): share for name, share in shares["mean"].items()}
    return {
        (site, choice): share
        for site, chosen in sites.items()
        for choice, share in chosen.items()
        if set(chosen) != {"use", "skip"} or choice == "use"
    }


def class_table(shares: Mapping[str, Any]) -> Table:
    """Share of every choice (where sites only use or skip: of every site) for the videos of each class."""
    chosen = shares["chosen"]
    table = _table()
    table.add_column("class")
    for header in ("videos", *(f"{column} %" for column in chosen["columns"])):
        table.add_column(Text(header), justify="right")
    for label, videos, line in zip(shares["classes"], shares["videos"], chosen["by_class"], strict=True):
        cells = [""] * len(chosen["columns"]) if line is None else map(_percent, line)
        table.add_row(Text(label), str(videos), *cells)
    return table


def _table() -> Table:
    return Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.0f}"
