"""The front of a sweep in MLflow: hypervolume, tags of its members, artifacts, description, and its checkpoints as models."""

from __future__ import annotations

import json
import logging
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from explorer.browse import Front, FrontPoint, hypervolume_history
from explorer.errors import CheckpointMissing, NotFound
from explorer.picks import fill_pick
from explorer.records import STUDY_FILE, TABLE_FILES, read_sweep
from explorer.report.files import write_front_files
from explorer.report.trade_offs import sentences
from explorer.search.reader import read_study
from explorer.tracking.models import POINT_ID, Described, log_model
from explorer.tracking.runs import CHECKPOINT, NOTE, ON_FRONT, SWEEP, SWEEP_ID, Number, Runs

if TYPE_CHECKING:
    from explorer.spec import SearchSpace

logger = logging.getLogger(__name__)

_REFRESH_S = 10.0  # at most this often, and for at most a twentieth of the time, is the front rebuilt
_ATTACH_S = 60.0  # the page is 5 MB: attached more seldom, and always at the end
HYPERVOLUME = "hypervolume"
FRONT_ACCURACY, FRONT_GFLOPS = "front.accuracy", "front.gflops"


class FrontView:
    """Keeps what MLflow shows of the front up to date. ``stale``: something ended since it was last looked at."""

    def __init__(self, space: SearchSpace, runs: Runs) -> None:
        self._space = space
        self._runs = runs
        self.stale = False
        self._refreshed_at = self._attached_at = -1e9
        self._refresh_took_s = 0.0
        self._volumes_written: set[int] | None = None  # steps; None: not asked yet

    def refresh(self, *, final: bool = False) -> None:
        """Bring everything up to date, unless that was done a moment ago. ``final``: in any case, and log the models."""
        now = time.monotonic()
        due = now - self._refreshed_at > max(_REFRESH_S, 20 * self._refresh_took_s)
        if not final and not (self.stale and due):
            return
        try:
            record = read_sweep(self._space.folder)
        except NotFound:  # nothing was asked of the study yet
            return
        self.stale = False
        self._refreshed_at = now
        front = Front.of(record)
        if front.points or front.baselines:
            self._write_hypervolume(front, final=final)
            self._write_members(front)
            if final or now - self._attached_at > _ATTACH_S:
                self._attach(front)
                self._runs.write(self._runs.parent(), tags={NOTE: note(self._space, front)})
                self._attached_at = now
            if final:
                self._log_models(front)
        self._refresh_took_s = time.monotonic() - now

    def _write_hypervolume(self, front: Front, *, final: bool) -> None:
        """One value for each ended trial, in the order in which they ended; the step is their number.

        Values are comparable only from one reference point, so they wait for the baselines that set it.
        """
        if not final and self._space.baselines and not front.has_unimodal:
            return
        parent = self._runs.parent()
        if self._volumes_written is None:
            known = HYPERVOLUME in parent.metrics
            self._volumes_written = self._runs.steps(parent, HYPERVOLUME) if known else set()
        ended = [r for r in read_study(self._space.folder / STUDY_FILE) if r.ended is not None]
        ended.sort(key=lambda record: (record.ended or 0.0, record.number))
        volumes = hypervolume_history(front, [record.number for record in ended])
        numbers = [
            Number(name=HYPERVOLUME, value=volume, step=step, time_ms=int((record.ended or 0.0) * 1000))
            for step, (record, volume) in enumerate(zip(ended, volumes, strict=True), 1)
            if step not in self._volumes_written
        ]
        size = Number(name="front.points", value=len(front.points), step=len(ended), time_ms=int(time.time() * 1000))
        self._runs.write(parent, numbers=[*numbers, size])
        self._volumes_written.update(number.step for number in numbers)

    def _write_members(self, front: Front) -> None:
        members = {point.trial for point in front.points if point.trial is not None}
        for (role, identifier), state in self._runs.children().items():
            if role != "trial":
                continue
            if int(identifier) in members:
                self._runs.write(state, tags={ON_FRONT: "yes"})
            elif ON_FRONT in state.tags:
                self._runs.write(state, tags={ON_FRONT: "no"})

    def _attach(self, front: Front) -> None:
        with tempfile.TemporaryDirectory(prefix="front-") as folder:
            tables = [self._space.folder / name for name in TABLE_FILES]
            files = [*write_front_files(front, Path(folder)), *(file for file in tables if file.is_file())]
            self._runs.attach(self._runs.parent(), files)

    # --- models -------------------------------------------------------------------------------------------------------

    def _log_models(self, front: Front) -> None:
        """Each checkpoint of the front once, at the thresholds of its most accurate point; dominated ones never.

        One that a later front no longer holds keeps its files and says ``front = no``.
        """
        best: dict[str, FrontPoint] = {}
        for point in front.points:  # cheapest first, so the most accurate of a checkpoint comes last
            best[f"{point.point.key}/{point.point.epoch}"] = point
        known = self._runs.models()
        for checkpoint, model_id in known.items():
            self._runs.tag_model(model_id, {ON_FRONT: "yes" if checkpoint in best else "no"})
        for checkpoint, point in best.items():
            if checkpoint not in known:
                try:
                    self._log_model(front, checkpoint, point)
                except CheckpointMissing as error:
                    logger.warning("no model of %s: %s", point.point_id, error)

    def _log_model(self, front: Front, checkpoint: str, point: FrontPoint) -> None:
        state = self._runs.children().get(("trial", str(point.trial)))
        of_it = [p for p in front.points if (p.point.key, p.point.epoch) == (point.point.key, point.point.epoch)]
        offered = [
            {
                "point_id": p.point_id,
                "knobs": dict(p.point.knobs),
                "accuracy": round(p.val.accuracy, 5),
                "gflops": round(p.val.gflops[front.convention], 6),
            }
            for p in of_it
        ]
        described = Described(
            name=f"trial-{point.trial}-{point.point.stage}-e{point.point.epoch}".replace(".", "_"),
            params={name: str(value) for name, value in (*point.parameters.items(), *point.point.knobs.items())},
            tags={
                CHECKPOINT: checkpoint,
                ON_FRONT: "yes",
                POINT_ID: point.point_id,
                "points": json.dumps(offered)[:4000],
                "convention": front.convention,
                SWEEP: front.name,
                SWEEP_ID: self._runs.sweep_id,
                "trial": str(point.trial),
                **({} if point.forked_from is None else {"forked_from": str(point.forked_from)}),
            },
            metrics={FRONT_ACCURACY: point.val.accuracy, FRONT_GFLOPS: point.val.gflops[front.convention]},
        )
        with tempfile.TemporaryDirectory(prefix="pick-") as folder:
            pick = Path(folder) / "pick"
            pick.mkdir()
            fill_pick(pick, front, point, described.name, wish={"convention": front.convention})
            log_model(
                self._runs.client,
                experiment_id=self._runs.experiment_id,
                run_id=None if state is None else state.run_id,
                pick=pick,
                described=described,
            )


def note(space: SearchSpace, front: Front | None = None) -> str:
    """The description of the sweep's run, in Markdown; ``front`` None = before anything is measured."""
    searched = "\n".join(f"- `{path}`: {json.dumps(dimension.raw())}" for path, dimension in space.search.items())
    found = "" if front is None else _found(front)
    return (
        # What was found comes first: MLflow shows a few lines before one asks for more.
        f"{found}Sweep `{space.name}` over the system `{space.system}` (preset `{space.preset}`).\n\n"
        "The front (accuracy against GFLOPs a video) is the artifact `front.html`: download it or open it here, it "
        "needs no network. `front.json` and `front.csv` (a table, here as well) hold the same for programs. Child runs are "
        "trials and the stages that they share; trials with the tag `front = yes` have a point on the front, and each of "
        f"its checkpoints is a model under *Models*.\n\nSearched:\n\n{searched}\n\n"
        f"Pick a checkpoint: `explorer pick {space.folder} --max-gflops BUDGET`\n"
    )


def _found(front: Front) -> str:
    said = sentences(front)
    if not said:
        return ""
    listed = "\n".join(f"- {sentence}" for sentence in said)
    return (
        f"Best trade-offs, on {front.videos} validation videos, GFLOPs = multiply-accumulates / 1e9 of the "
        f"{front.convention} convention:\n\n{listed}\n\n"
    )
