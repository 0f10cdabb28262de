"""``explorer export``: a pick's networks for other runtimes."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class FormatName(StrEnum):
    """What is written."""

    onnx = "onnx"
    torch = "torch"


def command(
    model: Annotated[str, typer.Argument(help="The folder that `explorer pick` printed, or models:/NAME@ALIAS.")],
    folder: Annotated[Path, typer.Argument(help="Where to write: a folder that does not exist, or is empty.")],
    format: Annotated[
        FormatName, typer.Option(help="onnx needs the extra `onnx`; torch writes torch.export's .pt2.")
    ] = FormatName.onnx,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """Export a pick's networks as ONNX or torch.export, each file checked against the network; the policy keeps its state."""
    from explorer.api import export

    exported = export(model, folder, format=format.value)
    if as_json:
        print(json.dumps(exported.to_json()))
        return
    for name, path in exported.files.items():
        print(f"{name}: {path} (largest difference from the network: {exported.differences[name]:.1e})")
    print(f"Inputs, states, thresholds, classes and preprocessing: {exported.folder / 'export.json'}")
