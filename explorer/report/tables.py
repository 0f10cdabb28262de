"""Tables for the terminal. What was measured, on which split and on how many videos is always printed with them."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence

from rich.box import SIMPLE_HEAD
from rich.console import JustifyMethod
from rich.table import Table
from rich.text import Text

from explorer.browse import METRIC, Front, FrontPoint
from explorer.fronts import Measured
from explorer.fronts.repeats import Repeats
from explorer.merged import MergedPoint
from trainables.contract import Convention

KNOBS_FROM_COLUMNS = 110  # narrower terminals show neither knobs nor parameters: --json and --html have all
PARAMETERS_FROM_COLUMNS = 140
BETWEEN = 2  # characters between columns
MOST_RATES = 6  # columns of rates: of systems that decide at more places, means are shown


def front_table(front: Front, *, width: int = 100) -> Table:
    """The front, cheapest first, then the baselines; names are printed as they are, never read as markup."""
    points = front.points
    rows = (*points, *front.baselines)
    rates = rate_columns(_names(p.val.rates for p in rows))
    knobs = _names(p.point.knobs for p in rows) if width >= KNOBS_FROM_COLUMNS else []
    parameters = _names(p.parameters for p in rows) if width >= PARAMETERS_FROM_COLUMNS else []
    repeats = [None if p.name else front.repeats(p) for p in rows]
    always = {
        "point": [point.name or point.point_id for point in rows],
        "trial": [_trial(point) for point in rows],
        METRIC: [_accuracy(point.val) for point in rows],
        **({"further seeds": [_seeds(found) for found in repeats]} if any(repeats) else {}),
        "GFLOPs": [_short(point.val.gflops[front.convention]) for point in rows],
        "of all-on": [_share(front, point) for point in rows],
    }
    further = {
        **{f"{name} %": [_rate(point.val, sites) for point in rows] for name, sites in rates.items()},
        **{knob: [_short(point.point.knobs.get(knob)) for point in rows] for knob in knobs},
        **{name: [_short(point.parameters.get(name)) for point in rows] for name in parameters},
    }
    shown = always | dict(_first_that_fit(further, width - sum(map(_width, always.items()))))
    below = caption(front)
    if left_out := [name for name in further if name not in shown]:
        below += f"\nnot shown for want of width: {', '.join(left_out)}; a wider terminal, --json or --html shows them"
    table = Table(
        title=Text(f"Front of {front.name}"),
        caption=Text(below),
        caption_justify="left",
        box=SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        pad_edge=False,
    )
    for header, cells in shown.items():
        justify: JustifyMethod = "left" if header == "point" else "right"
        lines = textwrap.wrap(header, _width((header, cells)) - BETWEEN, break_long_words=False, break_on_hyphens=False)
        table.add_column(Text("\n".join(lines)), justify=justify, no_wrap=True)
    for index, (point, cells) in enumerate(zip(rows, zip(*shown.values(), strict=True), strict=True)):
        style = "dark_orange" if point.name else None
        table.add_row(*map(Text, cells), style=style, end_section=index == len(points) - 1)
    return table


def _trial(point: FrontPoint) -> str:
    return _short(point.trial) if point.forked_from is None else f"{point.trial} < {point.forked_from}"


def _first_that_fit(columns: Mapping[str, Sequence[str]], room: int) -> Iterator[tuple[str, Sequence[str]]]:
    for column in columns.items():
        room -= _width(column)
        if room < 0:
            return
        yield column


def _width(column: tuple[str, Sequence[str]]) -> int:
    """Characters that a column takes, with what divides it from the next: its header is broken between words."""
    header, cells = column
    return max(map(len, (*header.split(), *cells))) + BETWEEN


def rate_columns(names: Sequence[str]) -> dict[str, list[str]]:
    """Header -> rates whose mean is shown: each by itself, or those of a kind (``kept`` of every block) where there are many."""
    if len(names) <= MOST_RATES:
        return {name: [name] for name in names}
    columns: dict[str, list[str]] = {}
    for name in names:
        columns.setdefault(f"mean {name.rpartition('.')[2]}", []).append(name)
    return columns if len(columns) <= MOST_RATES else {}


def _rate(measured: Measured, names: Sequence[str]) -> str:
    found = [measured.rates[name] for name in names if name in measured.rates]
    return f"{100 * sum(found) / len(found):.0f}" if found else ""


def merged_table(points: Sequence[MergedPoint]) -> Table:
    """The front of several sweeps, cheapest first. Not empty."""
    first = points[0].front
    table = Table(
        title=Text("One front of all"),
        caption=Text(f"{METRIC} ± standard error on validation; {convention_text(first.convention)}"),
        caption_justify="left",
        box=SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        pad_edge=False,
    )
    table.add_column("sweep")
    table.add_column("point", no_wrap=True)
    table.add_column("system")
    for header in (METRIC, "GFLOPs", "of its all-on"):
        table.add_column(header, justify="right", no_wrap=True)
    for one in points:
        cells = [one.front.name, one.point.point_id, one.point.system, _accuracy(one.val)]
        cells += [_short(one.val.gflops[one.front.convention]), _share(one.front, one.point)]
        table.add_row(*map(Text, cells))
    return table


def time_table(front: Front) -> Table:
    """Milliseconds a video by part, of everything on and of the dearest and the cheapest point of the front.

    Nothing but the title where no time was measured.
    """
    table = Table(
        title=Text(f"Milliseconds a video: {front.name}"), box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False
    )
    timed = front.times
    if timed is None:
        return table
    columns = {"everything on": timed.times.seconds(front.all_on_rates, policy=False)}
    if front.points:
        columns["dearest point"] = front.points[-1].seconds(timed.times)
        columns["cheapest point"] = front.points[0].seconds(timed.times)
    table.caption, table.caption_justify = Text(timed.text), "left"
    table.add_column("part")
    for name in columns:
        table.add_column(name, justify="right")
    for part in timed.times.parts:
        table.add_row(Text(part.name), *(f"{1000 * seconds[part.name]:.3g}" for seconds in columns.values()))
    table.add_section()
    table.add_row("all", *(f"{1000 * sum(seconds.values()):.3g}" for seconds in columns.values()))
    return table


def caption(front: Front) -> str:
    """What the numbers are: split, videos, convention, hypervolume and its reference."""
    lines = [
        f"{METRIC} ± standard error on {front.videos} validation videos; % = share of segments that used it; "
        f"{front.trials} trials, {len(front.candidates)} candidates",
        convention_text(front.convention),
    ]
    if any(front.repeats(point) for point in front.points):
        lines.append("further seeds: the best within a point's cost of its trial trained anew; mean ± standard error (how many)")
    if any(point.forked_from is not None for point in front.points):
        lines.append("trial 7 < 3: forked from trial 3, trained on from its checkpoint for a share of the epochs")
    if (reference := front.reference) is not None:
        lines.append(
            f"hypervolume {front.hypervolume:.3f}, chosen on val, valued on {reference.split}; reference "
            f"{reference.gflops:.4g} GFLOPs and {METRIC} {reference.accuracy:.3f} ({reference.source})"
        )
    return "\n".join(lines)


def convention_text(convention: Convention) -> str:
    """The unit of cost, in words."""
    return f"GFLOPs = multiply-accumulates / 1e9, mean a video, {convention} convention, policy included"


def point_table(point: FrontPoint, front: Front) -> Table:
    """One point, with its validation and test measurements side by side."""
    columns: dict[str, Measured] = {"validation": point.val}
    if point.test is not None:
        columns["test"] = point.test
    table = Table(
        title=Text(f"{point.point_id} of {front.name}"),
        caption=Text(convention_text(front.convention)),
        box=SIMPLE_HEAD,
    )
    table.add_column("")
    for name, measured in columns.items():
        table.add_column(f"{name} ({measured.videos} videos)", justify="right")
    table.add_row(METRIC, *(_accuracy(m) for m in columns.values()))
    table.add_row("GFLOPs", *(_short(m.gflops[front.convention]) for m in columns.values()))
    for site in point.val.rates:
        table.add_row(Text(f"{site} %"), *(f"{100 * m.rates[site]:.0f}" for m in columns.values()))
    if point.forked_from is not None:
        table.add_row("forked from", f"trial {point.forked_from}")
    return table


def _seeds(repeats: Repeats | None) -> str:
    """Mean and standard error over further seeds, and how many they are."""
    if repeats is None:
        return ""
    error = "" if repeats.standard_error is None else f" ± {repeats.standard_error:.3f}"
    return f"{repeats.mean:.3f}{error} ({len(repeats.seeds)})"


def _accuracy(measured: Measured) -> str:
    return f"{measured.accuracy:.3f} ± {measured.standard_error:.3f}"


def _share(front: Front, point: FrontPoint) -> str:
    everything = front.all_on_gflops.get(front.convention, 0.0)
    return f"{100 * point.val.gflops[front.convention] / everything:.0f} %" if everything > 0 else ""


def _short(value: object) -> str:
    if value is None:
        return ""
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _names(mappings: Iterable[Mapping[str, object]]) -> Sequence[str]:
    return list(dict.fromkeys(name for mapping in mappings for name in mapping))
