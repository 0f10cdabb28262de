"""A rehearsal of a sweep: one batch of every stage by the real path, in a folder of its own, gone when all is well.

Ray, the queue, the worker groups, the store, measuring, MLflow's record, the front and the pick are those of a sweep; epochs
and videos are few. So a wrong path, a missing package or a batch that does not fit the memory is told after a minute.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from explorer.errors import SweepFailed
from explorer.run.events import Event, Kind, Observer
from explorer.spec.fields import with_value
from explorer.spec.load import make_space
from trainables.contract import Json

if TYPE_CHECKING:
    from explorer.spec.space import SearchSpace

FOLDER = ".smoke"  # below the storage; no sweep can be called so


@dataclass(frozen=True, kw_only=True)
class Smoked:
    """A rehearsal that went well. ``stage_s``: how long each stage took, measuring included."""

    sweep: str
    seconds: float
    stage_s: Mapping[str, float]
    candidates: int
    picked: str

    def to_json(self) -> dict[str, Json]:
        """The output of ``explorer sweep --smoke --json``."""
        return {
            "ok": True,
            "sweep": self.sweep,
            "seconds": round(self.seconds, 2),
            "stage_seconds": {name: round(seconds, 2) for name, seconds in self.stage_s.items()},
            "candidates": self.candidates,
            "picked": self.picked,
        }


def smoke(space: SearchSpace, *, observers: Sequence[Observer] = (), address: str | None = None) -> Smoked:
    """Rehearse ``space``: one trial and its baselines, a batch of every stage. Nothing is left but the answer.

    ``address``: of a running Ray cluster, as for a sweep.

    Raises:
        UserError: what a sweep would refuse.
        SweepFailed: something went wrong; the folder that the message names is left to look at.
    """
    from explorer.browse import Front
    from explorer.picks import pick
    from explorer.submit import sweep

    began = time.time()
    folder = space.folder.parent / FOLDER / space.name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    listener = _Listener()
    try:
        small = rehearsed(space, folder)
        result = sweep(small, observers=[listener, *observers], address=address)
        if result.state != "finished":
            raise SweepFailed("the rehearsal was interrupted")
        if listener.failed:
            raise SweepFailed("; ".join(f"{name}: {error}" for name, error in listener.failed.items()))
        front = Front.load(small.folder)
        picked = pick(front, min_accuracy=0.0, name="smoke")
    except SweepFailed as error:
        raise SweepFailed(f"{error}; its folder is left to look at: {folder}") from error
    shutil.rmtree(folder, ignore_errors=True)
    with suppress(OSError):  # another sweep's rehearsal lies there
        folder.parent.rmdir()
    return Smoked(
        sweep=space.name,
        seconds=time.time() - began,
        stage_s=listener.stage_s,
        candidates=len(front.candidates),
        picked=picked.point.point_id,
    )


def rehearsed(space: SearchSpace, folder: Path) -> SearchSpace:
    """The search space of the rehearsal, whose every file lies below ``folder``."""
    config = space.config
    for path, value in space.load_system().rehearsal(space.base_config(), folder).items():
        config = with_value(config, path, value)
    own = {"budget": {"trials": 1}, "storage": str(folder), "tracking": f"sqlite:///{folder}/mlflow.db"}
    return make_space({**space.dump(), **config, **own}, subject=f"the rehearsal of {space.name}")


class _Listener:
    """Notes how long stages took, and which chains did not end well."""

    def __init__(self) -> None:
        self.stage_s: dict[str, float] = {}
        self.failed: dict[str, str] = {}

    def on_event(self, event: Event) -> None:
        if event.kind is Kind.STAGE_FINISHED and event.stage is not None:
            self.stage_s[event.stage] = float(event.data["seconds"])
        elif event.kind is Kind.CHAIN_FAILED:
            self.failed[event.data["name"]] = event.data["error"]
