"""``explorer data``: make, bring in and look after the videos."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from explorer.cli import data_cards, data_check, data_import, data_prepare
from explorer.cli.data_progress import progress_of

data_app = typer.Typer(no_args_is_help=True, help="Make, bring in and look after the videos that a sweep learns from.")
data_app.command("import")(data_import.command)
data_app.command("check")(data_check.command)
data_app.command("prepare")(data_prepare.command)
data_app.command("cards")(data_cards.command)


@data_app.command("synth")
def synth(
    folder: Annotated[Path, typer.Argument(help="Where videos/, manifest.jsonl and truth.jsonl go.")],
    videos: Annotated[int, typer.Option(help="Number of clips, 36 or more.")] = 240,
    seed: Annotated[int, typer.Option(help="The same seed gives the same clips.")] = 0,
    seconds: Annotated[float, typer.Option(help="Length of a clip.")] = 8.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Make demonstration clips: six classes that are seen in some segments and heard in others."""
    from trainables.kit.data.synthetic import CLASSES, synthesise

    with progress_of("clips") as on_progress:
        manifest = synthesise(folder, videos=videos, seed=seed, seconds=seconds, on_progress=on_progress)
    if as_json:
        typer.echo(json.dumps({"manifest": str(manifest), "videos": videos, "classes": list(CLASSES), "seed": seed}))
    else:
        typer.echo(f"{videos} clips of {len(CLASSES)} classes: {manifest}")
