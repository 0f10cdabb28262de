"""``explorer sweep``: run a search space, or go on with it."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from contextlib import nullcontext
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from explorer.run.sweep import SweepResult
    from explorer.spec.portfolio import Portfolio
    from explorer.spec.space import SearchSpace

INTERRUPTED = 130  # what a shell expects after Ctrl-C


def command(
    spaces: Annotated[
        list[str],
        typer.Argument(
            metavar="SPACE...", help="A search space: a YAML file, or the name of a shipped one. Several run one after the other."
        ),
    ],
    override: Annotated[list[str] | None, typer.Option("-o", help="KEY=VALUE on any field of the YAML.")] = None,
    smoke: Annotated[
        bool, typer.Option("--smoke", help="Only rehearse: one batch of every stage, in a folder of its own.")
    ] = False,
    address: Annotated[
        str | None,
        typer.Option(help="A running Ray cluster: auto (of this machine), HOST:PORT, or http://HEAD:8265 to submit a job."),
    ] = None,
    detach: Annotated[bool, typer.Option("--detach", help="With http://: submit the job and return at once.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document a sweep on stdout, no progress display.")] = False,
) -> None:
    """Run a sweep to the end of its budget. Ctrl-C lets running epochs finish and leaves it to be resumed; twice ends it at once.

    Several search spaces, for example of different systems on the same videos, make one front: `explorer front A B`. A search space
    with `systems` names several that share one budget.
    Shared stages are trained once. The same command, or `explorer resume`, goes on where it stopped.
    """
    from explorer.errors import UserError
    from explorer.spec.load_portfolio import load_any
    from explorer.spec.portfolio import Portfolio

    submitted = address is not None and address.startswith(("http://", "https://"))
    if detach and not submitted:
        raise UserError("--detach needs --address http://HEAD:8265, the job server of a running cluster")
    if smoke and submitted:
        raise UserError("--smoke needs no job: rehearse on the cluster's head node with --address auto")
    loaded = [load_any(space, override or []) for space in spaces]
    folders = [one.folder for one in loaded]
    if len(set(folders)) < len(folders):
        raise UserError(f"each search space needs a name of its own, got {', '.join(one.name for one in loaded)}")
    for space, one in zip(spaces, loaded, strict=True):
        if smoke:
            from explorer.cli.smoke import rehearse

            for member in one.members.values() if isinstance(one, Portfolio) else [one]:
                rehearse(member, space, override or [], address=address, as_json=as_json)
        elif submitted:
            assert address is not None
            _submit(one, address, detach=detach, as_json=as_json)
        elif isinstance(one, Portfolio):
            from explorer.cli.portfolio import run_and_show as run_and_show_portfolio

            run_and_show_portfolio(one, address=address, as_json=as_json)
        else:
            run_and_show(one, address=address, as_json=as_json)
    if len(loaded) > 1 and not (as_json or smoke or submitted):
        names = " ".join(str(folder) for folder in folders)
        print(f"\nAll in one: explorer front {names}; the best of all: explorer pick {names} --max-gflops BUDGET")


def run_and_show(
    space: SearchSpace,
    *,
    address: str | None,
    as_json: bool,
    further_seeds: int = 0,
    more: Mapping[str, object] | None = None,
) -> None:
    """Run ``space`` with a progress display, or ending in one JSON document, to which ``more`` is added."""
    from explorer.cli.live import display
    from explorer.submit import sweep

    if not as_json:
        print(f"sweep {space.name}: reading the data and starting Ray; the first stage takes some seconds to appear", flush=True)
    try:
        with nullcontext() if as_json else display() as shown:
            observers = [] if shown is None else [shown]
            result = sweep(space, observers=observers, address=address, further_seeds=further_seeds)
    except KeyboardInterrupt:  # before the first stage could be asked for, or while the last things were written
        print(f"sweep {space.name} interrupted; the same command goes on with it", file=sys.stderr)
        raise typer.Exit(INTERRUPTED) from None
    if as_json:
        print(json.dumps({**_as_json(space, result), **(more or {})}))
    else:
        _print(space, result)
    if result.state == "interrupted":
        raise typer.Exit(INTERRUPTED)


def _submit(space: SearchSpace | Portfolio, address: str, *, detach: bool, as_json: bool) -> None:
    from explorer.run.submission import follow_job, submit_job

    job = submit_job(space, address)
    if as_json:
        print(json.dumps({"sweep": space.name, "job": job, "address": address, "folder": str(space.folder)}))
    else:
        print(f"sweep {space.name} submitted to {address} as job {job}")
        print(f"  watch   explorer status {space.name} --address {address} --logs")
        print(f"  stop    explorer stop {space.name} --address {address}")
        print(f"  folder  {space.folder}: explorer status, front and stop take it as well", flush=True)
    if not detach and not follow_job(address, job, print if not as_json else lambda line: None):
        raise typer.Exit(1)


def _as_json(space: SearchSpace, result: SweepResult) -> dict[str, object]:
    from explorer.browse import Front
    from explorer.tracking.where import tracking_uri, without_password

    return {
        "sweep": result.name,
        "folder": str(result.folder),
        "state": result.state,
        "trials": result.trials,
        "seconds": round(result.seconds, 2),
        "tracking": without_password(tracking_uri(space)),
        "front": Front.load(result.folder).to_json(),
    }


def _print(space: SearchSpace, result: SweepResult) -> None:
    from rich.console import Console

    from explorer.browse import Front
    from explorer.report.tables import front_table
    from explorer.run.news import duration
    from explorer.tracking.where import tracking_uri

    console = Console()
    front = Front.load(result.folder)
    if front.points:
        console.print(front_table(front, width=console.width))
    trials = ", ".join(f"{count} {state}" for state, count in result.trials.items()) or "none"
    print(f"\nSweep {result.name} {result.state} after {duration(result.seconds)}; trials: {trials}")
    page = result.folder / "front.html"
    if page.is_file():
        print(f"  front   open {page} in a browser, or: explorer front {result.folder}")
    if tracking_uri(space):
        print(f"  MLflow  explorer ui {result.folder}")
    if front.points:
        print(f"  pick    explorer pick {result.folder} --max-gflops BUDGET")
    if result.state == "interrupted":
        again = " (the epochs that ran are trained again)" if result.at_once else ""
        print(f"  resume  explorer resume {result.folder}{again}", file=sys.stderr)
