"""How far a sweep is, from its folder alone. No Ray: it works while the sweep runs, and after it was killed."""

from __future__ import annotations

import json
import os
import socket
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from explorer.errors import NotFound
from explorer.records import STUDY_FILE, begun_members, member_names
from explorer.run.progress import PROGRESS_FILE
from explorer.search.aim import AIM, Aim
from explorer.search.book import PREVIEW
from explorer.search.reader import TrialRecord, read_study

if TYPE_CHECKING:
    from explorer.browse import Front

JOB_FILE = "job.json"  # {address, id}: where the sweep was submitted as a Ray job
_FRESH_S = 60.0  # a driver on another machine rewrites its progress every second; clocks may differ


@dataclass(frozen=True, kw_only=True)
class BestPoint:
    """Of ``videos`` validation videos; GFLOPs a video in ``convention``."""

    point_id: str
    accuracy: float
    gflops: float
    convention: str
    split: str
    videos: int


@dataclass(frozen=True, kw_only=True)
class TrialError:
    """A trial that failed, with the values that it was given."""

    trial: int
    parameters: Mapping[str, Any]
    error: str


@dataclass(frozen=True, kw_only=True)
class AimedTrial:
    """A trial that was aimed at a gap of the front, its state now, and the trial that it was forked from, if it was."""

    trial: int
    state: str
    aim: Aim
    forked_from: int | None = None


@dataclass(frozen=True, kw_only=True)
class SweepStatus:
    """``state``: running, finished, interrupted, failed, or ``killed``: its driver died and nobody has resumed it.

    ``trials``: number by state (waiting, running, paused, complete, pruned, failed). ``hypervolume`` and ``best`` None = nothing
    measured; ``best`` is the most accurate point of the front on validation. ``host``, ``pid``, ``updated``: of the process that
    ran it last, and when it last wrote; ``job``: the Ray job it ran as. ``previews``: ``made`` for how many proposals, and their
    ``agreement`` with the trials that were finished when the last one was chosen (explorer/search/previews.py); None without.
    """

    name: str
    folder: Path
    state: str
    trials: Mapping[str, int]
    trials_planned: int | None
    stages: Mapping[str, int]
    epochs_done: int
    epochs_planned: int
    hypervolume: float | None
    best: BestPoint | None
    elapsed_s: float
    remaining_s: float | None
    errors: tuple[TrialError, ...] = ()
    aimed: tuple[AimedTrial, ...] = ()
    host: str | None = None
    pid: int | None = None
    updated: float | None = None
    job: Mapping[str, str] | None = None
    previews: Mapping[str, Any] | None = None

    @property
    def where(self) -> str:
        """Which process runs, or ran, the sweep."""
        return f"process {self.pid} on {self.host}"

    def to_json(self) -> dict[str, Any]:
        """The output of ``explorer status --json``."""
        return {
            "sweep": self.name,
            "folder": str(self.folder),
            "state": self.state,
            "trials": dict(self.trials),
            "trials_planned": self.trials_planned,
            "stages": dict(self.stages),
            "epochs_done": self.epochs_done,
            "epochs_planned": self.epochs_planned,
            "hypervolume": self.hypervolume,
            "best": None if self.best is None else asdict(self.best),
            "elapsed_seconds": self.elapsed_s,
            "remaining_seconds": self.remaining_s,
            "errors": [asdict(error) for error in self.errors],
            "aimed": [asdict(trial) for trial in self.aimed],
            "driver": {"host": self.host, "pid": self.pid, "updated": self.updated},
            "job": None if self.job is None else dict(self.job),
            "previews": None if self.previews is None else dict(self.previews),
        }


def status_of(folder: Path) -> list[SweepStatus]:
    """Of the sweep in ``folder``; of a portfolio, its own and then those of its members that have begun.

    Raises:
        NotFound: there is none.
    """
    if member_names(folder) is None:
        return [sweep_status(folder)]
    try:
        members = [sweep_status(member) for member in begun_members(folder)]
    except NotFound:  # it has only just begun
        members = []
    return [_portfolio_status(folder, members), *members]


def sweep_status(folder: Path) -> SweepStatus:
    """The status of the sweep in ``folder``. Raises ``NotFound`` where there is none."""
    from explorer.browse import Front

    trials = read_study(folder / STUDY_FILE)
    states = Counter(_trial_state(trial) for trial in trials)
    progress = _read(folder / PROGRESS_FILE)
    state = _state(progress)
    if state != "running" and states["running"]:  # they run again when the sweep is resumed
        states["interrupted"] = states.pop("running")
    front = Front.load(folder)
    return SweepStatus(
        name=folder.resolve().name,
        folder=folder,
        state=state,
        trials=dict(states),
        trials_planned=progress.get("trials_planned"),
        stages=progress.get("stages", {}),
        epochs_done=progress.get("epochs_done", 0),
        epochs_planned=progress.get("epochs_planned", 0),
        hypervolume=front.hypervolume if front.points else None,
        best=_best(front),
        elapsed_s=progress.get("elapsed_seconds", 0.0),
        remaining_s=progress.get("remaining_seconds"),
        errors=tuple(
            TrialError(trial=t.number, parameters=dict(t.params), error=str(t.attrs.get("reason", "no reason is recorded")))
            for t in trials
            if t.state == "FAIL"
        ),
        aimed=tuple(
            AimedTrial(
                trial=t.number,
                state=_trial_state(t),
                aim=Aim.of(t.attrs[AIM]),
                forked_from=None if t.fork is None else t.fork.trial,
            )
            for t in trials
            if AIM in t.attrs
        ),
        host=progress.get("host"),
        pid=progress.get("pid"),
        updated=progress.get("updated"),
        job=_read(folder / JOB_FILE) or None,
        previews=_previews(trials),
    )


def _previews(trials: Sequence[TrialRecord]) -> dict[str, Any] | None:
    chosen = [trial.attrs[PREVIEW] for trial in trials if PREVIEW in trial.attrs]
    if not chosen:
        return None
    return {"made": sum(note["candidates"] for note in chosen), "agreement": chosen[-1]["agreement"]}


def _trial_state(trial: TrialRecord) -> str:
    if trial.paused_at:
        return "paused"
    return {"FAIL": "failed"}.get(trial.state, trial.state.lower())


def _best(front: Front) -> BestPoint | None:
    if not front.points:
        return None
    best = max(front.points, key=lambda point: point.val.accuracy)
    return BestPoint(
        point_id=best.point_id,
        accuracy=best.val.accuracy,
        gflops=best.val.gflops[front.convention],
        convention=front.convention,
        split="val",
        videos=best.val.videos,
    )


def driver_state(folder: Path) -> str:
    """``state`` of :class:`SweepStatus`, from one small file."""
    return _state(_read(folder / PROGRESS_FILE))


def read_progress(folder: Path) -> dict[str, Any]:
    """What who runs the sweep in ``folder`` last wrote of it; empty where nobody did."""
    return _read(folder / PROGRESS_FILE)


def _portfolio_status(folder: Path, members: Sequence[SweepStatus]) -> SweepStatus:
    """Of the portfolio in ``folder``, whose members are as ``members``: their sums, and the best of all."""
    from explorer.browse import Front
    from explorer.merged import common_hypervolume

    progress = read_progress(folder)
    states: Counter[str] = Counter()
    for member in members:
        states.update(member.trials)
    measured = [member for member in members if member.best is not None]
    best = max((member.best for member in measured if member.best), key=lambda one: one.accuracy, default=None)
    return SweepStatus(
        name=folder.resolve().name,
        folder=folder,
        state=_state(progress),
        trials=dict(states),
        trials_planned=progress.get("trials_planned"),
        stages=progress.get("stages", {}),
        epochs_done=sum(member.epochs_done for member in members),
        epochs_planned=sum(member.epochs_planned for member in members),
        hypervolume=common_hypervolume([Front.load(member.folder) for member in measured]) if measured else None,
        best=best,
        elapsed_s=sum(member.elapsed_s for member in members),
        remaining_s=None,
        errors=tuple(error for member in members for error in member.errors),
        host=progress.get("host"),
        pid=progress.get("pid"),
        updated=progress.get("updated"),
        job=_read(folder / JOB_FILE) or None,
    )


def _read(file: Path) -> dict[str, Any]:
    try:
        raw: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return raw


def _state(progress: Mapping[str, Any]) -> str:
    state = str(progress.get("state", "killed"))
    if state != "running":
        return state
    here = progress.get("host") == socket.gethostname()
    alive = _is_alive(int(progress["pid"])) if here else time.time() - float(progress["updated"]) < _FRESH_S
    return "running" if alive else "killed"


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
