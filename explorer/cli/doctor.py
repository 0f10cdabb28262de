"""``explorer doctor``: what is wrong with an installation or a cluster."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from explorer.doctor import Finding


def command(
    address: Annotated[
        str | None, typer.Option(help="Of a running Ray cluster (RAY_ADDRESS); without it Ray is started here.")
    ] = None,
    storage: Annotated[Path, typer.Option(help="Where sweeps go.")] = Path("runs"),
    tracking: Annotated[
        str | None, typer.Option(help="MLflow's store (MLFLOW_TRACKING_URI); without it a file below the storage.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """Check the installation, this machine and the cluster; each line is ok, a warning or a problem with its remedy.

    Takes about half a minute. Exit 1 if there is a problem.
    """
    from explorer.doctor import Settings, State, examine

    where = tracking or os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{storage.absolute()}/mlflow.db"
    settings = Settings(storage=storage, tracking=where, address=address or os.environ.get("RAY_ADDRESS"))
    findings = {}
    for name, finding in examine(settings):
        findings[name] = finding
        if not as_json:
            print(_line(name, finding), flush=True)
    counts = {state: sum(finding.state is state for finding in findings.values()) for state in State}
    if as_json:
        checks = [{"check": name, **finding.to_json()} for name, finding in findings.items()]
        print(json.dumps({"ok": not counts[State.PROBLEM], "checks": checks}))
    else:
        print(f"\n{counts[State.PROBLEM]} problem(s), {counts[State.WARNING]} warning(s)")
    if counts[State.PROBLEM]:
        raise typer.Exit(1)


def _line(name: str, finding: Finding) -> str:
    said = f"{finding.state:<8} {name:<14} {finding.said}"
    return f"{said}\n{'':<24}remedy: {finding.remedy}" if finding.remedy else said
