"""``explorer status``: how far a sweep is, read from its folder while it runs or afterwards."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
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
    logs: Annotated[bool, typer.Option("--logs", help="Its log, and the stack traces of failed attempts, too.")] = False,
    address: Annotated[
        str | None, typer.Option(help="Of a cluster's job server, http://HEAD:8265: how the submitted job is.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """Say how far a sweep is: trials by state, why some failed or aim at a gap, epochs, hypervolume, elapsed and remaining time."""
    if address is not None:
        _of_job(address, sweep, logs=logs, as_json=as_json)
        return
    from explorer.records import RUNS, SPACE_FILE, find_sweep
    from explorer.run.status import status_of

    if sweep is not None:
        status, *members = status_of(find_sweep(sweep, storage or RUNS))
        if as_json:
            print(json.dumps(status.to_json() | ({"members": [one.to_json() for one in members]} if members else {})))
            return
        print("\n".join([_table([status, *members]), *_details(status)]))
        for one in (status, *members) if logs else ():
            _print_logs(one.folder)
        return
    runs = storage or RUNS
    found = [status_of(path.parent)[0] for path in sorted(runs.glob(f"*/{SPACE_FILE}"))]
    if as_json:
        print(json.dumps([status.to_json() for status in found]))
    else:
        print(_table(found) if found else f"There are no sweeps in {runs}: explorer sweep SPACE starts one.")


def _of_job(address: str, sweep: str | None, *, logs: bool, as_json: bool) -> None:
    from explorer.errors import UserError
    from explorer.run.submission import job_log, jobs

    found = [job for job in jobs(address) if sweep in (None, job.sweep)]
    if sweep is not None and not found:
        known = ", ".join(sorted({job.sweep for job in jobs(address)})) or "none"
        raise UserError(f"no sweep {sweep!r} was submitted to {address}; submitted were: {known}")
    if as_json:
        print(json.dumps([asdict(job) for job in found]))
        return
    for job in found:
        print(f"{job.sweep}  {job.state}  job {job.id}  {job.message}".rstrip())
    if logs and sweep is not None:
        print(job_log(address, found[-1].id), end="")


def _details(status: SweepStatus) -> list[str]:
    """Who runs it, what is to be done where nobody does, and which trials failed with which values."""
    lines = []
    if status.state == "running":
        lines.append(f"run by {status.where}")
    elif status.state == "killed" and status.pid is not None:
        lines.append(f"its driver ({status.where}) was killed, last seen {_clock(status.updated)}")
    if status.state in ("killed", "interrupted", "failed"):
        lines.append(f"go on with: explorer resume {status.folder}")
    if status.previews is not None:
        agreed = status.previews["agreement"]
        tau = ", ".join(f"{metric} {value:.2f}" for metric, value in agreed["tau"].items()) or "not known yet"
        used = "they choose" if agreed["trusted"] else "they do not predict here and choose nothing"
        lines.append(
            f"{status.previews['made']} proposals previewed; {used}; Kendall's tau over {agreed['trials']} finished trials: {tau}"
        )
    if status.aimed:
        all_trials = sum(status.trials.values())
        forks = sum(trial.forked_from is not None for trial in status.aimed)
        forked = f", {forks} of them forked from a neighbour" if forks else ""
        lines.append(f"{len(status.aimed)} of {all_trials} trials were aimed at gaps of the front{forked}")
    for trial in status.aimed:
        if trial.state in ("running", "paused"):
            forked = "" if trial.forked_from is None else f", forked from trial {trial.forked_from}"
            lines.append(f"trial {trial.trial} ({trial.state}) is aimed at {trial.aim}{forked}")
    for error in status.errors:
        values = ", ".join(f"{name}={value}" for name, value in error.parameters.items())
        lines.append(f"trial {error.trial} failed: {error.error}\n    with {values or 'nothing searched'}")
    return lines


def _print_logs(folder: Path) -> None:
    from explorer.run.news import LOG_FILE
    from explorer.run.sweep import ERRORS_FILE

    for name in (LOG_FILE, ERRORS_FILE):
        if (folder / name).is_file():
            print(f"\n--- {folder / name}")
            print((folder / name).read_text(encoding="utf-8", errors="replace"), end="")


def _clock(seconds: float | None) -> str:
    return "at an unknown time" if seconds is None else time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))


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
    from explorer.run.news import duration

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
