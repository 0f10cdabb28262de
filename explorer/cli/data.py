"""``explorer data``: make and look after the videos."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

data_app = typer.Typer(no_args_is_help=True, help="Make and look after the videos that a sweep learns from.")

PLAIN_LINE_S = 2.0  # where output is no terminal: a line at most this often


@data_app.callback()
def _data() -> None:
    """Keeps ``synth`` a verb of its own while it is the only one."""


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

    manifest = synthesise(folder, videos=videos, seed=seed, seconds=seconds, on_progress=_progress("clips"))
    if as_json:
        typer.echo(json.dumps({"manifest": str(manifest), "videos": videos, "classes": list(CLASSES), "seed": seed}))
    else:
        typer.echo(f"{videos} clips of {len(CLASSES)} classes: {manifest}")


def _progress(what: str) -> Callable[[int, int], None]:
    """A line on stderr that counts: rewritten on a terminal, now and then a new one elsewhere."""
    last_s = -PLAIN_LINE_S

    def show(done: int, total: int) -> None:
        nonlocal last_s
        if sys.stderr.isatty():
            sys.stderr.write(f"\r{what} {done}/{total}" + ("\n" if done == total else ""))
            sys.stderr.flush()
        elif done == total or time.monotonic() - last_s >= PLAIN_LINE_S:
            sys.stderr.write(f"{what} {done}/{total}\n")
            last_s = time.monotonic()

    return show
