"""``explorer data cards``: what is known of the data sets of the papers, and how to bring them in."""

from __future__ import annotations

import json
from typing import Annotated

import typer


def command(
    name: Annotated[str | None, typer.Argument(help="A data set; without one, all are listed.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Classes, metric, splits and layout of the data sets that the papers use, and the command that imports each."""
    from trainables.kit.data.cards import CARDS, read_card

    if as_json:
        cards = {each: read_card(each).model_dump(mode="json") for each in ([name] if name else CARDS)}
        typer.echo(json.dumps(cards[name] if name else cards))
        return
    if name is None:
        for each in CARDS:
            card = read_card(each)
            sizes = ", ".join(f"{split} {count:,}" for split, count in card.splits.items())
            typer.echo(f"{each:20} {card.classes:4} classes, {card.metric:6} {sizes}")
        typer.echo("more: explorer data cards NAME")
        return
    card = read_card(name)
    typer.echo(f"{card.title}: {card.classes} classes, metric {card.metric}")
    for split, count in card.splits.items():
        typer.echo(f"  {split}: {count:,} videos")
    for heading, text in (("about", card.about), ("splits", card.split_notes), ("layout", card.layout)):
        typer.echo(f"{heading}: {text.strip()}")
    typer.echo("import:")
    for line in card.import_commands:
        typer.echo(f"  {line}")
    typer.echo(f"source: {card.source}")
