"""``explorer front``: the fronts of sweeps as tables, JSON, one HTML page, a picture."""

from __future__ import annotations

import json
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

if TYPE_CHECKING:
    from explorer.browse import Front


class ConventionName(StrEnum):
    """What a cost counts."""

    full = "full"
    paper = "paper"


def command(
    sweeps: Annotated[
        list[str],
        typer.Argument(
            metavar="SWEEP...", help="Sweeps: their folders, or names below ./runs. Several lie over each other and make one front."
        ),
    ],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
    html: Annotated[Path | None, typer.Option(help="Write one interactive HTML file, which needs no network.")] = None,
    svg: Annotated[
        Path | None, typer.Option(help="Write a picture for a paper, as SVG: of the front, or with --decisions of these.")
    ] = None,
    png: Annotated[Path | None, typer.Option(help="The same picture as PNG, 200 dots an inch.")] = None,
    convention: Annotated[
        ConventionName, typer.Option(help="What GFLOPs count: all that runs, or what the paper counts.")
    ] = ConventionName.full,
    measure_time: Annotated[
        bool,
        typer.Option(
            "--measure-time",
            help="First measure on this machine what decoding, spectrogram, flow and networks take; kept with the sweep.",
        ),
    ] = False,
    decisions: Annotated[
        bool,
        typer.Option("--decisions", help="What the most accurate point chooses instead, by site and by class."),
    ] = False,
    point: Annotated[
        str | None, typer.Option(help="With --decisions and one sweep: this point, by its id or a baseline's name.")
    ] = None,
) -> None:
    """Browse the front: accuracy against GFLOPs a video. It works while the sweep runs, and needs no network."""
    from explorer.api import Front
    from explorer.records import begun_members, find_sweep

    folders = [member for sweep in sweeps for member in begun_members(find_sweep(sweep))]
    _check_point(point, decisions=decisions, sweeps=len(folders))
    if measure_time:
        _measure(folders, quiet=as_json)
    fronts = [Front.load(folder, convention=convention.value) for folder in folders]
    used = [_shares(front, point) for front in fronts] if decisions else []
    written = _write_page(fronts, html) + _write_pictures(fronts, used if decisions else None, svg=svg, png=png)
    if as_json:
        from explorer.report.files import fronts_json

        found = fronts_json(fronts)
        for document, shares in zip(found["sweeps"], used, strict=False):
            document["decisions"] = shares
        print(json.dumps(found["sweeps"][0] if len(fronts) == 1 else found))
        return
    if decisions:
        _print_decisions(fronts, used)
        _print([], written)
        return
    _print(fronts, written)
    if len(fronts) > 1:
        _print_merged(fronts)


def _print_merged(fronts: Sequence[Front]) -> None:
    from rich.console import Console

    from explorer.errors import UserError
    from explorer.merged import merged_front
    from explorer.report.tables import merged_table

    try:
        points = merged_front(fronts)
    except UserError as error:
        print(f"There is no front of all of them: {error}")
        return
    if points:
        Console().print(merged_table(points))


def _check_point(point: str | None, *, decisions: bool, sweeps: int) -> None:
    """Raises ``UserError`` where it is not clear what ``--point`` means."""
    from explorer.errors import UserError

    if point is None:
        return
    if not decisions:
        raise UserError(f"--point must come with --decisions; found --point {point} alone; add --decisions")
    if sweeps > 1:
        raise UserError(f"--point must come with one sweep, as it is a point of one; found {sweeps} sweeps; give one")


def _shares(front: Front, point: str | None) -> dict[str, Any] | None:
    """What ``point`` (else the most accurate one of the front) uses; None where there is none, or no table of it."""
    from explorer.report.page.decisions import point_shares

    if point is not None:
        return point_shares(front, front.find(point))
    best = max(front.points, key=lambda one: one.val.accuracy, default=None)
    return None if best is None else point_shares(front, best)


def _print_decisions(fronts: Sequence[Front], used: Sequence[dict[str, Any] | None]) -> None:
    from rich.console import Console

    from explorer.report.decision_tables import UNITS, class_table, site_table

    console = Console()
    named = _named(fronts, used)
    if named:
        print(f"What the points choose, by site: {UNITS}")
        console.print(site_table(named))
    for name, shares in named:
        print(f"{name}, {shares['point_id']}, by class:")
        console.print(class_table(shares))
    for front, found in zip(fronts, used, strict=True):
        if found is None:
            why = "its front is still empty" if not front.points else "the decisions of this point are not kept"
            print(f"{front.name}: nothing to show, {why}.")


def _measure(folders: Sequence[Path], *, quiet: bool) -> None:
    from explorer.times import measure_times

    for folder in folders:
        timed = measure_times(folder)
        if not quiet:
            print(f"{folder.name}: {timed.text}")


def _write_page(fronts: Sequence[Front], html: Path | None) -> list[Path]:
    if html is None:
        return []
    from explorer.report.front_page import front_html

    _write(html, front_html(fronts).encode())
    return [html]


def _write_pictures(
    fronts: Sequence[Front], used: Sequence[dict[str, Any] | None] | None, *, svg: Path | None, png: Path | None
) -> list[Path]:
    """Of the fronts, or of the decisions where these are given; the paths. Without any decisions there is no picture."""
    wanted: dict[Literal["svg", "png"], Path | None] = {"svg": svg, "png": png}
    written = []
    for kind, path in wanted.items():
        if path is None:
            continue
        if used is None:
            from explorer.report.front_figure import front_figure

            _write(path, front_figure(fronts, kind))
        elif named := _named(fronts, used):
            from explorer.report.decision_figure import decision_figure

            _write(path, decision_figure(named, kind))
        else:
            continue
        written.append(path)
    return written


def _named(fronts: Sequence[Front], used: Sequence[dict[str, Any] | None]) -> list[tuple[str, dict[str, Any]]]:
    return [(front.name, shares) for front, shares in zip(fronts, used, strict=True) if shares is not None]


def _write(path: Path, content: bytes) -> None:
    from explorer.errors import UserError

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    except OSError as error:
        raise UserError(f"{path} cannot be written ({error.strerror}); give another path") from error


def _print(fronts: Sequence[Front], written: list[Path]) -> None:
    from rich.console import Console

    from explorer.report.tables import front_table, time_table

    console = Console()
    for front in fronts:
        console.print(front_table(front, width=console.width))
        if front.times is not None:
            console.print(time_table(front))
        if not front.points:
            print("The front is still empty: no trial has finished a stage that is measured.")
    for path in written:
        print(f"Written: {path}")
