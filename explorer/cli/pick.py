"""``explorer pick``: the checkpoint for a budget."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import Annotated

import typer

from explorer.cli.front import ConventionName


class CostName(StrEnum):
    """What can be minimised."""

    gflops = "gflops"
    latency = "latency"


def command(
    sweeps: Annotated[
        list[str],
        typer.Argument(metavar="SWEEP...", help="A sweep: its folder, or its name below ./runs. Of several, the best of all."),
    ],
    max_gflops: Annotated[float | None, typer.Option(help="Budget: at most this many GFLOPs a video.")] = None,
    max_latency_ms: Annotated[
        float | None, typer.Option(help="At most so long a video in the networks, measured now on this machine.")
    ] = None,
    min_accuracy: Annotated[float | None, typer.Option(help="At least this accuracy on validation, 0 to 1.")] = None,
    minimise: Annotated[
        CostName | None, typer.Option(help="Take the point with the least of this within all limits.")
    ] = None,
    point: Annotated[
        str | None, typer.Option(help="This very point, by the id that `front` shows, or a baseline by its name.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="Name of the pick; by default made from the budget.")] = None,
    convention: Annotated[
        ConventionName, typer.Option(help="What GFLOPs count: all that runs, or what the paper counts.")
    ] = ConventionName.full,
    register: Annotated[
        str | None, typer.Option(help="Also register it in MLflow under this name, with an alias for the budget.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """Pick the most accurate checkpoint within a budget, on validation, and write it out with its test accuracy."""
    from explorer.api import Front, pick
    from explorer.records import begun_members, find_sweep, member_names

    folders = [find_sweep(sweep) for sweep in sweeps]
    portfolio = folders[0] if len(folders) == 1 and member_names(folders[0]) is not None else None
    members = [member for folder in folders for member in begun_members(folder)]
    picked = pick(
        [Front.load(member, convention=convention.value) for member in members],
        max_gflops=max_gflops,
        max_latency_ms=max_latency_ms,
        min_accuracy=min_accuracy,
        minimise=None if minimise is None else minimise.value,
        point_id=point,
        name=name,
        register=register,
        into=portfolio,
    )
    if as_json:
        print(json.dumps(picked.to_json()))
        return
    from rich.console import Console

    from explorer.report.tables import point_table

    Console().print(point_table(picked.point, picked.front))
    if picked.latency_ms is not None:
        print(f"Networks: {picked.latency_ms:.4g} ms a video on this machine, at the rates on validation.")
    print(f"Checkpoint, knobs and model card: {picked.folder}")
    if picked.registered is not None:
        place = picked.registered.to_json()["tracking"]
        print(f"Registered: {picked.registered.uri} (version {picked.registered.version}) at {place}")
