"""Read a sweep's study without writing to it, also while it is being written. Imports neither torch nor Ray (0.3 s)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial

from explorer.errors import NotFound
from explorer.search.book import RUNGS, queued_params
from explorer.spec.dimension import Value
from explorer.spec.fork import Fork


@dataclass(frozen=True, kw_only=True)
class TrialRecord:
    """One trial. ``values``: the objectives in the space's order, of a COMPLETE trial; else None.

    ``state``: WAITING, RUNNING (also while it is paused), COMPLETE, PRUNED or FAIL. ``attrs``: see
    :mod:`explorer.search.book` (``chain``, ...).
    ``started``, ``ended``: seconds since the epoch.
    """

    number: int
    params: Mapping[str, Value]
    values: tuple[float, ...] | None
    state: str
    attrs: Mapping[str, Any]
    started: float | None
    ended: float | None

    @property
    def fork(self) -> Fork | None:
        """Where the trial was forked from, if it was."""
        return Fork.of(self.attrs)

    @property
    def paused_at(self) -> str | None:
        """The rung at which the trial waits; None where it does not."""
        last = next(reversed(self.attrs.get(RUNGS, {}).items()), None)
        return last[0] if self.state == "RUNNING" and last and last[1]["standing"] == "paused" else None


def read_study(path: Path) -> list[TrialRecord]:
    """The trials of the study at ``path``, by number. Raises ``NotFound``."""
    storage, study_id = _open(path)
    return [_record(trial) for trial in storage.get_all_trials(study_id, deepcopy=False)]


def read_study_attrs(path: Path) -> dict[str, Any]:
    """What is noted about the whole study, such as ``baselines``. Raises ``NotFound``."""
    storage, study_id = _open(path)
    return dict(storage.get_study_user_attrs(study_id))


def open_study(path: Path) -> optuna.Study:
    """The study at ``path``, for reading only. Raises ``NotFound``."""
    storage, study_id = _open(path)
    return optuna.load_study(study_name=storage.get_study_name_from_id(study_id), storage=storage)


def _open(path: Path) -> tuple[JournalStorage, int]:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    if not path.is_file():  # Optuna would make an empty one
        raise NotFound(
            f"there is no sweep at {path.parent}: it holds no {path.name}; give the folder of one that was begun"
        )
    storage = JournalStorage(JournalFileBackend(str(path)))
    studies = storage.get_all_studies()
    if not studies:
        raise NotFound(f"{path} holds no study; the sweep has not begun yet")
    return storage, studies[0]._study_id


def _record(trial: FrozenTrial) -> TrialRecord:
    return TrialRecord(
        number=trial.number,
        params=queued_params(trial),
        values=tuple(trial.values) if trial.values is not None else None,
        state=trial.state.name,
        attrs=dict(trial.user_attrs),
        started=_seconds(trial.datetime_start),
        ended=_seconds(trial.datetime_complete),
    )


def _seconds(moment: datetime | None) -> float | None:
    return moment.timestamp() if moment else None
