"""What is known of the data sets of the papers: one YAML a data set. Nothing here downloads anything."""

from __future__ import annotations

from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict

from trainables.errors import UserError

CARDS = (
    "kinetics_sounds",
    "activitynet",
    "fcvid",
    "mini_sports1m",
    "mini_kinetics",
    "something_v1",
    "something_v2",
    "jester",
)


class Card(BaseModel):
    """``splits``: videos by official split. ``class_list``: name of the list in ``kit/data/classes``, where there is one."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str
    classes: int
    class_list: str | None = None
    metric: str
    splits: dict[str, int]
    about: str
    split_notes: str
    layout: str
    import_commands: tuple[str, ...]
    source: str


def read_card(name: str) -> Card:
    """The card of a data set.

    Raises:
        UserError: there is none of that name.
    """
    if name not in CARDS:
        raise UserError(f"a card must be one of {', '.join(CARDS)}, got {name!r}")
    return Card.model_validate(yaml.safe_load((Path(__file__).parent / f"{name}.yaml").read_text(encoding="utf-8")))
