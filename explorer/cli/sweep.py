"""``explorer sweep``: run a search space, or go on with it."""

from __future__ import annotations

import json
import sys
from contextlib import nullcontext
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from explorer.run.sweep import SweepResult
    from explorer.spec.space import SearchSpace

INTERRUPTED = 130  # what a shell expects after Ctrl-C


def command(
    space: Annotated[str, typer.Argument(help="A search space: a YAML file, or the name of a shipped one.")],
    override: Annotated[list[str] | None, typer.Option("-o", help="KEY=VALUE on any field of the YAML.")] = None,
    smoke: Annotated[
        bool, typer.Option("--smoke", help="Only rehearse: one batch of every stage, in a folder of its own.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout, no progress display.")] = False,
) -> None:
    """Run a sweep to the end of its budget. Ctrl-C stops it in order; the same command goes on where it stopped.

    Shared stages are trained once. Giving a larger budget (-o budget.trials=64) continues a finished sweep.
    """
    from explorer.cli.live import display
    from explorer.spec.load import load_space
    from explorer.submit import sweep

    loaded = load_space(space, override or [])
    if smoke:
        from explorer.cli.smoke import rehearse

        rehearse(loaded, space, override or [], as_json=as_json)
        return
    if not as_json:
        print(f"sweep {loaded.name}: reading the data and starting Ray; the first stage takes some seconds to appear", flush=True)
    with nullcontext() if as_json else display() as shown:
        result = sweep(loaded, observers=[] if shown is None else [shown])
    if as_json:
        print(json.dumps(_as_json(loaded, result)))
    else:
        _print(loaded, result)
    if result.state == "interrupted":
        raise typer.Exit(INTERRUPTED)


def _as_json(space: SearchSpace, result: SweepResult) -> dict[str, object]:
    from explorer.browse import Front

    return {
        "sweep": result.name,
        "folder": str(result.folder),
        "state": result.state,
        "trials": result.trials,
        "seconds": round(result.seconds, 2),
        "tracking": space.tracking,
        "front": Front.load(result.folder).to_json(),
    }


def _print(space: SearchSpace, result: SweepResult) -> None:
    from rich.console import Console

    from explorer.browse import Front
    from explorer.cli.live import duration
    from explorer.report.tables import front_table

    console = Console()
    front = Front.load(result.folder)
    if front.points:
        console.print(front_table(front, width=console.width))
    trials = ", ".join(f"{count} {state}" for state, count in result.trials.items()) or "none"
    print(f"\nSweep {result.name} {result.state} after {duration(result.seconds)}; trials: {trials}")
    page = result.folder / "front.html"
    if page.is_file():
        print(f"  front   open {page} in a browser, or: explorer front {result.folder}")
    if space.tracking not in ("", "none"):
        print(f"  MLflow  mlflow ui --backend-store-uri {space.tracking}")
    print(f"  pick    explorer pick {result.folder} --max-gflops BUDGET")
    if result.state == "interrupted":
        print("  resume  run the same command again", file=sys.stderr)
