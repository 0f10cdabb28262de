"""``explorer reproduce``: train the rows of a published table and print it beside the paper's."""

from __future__ import annotations

import json
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from explorer.reproduce import Reproduced, Reproduction
    from explorer.run.sweep import SweepResult

_WIDE = 250  # where output is no terminal: no cell is broken
_SHOWN_ROWS = 3
_PAPER_RATES_FROM_COLUMNS = 150
INTERRUPTED = 130  # what a shell expects after Ctrl-C
DEMONSTRATION = Path("demo/clips")  # as in the README


def command(
    name: Annotated[
        str | None, typer.Argument(help="A table, for example table1; without one, all are listed.")
    ] = None,
    preset: Annotated[str, typer.Option(help="Size: tiny, base or paper.")] = "tiny",
    manifest: Annotated[
        Path | None, typer.Option(help="Your videos. Preset tiny takes the demonstration clips without it.")
    ] = None,
    seeds: Annotated[int, typer.Option(help="Trainings of every row; means and errors are over them.")] = 3,
    system: Annotated[
        str | None, typer.Option(help="Whose table, where several systems have one of that name.")
    ] = None,
    plan_only: Annotated[bool, typer.Option("--plan", help="Only say what would be trained.")] = False,
    override: Annotated[
        list[str] | None, typer.Option("-o", help="KEY=VALUE on any field; rows.ROW.KEY=VALUE for one row.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout, no progress display.")] = False,
) -> None:
    """Train every row of a table, with several seeds, and print it beside the paper's figures.

    Shared stages are trained once. Ctrl-C stops it in order; the same command goes on where it stopped.
    """
    from explorer.reproduce import plan_reproduction, reproduce

    if name is None:
        _list(system, as_json)
        return
    videos = manifest if manifest is not None else _demonstration(name, preset, system)
    plan = plan_reproduction(name, preset=preset, manifest=videos, seeds=seeds, system=system, overrides=override or [])
    if plan_only:
        _print_plan(plan, as_json)
        return
    from explorer.cli.live import display

    if not as_json:
        print(
            f"{plan.space.name}: {len(plan.rows)} rows x {seeds} seeds; reading the data and starting Ray", flush=True
        )
    with nullcontext() if as_json else display() as shown:
        result, table = reproduce(plan, observers=[] if shown is None else [shown])
    _print(result, table, as_json)
    if result.state == "interrupted":
        raise typer.Exit(INTERRUPTED)


def _demonstration(name: str, preset: str, system: str | None) -> Path | None:
    """The demonstration clips, made if they are missing; None for a system that reads no videos."""
    from explorer.errors import UserError
    from explorer.reproduce.plan import find_table, reads_videos

    found = find_table(name, system).system
    if not reads_videos(found):
        return None
    if preset not in found.presets:
        raise UserError(f"--preset must be one of {', '.join(found.presets)}, got {preset!r}")
    if preset != "tiny":
        raise UserError(
            f"preset {preset} needs videos of your own: give --manifest FILE (only tiny has demonstration clips)"
        )
    manifest = DEMONSTRATION / "manifest.jsonl"
    if not manifest.is_file():
        from trainables.kit.data.synthetic import synthesise

        print(
            f"making the demonstration clips in {DEMONSTRATION} (some seconds; --manifest FILE takes yours)",
            file=sys.stderr,
        )
        synthesise(DEMONSTRATION)
    return manifest


def _list(system: str | None, as_json: bool) -> None:
    from explorer.reproduce import known_tables

    tables = known_tables(system)
    if as_json:
        print(json.dumps([{"system": t.reference, "table": t.table.name, "title": t.table.title} for t in tables]))
        return
    for found in tables:
        print(f"{found.reference}  {found.table.name:15} {found.table.title} ({len(found.table.rows)} rows)")


def _print_plan(plan: Reproduction, as_json: bool) -> None:
    from explorer.spec.plan import distinct_stages

    stages = distinct_stages(plan.chains)
    total = sum(stage.passes for stage in stages)
    unshared = sum(job.training_passes for jobs in plan.jobs.values() for job in jobs)
    if as_json:
        entries = [
            {"key": s.key, "name": s.name, "epochs": s.epochs, "passes": s.passes, "rows": list(s.baselines)}
            for s in stages
        ]
        print(
            json.dumps(
                {"sweep": plan.space.name, "stages": entries, "passes_total": total, "passes_unshared": unshared}
            )
        )
        return
    for stage in stages:
        users = stage.baselines if len(stage.baselines) <= _SHOWN_ROWS else [f"{len(stage.baselines)} rows"]
        print(f"{stage.name:22} {stage.epochs:4} epochs  {stage.key}  {'; '.join(users)}")
    print(f"{len(stages)} stages, {total} passes over the training videos; {unshared} if nothing were shared")


def _print(result: SweepResult, table: Reproduced, as_json: bool) -> None:
    from explorer.report.reproduced import table_cells, table_json

    if as_json:
        print(json.dumps({**table_json(table), "state": result.state, "seconds": round(result.seconds, 2)}))
        return
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from explorer.cli.live import duration

    console = Console()
    if not console.is_terminal:
        console = Console(width=_WIDE)
    cells = table_cells(table, paper_rates=console.width >= _PAPER_RATES_FROM_COLUMNS)
    shown = Table(title=Text(cells.title), box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    for column in cells.header:
        shown.add_column(Text(column))
    for row in cells.rows:
        shown.add_row(*map(Text, row))
    console.print(shown)
    print("\n".join(cells.below))
    print(f"\n{result.name} {result.state} after {duration(result.seconds)}; {result.folder}/table.md and table.json")
    if result.state == "interrupted":
        print("run the same command again to go on", file=sys.stderr)
