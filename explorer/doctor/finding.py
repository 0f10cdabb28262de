"""What a check says, and what it is asked about."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Self

from trainables.contract import Json


class State(StrEnum):
    """``warning``: something works less well, or only some work is impossible; ``problem``: a sweep will fail."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """``address``: of a running Ray cluster, None = one is started here. ``tracking``: of MLflow; "" = a file's."""

    storage: Path
    tracking: str
    address: str | None = None


@dataclass(frozen=True, kw_only=True)
class Finding:
    """``said``: what was found, in a line. ``remedy``: what to do about it, empty where all is well."""

    state: State
    said: str
    remedy: str = ""
    detail: str = ""

    @classmethod
    def ok(cls, said: str) -> Self:
        return cls(state=State.OK, said=said)

    @classmethod
    def warning(cls, said: str, remedy: str) -> Self:
        return cls(state=State.WARNING, said=said, remedy=remedy)

    @classmethod
    def problem(cls, said: str, remedy: str, detail: str = "") -> Self:
        return cls(state=State.PROBLEM, said=said, remedy=remedy, detail=detail)

    def to_json(self) -> dict[str, Json]:
        return {**asdict(self), "state": str(self.state)}
