"""Run a reproduction: all rows and seeds as one sweep without trials, then the table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from explorer.errors import SweepFailed
from explorer.records import TABLE_FILES
from explorer.reproduce.collect import Reproduced, collect
from explorer.reproduce.plan import Reproduction
from explorer.run.events import Event, Kind

if TYPE_CHECKING:
    from explorer.run.events import Observer
    from explorer.run.sweep import SweepResult


def reproduce(plan: Reproduction, *, observers: Sequence[Observer] = ()) -> tuple[SweepResult, Reproduced]:
    """Train what the store does not hold yet, and write ``table.json`` and ``table.md`` into the run's folder.

    Stages that rows share are trained once. Doing it again goes on where it stopped.

    Raises:
        UserError: as :func:`explorer.submit.sweep`.
        SweepFailed: not every row was measured; the table holds those that were.
    """
    from explorer.submit import run_tracked

    result = run_tracked(plan.space, chains=plan.chains, observers=[*observers, _TableAtTheEnd(plan)])
    reproduced = write_table(plan)
    missing = [row.row.name for row in reproduced.rows if len(row.seeds) < len(plan.seeds)]
    if missing and result.state == "finished":
        log = plan.space.folder / "errors.log"
        raise SweepFailed(f"{plan.space.name}: not every seed of {', '.join(missing)} was trained; {log} says why")
    return result, reproduced


def write_table(plan: Reproduction) -> Reproduced:
    """Bring the table's files up to date with what the store holds."""
    from explorer.report.reproduced import table_json, table_markdown
    from trainables.kit.engine.files import write_json

    reproduced = collect(plan)
    for_programs, for_people = (plan.space.folder / name for name in TABLE_FILES)
    write_json(for_programs, table_json(reproduced))
    aside = for_people.with_name(f".{for_people.name}")
    aside.write_text(table_markdown(reproduced), encoding="utf-8")
    aside.replace(for_people)
    return reproduced


class _TableAtTheEnd:
    """Writes the table before the tracker, which listens after it, attaches the run's files."""

    def __init__(self, plan: Reproduction) -> None:
        self._plan = plan

    def on_event(self, event: Event) -> None:
        if event.kind is Kind.SWEEP_ENDED:
            write_table(self._plan)
