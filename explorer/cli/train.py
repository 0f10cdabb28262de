"""``explorer train``: one configuration in this process."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from explorer.train import Trained
    from trainables.kit.engine.train import EpochReport


def command(
    space: Annotated[str, typer.Argument(help="A search space: a YAML file, or the name of a shipped one.")],
    override: Annotated[list[str] | None, typer.Option("-o", help="KEY=VALUE, for example lambda.rgb=0.5.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """Train one configuration and its baselines here: one process, no Ray, works under a debugger.

    Finished stages are taken from the sweep's store, and a sweep takes them from here.
    """
    from explorer.api import load_space
    from explorer.train import train

    loaded = load_space(space, override or [])
    quiet = as_json

    def on_epoch(report: EpochReport) -> None:
        if not quiet:
            numbers = "  ".join(f"{name} {value:.4g}" for name, value in report.metrics.items())
            where = f"epoch {report.epoch + 1}/{report.epochs}" if report.epochs else "measured"
            print(f"{report.stage}  {where}  {report.seconds:.1f} s  {numbers}")
            sys.stdout.flush()

    def on_stage(stage: Trained) -> None:
        if not quiet:
            print(f"{stage.job.stage}  {'taken from the store' if stage.reused else 'done'}  key {stage.job.key}")
            sys.stdout.flush()

    done = train(loaded, on_epoch=on_epoch, on_stage=on_stage)
    if as_json:
        print(json.dumps([_as_json(stage) for stage in done]))
        return
    for stage in done:
        for point in (p for p in stage.points if p.selection == "default"):
            gflops = "  ".join(f"{value:.5g} GFLOPs ({name})" for name, value in point.val.gflops.items())
            rates = "  ".join(f"{site} {rate:.0%}" for site, rate in point.val.rates.items())
            print(
                f"{stage.job.stage} epoch {point.epoch + 1}: val accuracy {point.val.accuracy:.4f} "
                f"of {point.val.videos} videos  {gflops}  {rates}"
            )


def _as_json(stage: Trained) -> dict[str, object]:
    return {
        "stage": stage.job.stage,
        "key": stage.job.key,
        "reused": stage.reused,
        "points": [point.to_dict() for point in stage.points],
    }
