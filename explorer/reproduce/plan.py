"""What a reproduction will train: each row of a table, with each seed, as a named chain of stage jobs. No torch, no Ray."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from explorer.errors import InvalidInput, NotFound, SpecError, UserError
from explorer.spec.fields import canonical, field_names, merge, model_at, unknown, with_value
from explorer.spec.load import make_space
from explorer.spec.plan import stage_chain
from explorer.spec.space import Budget, SearchSpace
from explorer.spec.text import parse_value
from trainables.contract import Json, StageJob, System
from trainables.systems import SYSTEMS, load_system
from trainables.tables import PublishedRow, Table, TableRow

ROWS = "rows."  # -o rows.ROW.KEY=VALUE sets a field of one row
_MANIFEST = ("data", "manifest")
_NOT_OURS = ("search", "baselines", "budget", "constraints")  # parts of a search space that a table has no use for


@dataclass(frozen=True, kw_only=True)
class Found:
    """A table and the system that brings it. ``reference``: what a search space calls the system."""

    reference: str
    system: System
    table: Table


@dataclass(frozen=True, kw_only=True)
class Reproduction:
    """A table to train. ``space``: the configuration that rows lay their own over, resources, places; it searches nothing.

    ``jobs``: (row, seed) -> the chain of stages whose last one gives the number.
    """

    found: Found
    space: SearchSpace
    rows: tuple[TableRow, ...]
    seeds: tuple[int, ...]
    jobs: Mapping[tuple[str, int], tuple[StageJob, ...]]

    @property
    def table(self) -> Table:
        return self.found.table

    @cached_property
    def published(self) -> tuple[PublishedRow, ...]:
        """The table's published rows, in the paper's order."""
        return tuple(row for row in self.found.system.published() if row.table == self.table.name)

    @property
    def chains(self) -> dict[str, tuple[StageJob, ...]]:
        """The jobs by a name that people can read, one seed after the other."""
        return {f"row {row}, seed {seed}": jobs for (row, seed), jobs in self.jobs.items()}


def known_tables(system: str | None = None) -> list[Found]:
    """Every table of every system, or of one. The first of a name is meant where no system is named."""
    systems = {reference: load_system(reference) for reference in (SYSTEMS if system is None else (system,))}
    return [
        Found(reference=reference, system=loaded, table=table)
        for reference, loaded in systems.items()
        for table in loaded.tables().values()
    ]


def plan_reproduction(
    name: str,
    *,
    preset: str = "tiny",
    manifest: Path | None = None,
    seeds: int = 3,
    system: str | None = None,
    overrides: Sequence[str] = (),
) -> Reproduction:
    """The table ``name`` in the size ``preset`` on the videos of ``manifest``.

    ``overrides``: ``key=value`` as on the command line, ``rows.ROW.key=value`` for one row. They lie over the preset and
    what the table sets; what a row sets lies over them.

    Raises:
        NotFound: there is no such table.
        UserError: the system reads videos and no manifest was given; ``seeds`` is not positive.
        SpecError: wrong overrides, all told together.
    """
    found = find_table(name, system)
    if seeds < 1:
        raise UserError(f"--seeds must be 1 or more, got {seeds}")
    own = [text for text in overrides if text.startswith(ROWS)]
    space = _space(found, preset, manifest, [text for text in overrides if text not in own])
    rows = _with_overrides(found.table.rows, own, preset)
    numbers = tuple(range(space.seed, space.seed + seeds))
    return Reproduction(found=found, space=space, rows=rows, seeds=numbers, jobs=_jobs(space, rows, numbers))


def reads_videos(system: System) -> bool:
    """Whether the system's configuration names a manifest."""
    model = model_at(system.Config, _MANIFEST[:1])
    return model is not None and _MANIFEST[1] in field_names(model)


def find_table(name: str, system: str | None = None) -> Found:
    """The table called ``name``, of ``system`` or of the first system that has one. Raises ``NotFound``."""
    tables = known_tables(system)
    found = next((found for found in tables if found.table.name == name), None)
    if found is not None:
        return found
    of = f" of system {system}" if system else ""
    raise NotFound(f"no table {name!r}{of}; {unknown(name, [found.table.name for found in tables])}")


def _space(found: Found, preset: str, manifest: Path | None, overrides: Sequence[str]) -> SearchSpace:
    meant = next((other.reference for other in known_tables() if other.table.name == found.table.name), None)
    owner = () if meant == found.reference else (found.system.name,)  # two systems' tables may be called the same
    data: dict[str, Any] = {
        "name": "-".join(["reproduce", *owner, found.table.name, preset]),
        "system": found.reference,
        "preset": preset,
        "budget": {"trials": 0},
    }
    config: dict[str, Any] = {}
    for path, value in found.table.settings(preset).items():
        config = with_value(config, path, value)
    if manifest is not None:
        if not reads_videos(found.system):
            raise UserError(f"system {found.system.name} reads no videos, got --manifest {manifest}; leave it out")
        config = with_value(config, ".".join(_MANIFEST), str(manifest))
    subject = f"reproduce {found.table.name}"
    space = make_space(merge(data, canonical(found.system.Config, config)), overrides, subject=subject)
    if space.search or space.baselines or space.constraints or space.budget != Budget(trials=0):
        raise UserError(f"{subject}: a table's rows are all that is trained; leave out -o {', '.join(_NOT_OURS)}")
    return space


def _with_overrides(rows: Iterable[TableRow], overrides: Sequence[str], preset: str) -> tuple[TableRow, ...]:
    """The rows with their settings of ``preset`` and those given for one of them."""
    by_name = {row.name: row.model_copy(update={"overrides": row.settings(preset)}) for row in rows}
    problems = []
    for text in overrides:
        key, separator, written = text.removeprefix(ROWS).partition("=")
        name, _, path = key.strip().partition(".")
        if not (separator and path):
            problems.append(f"-o {text}: must be {ROWS}ROW.KEY=VALUE")
        elif name not in by_name:
            problems.append(f"-o {text}: unknown row {name!r}; {unknown(name, by_name)}")
        else:
            try:
                settings = {**by_name[name].overrides, path: parse_value(written)}
            except ValueError as error:
                problems.append(f"-o {text}: {error}")
            else:
                by_name[name] = by_name[name].model_copy(update={"overrides": settings})
    if problems:
        raise SpecError("overrides of rows", problems)
    return tuple(by_name.values())


def _jobs(
    space: SearchSpace, rows: Sequence[TableRow], seeds: Sequence[int]
) -> dict[tuple[str, int], tuple[StageJob, ...]]:
    """Chains of all rows with the first seed, then with the next: a table that is cut short still compares its rows."""
    problems: dict[str, None] = {}
    jobs: dict[tuple[str, int], tuple[StageJob, ...]] = {}
    for seed, row in itertools.product(seeds, rows):
        overrides: Mapping[str, Json] = row.overrides
        try:
            jobs[row.name, seed] = stage_chain(space, overrides, stage=row.stage, seed=seed)
        except InvalidInput as error:
            problems.update(dict.fromkeys(f"row {row.name}: {problem}" for problem in error.problems))
        except KeyError as error:
            problems[f"row {row.name}: the configuration trains no stage {error}"] = None
    if problems:
        raise SpecError(space.name, problems)
    return jobs
