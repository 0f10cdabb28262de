"""``explorer status``: how far a sweep is, read from its folder while it runs or afterwards."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from explorer.run.status import SweepStatus

HEADER = ("sweep", "state", "trials", "epochs", "best accuracy", "GFLOPs", "hypervolume", "elapsed", "remaining")


def command(
    sweep: Annotated[
        str | None, typer.Argument(help="A sweep: its folder, or its name below ./runs. Without it, all of these.")
    ] = None,
    storage: Annotated[Path | None, typer.Option(help="Where the sweeps lie; ./runs by default.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """Say how far a sweep is: trials by state, epochs, hypervolume, elapsed and remaining time."""
    from explorer.records import RUNS, SPACE_FILE, find_sweep
    from explorer.run.status import sweep_status

    if sweep is not None:
        status = sweep_status(find_sweep(sweep, storage or RUNS))
        print(json.dumps(status.to_json()) if as_json else _table([status]))
        return
    runs = storage or RUNS
    found = [sweep_status(path.parent) for path in sorted(runs.glob(f"*/{SPACE_FILE}"))]
    if as_json:
        print(json.dumps([status.to_json() for status in found]))
    else:
        print(_table(found) if found else f"There are no sweeps in {runs}: explorer sweep SPACE starts one.")


def _table(found: list[SweepStatus]) -> str:
    rows: list[tuple[str, ...]] = [
        ("sweep", "state", "trials", "epochs", "best accuracy", "GFLOPs", "hypervolume", "elapsed", "remaining")
    ]
    rows += [_row(status) for status in found]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    best = [status.best for status in found if status.best is not None]
    if best:
        videos = ", ".join(dict.fromkeys(str(point.videos) for point in best))
        lines.append(
            f"best accuracy: of the front, on validation ({videos} videos); "
            f"GFLOPs = multiply-accumulates / 1e9, mean a video, {best[0].convention} convention"
        )
    return "\n".join(lines)


def _row(status: SweepStatus) -> tuple[str, ...]:
    from explorer.cli.live import duration

    trials = ", ".join(f"{count} {state}" for state, count in status.trials.items() if count) or "none"
    remaining = "?" if status.remaining_s is None else duration(status.remaining_s)
    return (
        status.name,
        status.state,
        trials,
        f"{status.epochs_done}/{status.epochs_planned}",
        "-" if status.best is None else f"{status.best.accuracy:.3f}",
        "-" if status.best is None else f"{status.best.gflops:.3g}",
        "-" if status.hypervolume is None else f"{status.hypervolume:.4f}",
        duration(status.elapsed_s),
        remaining,
    )
