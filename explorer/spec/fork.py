"""Where a forked trial starts: at the checkpoint that another trial left of the stage that can be forked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from explorer.spec.dimension import Value

FORK = "fork"  # under this name a trial's fork is noted, and told


@dataclass(frozen=True, kw_only=True)
class Fork:
    """The trial, never a fork itself, from which a trial is forked, with all that its checkpoints follow from."""

    trial: int
    params: Mapping[str, Value]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def of(cls, notes: Mapping[str, Any]) -> Fork | None:
        """The fork among the notes of a trial; None for a trial that is trained from scratch."""
        return cls(**notes[FORK]) if notes.get(FORK) else None
