"""``explorer headroom``: can skipping pay at all on this data?"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from explorer.cli.front import ConventionName

if TYPE_CHECKING:
    from explorer.fronts import Measured
    from explorer.headroom import Headroom
    from explorer.train import Trained
    from trainables.kit.engine.train import EpochReport

MEANINGS = {
    "random": "units drawn at random, no policy",
    "confident": "the surest units: sees what it skips, no labels",
    "oracle": "the cheapest units that are right: sees the labels",
}


def command(
    space: Annotated[str, typer.Argument(help="A search space: a YAML file, or the name of a shipped one.")],
    override: Annotated[list[str] | None, typer.Option("-o", help="KEY=VALUE on any field of the YAML.")] = None,
    convention: Annotated[
        ConventionName, typer.Option(help="What GFLOPs count: all that runs, or what the paper counts.")
    ] = ConventionName.full,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """Train what all trials share, and tell what ideal and blind selections would reach: can a policy pay at all?

    The stages are kept: a sweep of the same space takes them from the store.
    """
    from explorer.api import headroom, load_space

    loaded = load_space(space, override or [])

    def on_epoch(report: EpochReport) -> None:
        print(f"{report.stage}  epoch {report.epoch + 1}/{report.epochs}  {report.seconds:.1f} s", file=sys.stderr)

    def on_stage(stage: Trained) -> None:
        print(f"{stage.job.stage}  {'taken from the store' if stage.reused else 'done'}", file=sys.stderr)

    found = headroom(loaded, convention=convention.value, on_epoch=on_epoch, on_stage=on_stage)
    if as_json:
        print(json.dumps(found.to_json()))
        return
    _print(found)


def _print(found: Headroom) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from explorer.headroom import SHARES
    from explorer.report.tables import convention_text

    title = Text(f"Headroom of {found.sweep}: accuracy within a share of everything on")
    table = Table(title=title, box=SIMPLE_HEAD, pad_edge=False)
    for header in ("of all-on", *found.by_rule):
        table.add_column(header, justify="right", no_wrap=True)
    for n, share in enumerate(SHARES):
        table.add_row(f"{share:.0%}", *(_cell(measured[n]) for measured in found.by_rule.values()))
    console = Console()
    console.print(table)
    for rule in found.by_rule:
        print(f"{rule}: {MEANINGS[rule]}")
    everything, policy = found.everything, found.policy_gflops
    print(
        f"\nEverything on: {_cell(everything)} at {found.all_on_gflops:.4g} GFLOPs; the policy takes {policy:.4g} of them "
        f"({policy / found.all_on_gflops:.0%}), charged to all but random.\n"
        f"Accuracy ± standard error on {everything.videos} validation videos, networks after {found.stage}.\n"
        "Settings that see no label are chosen on one half of the videos and judged on the other.\n"
        f"{convention_text(found.convention)}"
    )


def _cell(measured: Measured | None) -> str:
    return "-" if measured is None else f"{measured.accuracy:.3f} ± {measured.standard_error:.3f}"
