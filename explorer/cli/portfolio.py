"""What ``sweep``, ``resume`` and ``plan`` print of several systems that share a budget."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from explorer.portfolio import PortfolioResult, Share
    from explorer.run.events import Observer
    from explorer.spec.portfolio import Portfolio

INTERRUPTED = 130  # what a shell expects after Ctrl-C


def run_and_show(
    portfolio: Portfolio, *, address: str | None, as_json: bool, more: Mapping[str, object] | None = None
) -> None:
    """Run ``portfolio`` with a progress display for each share, or ending in one JSON document, to which ``more`` is added."""
    from explorer.submit import sweep_portfolio

    if not as_json:
        print(f"sweep {portfolio.name} of {', '.join(portfolio.members)}: {_budget(portfolio)} for all of them", flush=True)
        result = sweep_portfolio(portfolio, address=address, watch=_shown)
        _print(portfolio, result)
    else:
        result = sweep_portfolio(portfolio, address=address)
        print(json.dumps({**_as_json(portfolio, result), **(more or {})}))
    if result.state == "interrupted":
        raise typer.Exit(INTERRUPTED)


def plan_text(portfolio: Portfolio) -> str:
    """What is shared, and what each member would train if the trials were dealt out evenly."""
    from explorer.spec.plan import plan_info

    lines = [
        f"OK: {portfolio.name}, {len(portfolio.members)} systems on the same videos",
        f"  budget      {_budget(portfolio)} together, {portfolio.share} at a time to whoever adds most to the common front",
        f"  folder      {portfolio.folder}",
    ]
    for label, member in portfolio.members.items():
        info = plan_info(portfolio.evenly(member))
        searched = ", ".join(f"{path}: {dimension}" for path, dimension in member.search.items()) or "nothing"
        lines += [
            f"\n{label}: {member.system}, preset {member.preset}; searched {searched}",
            f"  {info.trials} trials, if they were dealt out evenly: {info.passes_total} passes over the training videos, "
            f"{info.passes_unshared} if nothing were shared",
            *(f"  warning: {warning}" for warning in info.warnings),
        ]
    return "\n".join([*lines, "\nWhat one member trains in detail: explorer plan with its own search space"])


def plan_json(portfolio: Portfolio) -> dict[str, object]:
    """The same for programs: ``members``, each as ``explorer plan --json`` has it."""
    from dataclasses import asdict

    from explorer.spec.plan import plan_info

    infos = {label: plan_info(portfolio.evenly(member)) for label, member in portfolio.members.items()}
    return {
        "sweep": portfolio.name,
        "budget": portfolio.budget.model_dump(),
        "share": portfolio.share,
        "passes_total": sum(info.passes_total for info in infos.values()),
        "members": {label: asdict(info) for label, info in infos.items()},
    }


@contextmanager
def _shown(share: Share) -> Iterator[Observer]:
    from explorer.cli.live import display

    print(_told(share), flush=True)
    with display() as observer:
        yield observer


def _told(share: Share) -> str:
    if share.trials == 0 and share.standing is None and share.until:
        return f"\n{share.member} goes on to the end of what it was given: {share.until} trials"
    given = f"\n{share.member} gets {share.trials} trial{'s' if share.trials != 1 else ''}"
    if share.standing is None:
        return f"{given}, its first"
    if not share.standing.gain:
        return f"{given}: nobody's last trials added anything, and it has had the fewest"
    per = 1000 * share.standing.rate
    return f"{given}: its last ones added {share.standing.gain:.4f} to the hypervolume of all, {per:.3g} a thousand passes"


def _budget(portfolio: Portfolio) -> str:
    limits = portfolio.budget.model_dump(exclude_none=True)
    return ", ".join(f"{number:g} {unit}" for unit, number in limits.items())


def _as_json(portfolio: Portfolio, result: PortfolioResult) -> dict[str, object]:
    from explorer.browse import Front
    from explorer.records import begun_members
    from explorer.report.files import fronts_json

    return {
        "sweep": result.name,
        "folder": str(result.folder),
        "state": result.state,
        "trials": result.trials,
        "failed": result.failed,
        "seconds": round(result.seconds, 2),
        **fronts_json([Front.load(folder) for folder in begun_members(portfolio.folder)]),
    }


def _print(portfolio: Portfolio, result: PortfolioResult) -> None:
    from rich.console import Console

    from explorer.browse import Front
    from explorer.merged import merged_front
    from explorer.records import begun_members
    from explorer.report.tables import merged_table
    from explorer.run.news import duration
    from explorer.tracking.where import tracking_of

    print(f"\nSweep {result.name} {result.state} after {duration(result.seconds)}; trials:")
    for member, counts in result.trials.items():
        print(f"  {member}: {', '.join(f'{count} {state}' for state, count in counts.items()) or 'none'}")
    for member, reason in result.failed.items():
        print(f"  {member}: {reason}", file=sys.stderr)
    points = merged_front([Front.load(folder) for folder in begun_members(portfolio.folder)])
    if points:
        Console().print(merged_table(points))
    page = result.folder / "front.html"
    if page.is_file():
        print(f"  front   open {page} in a browser, or: explorer front {result.folder}")
    if tracking_of(result.folder):
        print(f"  MLflow  explorer ui {result.folder}")
    if points:
        print(f"  pick    explorer pick {result.folder} --max-gflops BUDGET")
    if result.state == "interrupted":
        print(f"  resume  explorer resume {result.folder}", file=sys.stderr)
