"""``explorer front``: the front of a sweep as a table, JSON or one HTML page."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from explorer.browse import Front


class ConventionName(StrEnum):
    """What a cost counts."""

    full = "full"
    paper = "paper"


def command(
    sweep: Annotated[str, typer.Argument(help="A sweep: its folder, or its name below ./runs.")],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
    html: Annotated[Path | None, typer.Option(help="Write the front as one interactive HTML file.")] = None,
    svg: Annotated[Path | None, typer.Option(help="Write the front as a picture.")] = None,
    convention: Annotated[
        ConventionName, typer.Option(help="What GFLOPs count: all that runs, or what the paper counts.")
    ] = ConventionName.full,
) -> None:
    """Browse the front: accuracy against GFLOPs a video. It works while the sweep runs, and needs no network."""
    from explorer.api import Front
    from explorer.records import find_sweep

    front = Front.load(find_sweep(sweep), convention=convention.value)
    if html is not None:
        from explorer.report.front_page import front_html

        _write(html, front_html(front))
    if svg is not None:
        from explorer.report.front_svg import front_svg

        _write(svg, front_svg(front))
    if as_json:
        print(json.dumps(front.to_json()))
        return
    _print(front, [path for path in (html, svg) if path is not None])


def _write(path: Path, text: str) -> None:
    from explorer.errors import UserError

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UserError(f"{path} cannot be written ({error.strerror}); give another path") from error


def _print(front: Front, written: list[Path]) -> None:
    from rich.console import Console

    from explorer.report.tables import front_table

    console = Console()
    console.print(front_table(front, width=console.width))
    for path in written:
        print(f"Written: {path}")
    if not front.points:
        print("The front is still empty: no trial has finished a stage that is measured.")
