"""What a paper's tables say, and which of their rows this program can train. Types only; no torch.

A system brings its paper's figures (:meth:`trainables.contract.System.published`) and the tables that can be run again
(:meth:`trainables.contract.System.tables`). A published row and a row to run belong together by table and row name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, model_validator

NAME = r"^[a-z0-9_]+$"  # names become parts of dotted keys and of folders


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class PublishedRow(_Frozen):
    """One row of a paper, on one data set, as printed.

    ``accuracy`` and ``rates`` (selection rates by modality) are per cent, ``gflops`` the paper's own unit a video; None =
    not printed. ``row``: the row of ours that trains the same thing; None = another author's method, quoted.
    ``verifiable``: whether the printed GFLOPs follow from the printed rates, to 0.01 (the paper sometimes truncates);
    ``computed_gflops``: what the rates do give, None where no rates are printed. Both None without GFLOPs.
    """

    table: str = Field(pattern=NAME)
    data_set: str
    metric: Literal["top1", "map"]
    method: str
    row: str | None = Field(None, pattern=NAME)
    accuracy: float | None = Field(None, ge=0, le=100)
    rates: Mapping[str, float] = {}
    gflops: float | None = Field(None, gt=0)
    verifiable: bool | None = None
    computed_gflops: float | None = None
    note: str = ""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.gflops is None) != (self.verifiable is None):
            raise ValueError(f"{self.table}, {self.method}: verifiable must be given with gflops, and only with it")
        return self


class TableRow(_Frozen):
    """A row to train. ``overrides``: dotted path -> value, laid over the table's configuration.

    ``presets``: further ones by preset, where the paper's values do not fit its size. ``stage``: the stage (of a trial's
    own or of a baseline) whose measurement is the row's number; None = the trial's last. ``against``: the row that it is
    compared with, video by video.
    """

    name: str = Field(pattern=NAME)
    label: str
    overrides: Mapping[str, Any] = {}
    presets: Mapping[str, Mapping[str, Any]] = {}
    stage: str | None = None
    against: str | None = None

    def settings(self, preset: str) -> dict[str, Any]:
        """What the row sets in ``preset``."""
        return {**self.overrides, **self.presets.get(preset, {})}


class Table(_Frozen):
    """Rows that are trained and shown together.

    ``base`` and ``presets``: as ``overrides`` and ``presets`` of a row, for all rows.
    ``note``: what a reader of the figures must know.
    """

    name: str = Field(pattern=NAME)
    title: str
    rows: tuple[TableRow, ...]
    base: Mapping[str, Any] = {}
    presets: Mapping[str, Mapping[str, Any]] = {}
    note: str = ""

    def settings(self, preset: str) -> dict[str, Any]:
        """What the table sets in ``preset``."""
        return {**self.base, **self.presets.get(preset, {})}

    @model_validator(mode="after")
    def _check(self) -> Self:
        names = [row.name for row in self.rows]
        doubled = sorted({name for name in names if names.count(name) > 1})
        missing = sorted({row.against for row in self.rows if row.against} - set(names))
        if doubled or missing:
            raise ValueError(f"{self.name}: rows named twice: {doubled}; rows compared with but missing: {missing}")
        return self


def by_name(tables: Iterable[Table]) -> Mapping[str, Table]:
    """Tables by their names."""
    return {table.name: table for table in tables}


def read_published(path: Path) -> tuple[PublishedRow, ...]:
    """The published rows of a YAML file: one list of mappings.

    Raises:
        pydantic.ValidationError: a row is not one.
    """
    rows = yaml.safe_load(path.read_text(encoding="utf-8"))
    return tuple(PublishedRow.model_validate(row) for row in rows)
