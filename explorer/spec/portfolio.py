"""A search space of several systems on the same videos, which share one budget: what a YAML file with ``systems`` says."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from explorer.spec.load import SEVERAL
from explorer.spec.space import Budget, Resources, SearchSpace, check_sweep_name, check_tracking
from explorer.store.remote import local_root


class Shared(BaseModel):
    """What holds for all members. ``share``: trials that a member gets at a time."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, BeforeValidator(check_sweep_name)]
    budget: Budget = Budget(trials=16)
    share: int = Field(default=2, ge=1)
    resources: Resources = Resources()
    storage: str = "./runs"
    tracking: Annotated[str, BeforeValidator(check_tracking)] = ""


class PortfolioFile(Shared):
    """The keys of the file. ``systems``: search spaces by name or path, or what they hold, by a name of their own.

    ``data`` is laid over the data of every member; ``seed`` takes the place of theirs.
    """

    systems: list[str] | dict[str, str | dict[str, Any]]
    data: dict[str, Any] = Field(default_factory=dict)
    seed: int | None = Field(default=None, ge=0, lt=2**31)


class Portfolio(Shared):
    """Several search spaces that share a budget. ``members``: by the name under which the file names them.

    Each member is a sweep of its own, ``NAME.MEMBER``, beside the others in the storage: with a study, early stopping and a
    conditioned start as if it were alone, and the stages that it has in common with other sweeps. Its ``budget`` is what it was
    given so far.
    """

    members: Mapping[str, SearchSpace]

    @property
    def folder(self) -> Path:
        """``space.yaml``, ``progress.json``, the common front and picks; the members have folders of their own."""
        return local_root(self.storage) / self.name

    def evenly(self, member: SearchSpace) -> SearchSpace:
        """``member`` with an even part of the budget, as an example of what it may get."""
        count = len(self.members)
        parts = {
            name: None if limit is None else limit / count if name == "hours" else -(-limit // count)
            for name, limit in self.budget.model_dump().items()
        }
        return member.model_copy(update={"budget": Budget(**parts)})

    def dump(self) -> dict[str, Any]:
        """As one would write it in YAML, every member spelled out; loading it gives an equal portfolio."""
        dumped = self.model_dump(mode="json", exclude={"members"})
        return {**dumped, SEVERAL: {label: member.dump() for label, member in self.members.items()}}

    def to_yaml(self) -> str:
        """:meth:`dump` as YAML text, for ``space.yaml``."""
        return yaml.safe_dump(self.dump(), sort_keys=False, allow_unicode=True, width=120)
