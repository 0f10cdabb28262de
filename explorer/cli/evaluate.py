"""``explorer evaluate``: measure a pick on any manifest."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from explorer.evaluate import Evaluation


def command(
    model: Annotated[str, typer.Argument(help="The folder that `explorer pick` printed, or models:/NAME@ALIAS.")],
    manifest: Annotated[Path, typer.Argument(help="A manifest of videos with labels; classes are matched by name.")],
    split: Annotated[
        str | None,
        typer.Option(help="train, val, test or all; by default test, or all where the manifest names no split."),
    ] = None,
    cache: Annotated[
        Path | None, typer.Option(help="Keep the decoded videos in this folder, for the next time.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """Measure a pick on any manifest: accuracy, mAP, GFLOPs and how often each modality was used, with standard errors."""
    from explorer.api import evaluate

    found = evaluate(model, manifest, split=split, cache=cache)
    if as_json:
        print(json.dumps(found.to_json(), allow_nan=False))
        return
    _print(found)


def _print(found: Evaluation) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(
        title=Text(f"{found.manifest}, split {found.split}: {found.videos} videos"),
        caption=Text("± is one standard error; GFLOPs = multiply-accumulates / 1e9, mean a video, policy included"),
        box=SIMPLE_HEAD,
    )
    table.add_column("")
    table.add_column("measured", justify="right")
    table.add_row("accuracy", f"{found.accuracy.value:.4f} ± {found.accuracy.standard_error:.4f}")
    table.add_row("mAP", f"{found.mean_average_precision:.4f}")
    for convention, cost in found.gflops.items():
        table.add_row(f"GFLOPs, {convention} convention", f"{cost.value:.5g} ± {cost.standard_error:.2g}")
    for site, rate in found.rates.items():
        table.add_row(Text(f"{site} used"), f"{100 * rate.value:.1f} ± {100 * rate.standard_error:.1f} %")
    Console().print(table)
    worst = sorted(found.accuracy_of_class.items(), key=lambda row: row[1])[:3]
    print("Hardest classes: " + ", ".join(f"{name} {accuracy:.2f}" for name, accuracy in worst))
