"""``explorer resume``: go on with a sweep after anything that ended it, give it more trials, or repeat its front."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from explorer.run.kept import Kept
    from explorer.spec.portfolio import Portfolio


def command(
    sweep: Annotated[str, typer.Argument(help="A sweep: its folder, its name below ./runs, or its YAML file.")],
    trials: Annotated[int, typer.Option(min=0, help="Add so many trials to the budget.")] = 0,
    repeat_front: Annotated[
        int, typer.Option(min=0, metavar="SEEDS", help="Train the trials of the front once more with each of so many other seeds.")
    ] = 0,
    override: Annotated[list[str] | None, typer.Option("-o", help="KEY=VALUE on budget, resources or tracking.")] = None,
    address: Annotated[str | None, typer.Option(help="Of a running Ray cluster; auto = the one of this machine.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout, no progress display.")] = False,
) -> None:
    """Go on with a sweep: finished stages are not repeated, running ones go on after their last whole epoch.

    What is searched must not have changed; budget, resources and tracking may.
    """
    from explorer.cli.sweep import run_and_show
    from explorer.run.kept import kept
    from explorer.spec.portfolio import Portfolio
    from explorer.submit import resume_any

    space = resume_any(sweep, more_trials=trials, overrides=override or [])
    if isinstance(space, Portfolio):
        _resume_portfolio(space, repeat_front, address=address, as_json=as_json)
        return
    found = kept(space)
    if not as_json:
        print(_told(space.name, found), flush=True)
    run_and_show(space, address=address, as_json=as_json, further_seeds=repeat_front, more={"kept": json.loads(found.to_json())})


def _resume_portfolio(portfolio: Portfolio, repeat_front: int, *, address: str | None, as_json: bool) -> None:
    from explorer.cli.portfolio import run_and_show
    from explorer.errors import UserError
    from explorer.portfolio import with_share
    from explorer.records import STUDY_FILE
    from explorer.run.kept import kept

    if repeat_front:
        members = ", ".join(member.name for member in portfolio.members.values())
        raise UserError(f"--repeat-front repeats the front of one sweep, got {portfolio.name} of several; give one of {members}")
    begun = [with_share(member) for member in portfolio.members.values() if (member.folder / STUDY_FILE).is_file()]
    found = {member.name: kept(member) for member in begun}
    if not as_json:
        print("\n".join(_told(name, of_member) for name, of_member in found.items()), flush=True)
    run_and_show(
        portfolio, address=address, as_json=as_json, more={"kept": {name: json.loads(one.to_json()) for name, one in found.items()}}
    )


def _told(name: str, kept: Kept) -> str:
    trials = ", ".join(f"{count} {state}" for state, count in kept.trials.items()) or "none yet"
    lines = [f"sweep {name} goes on. It keeps:", f"  trials  {trials}"]
    lines.append(f"  stages  {kept.stages} trained ({kept.epochs} epochs)")
    lines += [f"          {stage} half trained: {done} of {epochs} epochs" for stage, done, epochs in kept.half_trained]
    lines += [f"  damaged {stage}: its checkpoint failed its checksum, it is trained again" for stage in kept.damaged]
    planned = "no limit" if kept.budget is None else str(kept.budget)
    lines.append(f"  budget  {planned} trials, {kept.to_come} to come" if kept.to_come is not None else f"  budget  {planned}")
    return "\n".join(lines)
