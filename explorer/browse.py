"""A sweep's front, rebuilt from its study and its store: what ``front`` prints and ``pick`` chooses from.

Nothing here imports torch, Ray or MLflow, and nothing is written: a sweep that still runs can be browsed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from explorer.errors import NotFound, UserError
from explorer.fronts import Measured, OperatingPoint, hypervolume
from explorer.fronts import front as non_dominated
from explorer.fronts.attainment import Attainment, over_videos
from explorer.fronts.dominance import REFERENCE_MARGIN, Split
from explorer.fronts.repeats import Repeats, repeats_of
from explorer.records import StageRecord, SweepRecord, read_sweep
from explorer.times import Timed, read_times
from trainables.contract import POLICY_MODES, Convention, Json
from trainables.timing import TimeTable

METRIC = "accuracy"
PAUSED, PRUNED = "PAUSED", "PRUNED"  # states of trials whose points are partial
UNIMODAL = "unimodal"  # baselines of this name, or of names that begin with it and a dot, set the reference


@dataclass(frozen=True, kw_only=True)
class FrontPoint:
    """An operating point with where it comes from. ``name`` is a baseline's; a baseline has no trial.

    ``forked_from``: the trial whose checkpoint its trial started from, where that was not trained from scratch.
    """

    point: OperatingPoint
    system: str
    trial: int | None
    parameters: Mapping[str, Json]
    name: str | None
    result: Path  # the stage's folder in the store
    mode: str = "policy"  # in which it was measured
    forked_from: int | None = None

    @property
    def val(self) -> Measured:
        return self.point.val

    @property
    def test(self) -> Measured | None:
        return self.point.test

    @property
    def identity(self) -> Hashable:
        return self.point.identity

    @cached_property
    def point_id(self) -> str:
        """Stable and short: stage, epoch and six characters of the hash of checkpoint and knobs."""
        digest = hashlib.sha256(json.dumps(self.point.identity).encode()).hexdigest()[:6]
        return f"{self.point.stage}-e{self.point.epoch}-{digest}"

    @property
    def checkpoint(self) -> Path:
        """The weights of this very epoch."""
        return self.result / "epochs" / f"{self.point.epoch:04d}" / "weights.safetensors"

    def seconds(self, times: TimeTable) -> dict[str, float]:
        """Seconds a video by part, at its selection rates."""
        return times.seconds(self.val.rates, policy=self.mode in POLICY_MODES)

    def network_s(self, times: TimeTable) -> float:
        """Seconds of the networks a video, at its selection rates."""
        return times.network_s(self.val.rates, policy=self.mode in POLICY_MODES)

    def total_s(self, times: TimeTable) -> float:
        """Seconds a video with decoding and transforms, at its selection rates."""
        return times.total_s(self.val.rates, policy=self.mode in POLICY_MODES)

    @property
    def label(self) -> str:
        """What people call it: the baseline's name, else trial, stage and epoch (counted from 0, as everywhere)."""
        fork = "" if self.forked_from is None else f" (forked from trial {self.forked_from})"
        return self.name or f"trial {self.trial}{fork}, {self.point.stage} epoch {self.point.epoch}"

    def to_json(self, convention: Convention) -> dict[str, Json]:
        """One entry of ``points`` or ``baselines`` in the output of ``front``; GFLOPs in ``convention``."""
        named = {} if self.name is None else {"name": self.name}
        return {
            **named,
            "point_id": self.point_id,
            "system": self.system,
            "trial": self.trial,
            "forked_from": self.forked_from,
            "stage": self.point.stage,
            "epoch": self.point.epoch,
            "knobs": dict(self.point.knobs),
            "selection": self.point.selection,
            "parameters": dict(self.parameters),
            "split": "val",
            **measured_json(self.val, convention),
            "checkpoint": str(self.checkpoint),
        }


def measured_json(measured: Measured, convention: Convention) -> dict[str, Json]:
    """A measurement as scripts get it."""
    return {
        "videos": measured.videos,
        "accuracy": measured.accuracy,
        "standard_error": measured.standard_error,
        "gflops": measured.gflops[convention],
        "rates": dict(measured.rates),
    }


@dataclass(frozen=True, kw_only=True)
class Reference:
    """The corner from which the hypervolume is measured. ``source`` says where its accuracy comes from."""

    gflops: float
    accuracy: float
    split: Split
    convention: Convention
    source: str

    def to_json(self) -> dict[str, Json]:
        return {
            "gflops": self.gflops,
            "accuracy": self.accuracy,
            "split": self.split,
            "convention": self.convention,
            "source": self.source,
        }


@dataclass(frozen=True, kw_only=True)
class Front:
    """The front of a sweep in one cost convention, with all that it was chosen from.

    ``candidates``: every point of every trial, in order of trial, stage and epoch. ``baselines``: named points beside
    the front. ``all_on_gflops``: the plain network of the same parts, no policy; ``all_on_rates``: what it uses.
    """

    folder: Path
    name: str
    system: str
    convention: Convention
    candidates: tuple[FrontPoint, ...]
    baselines: tuple[FrontPoint, ...]
    all_on_gflops: Mapping[Convention, float]
    chance: float
    trials: int
    record: SweepRecord
    all_on_rates: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def load(cls, folder: Path | str, *, convention: Convention = "full") -> Self:
        """Read the sweep in ``folder``.

        Raises:
            NotFound: there is no sweep there.
        """
        return cls.of(read_sweep(Path(folder)), convention=convention)

    @classmethod
    def of(cls, record: SweepRecord, *, convention: Convention = "full") -> Self:
        """The front of a sweep that has been read."""
        candidates = tuple(_trial_points(record))
        stages = record.measured_stages()
        costs = next((stage.cost for stage in stages if stage.baseline is None), stages[0].cost if stages else None)
        return cls(
            folder=record.folder,
            name=record.name,
            system=record.system,
            convention=convention,
            candidates=candidates,
            baselines=tuple(_baseline_points(record)),
            all_on_gflops={} if costs is None else {c: costs.all_on_gmacs(c) for c in costs.per_segment_macs},
            chance=1 / max(1, len(stages[0].classes)) if stages else 0.0,
            trials=len(record.trials),
            record=record,
            all_on_rates={} if costs is None else costs.all_on_rates,
        )

    @cached_property
    def points(self) -> tuple[FrontPoint, ...]:
        """The candidates that no other one dominates on validation and whose weights are kept, cheapest first."""
        return tuple(non_dominated(self.deployable, convention=self.convention))

    @cached_property
    def deployable(self) -> tuple[FrontPoint, ...]:
        """The candidates whose weights are kept."""
        # Asked once an epoch, not once a point: building 15,000 paths takes half a second.
        epochs = {(c.point.key, c.point.epoch): c for c in self.candidates}
        kept = {epoch for epoch, candidate in epochs.items() if candidate.checkpoint.is_file()}
        return tuple(c for c in self.candidates if (c.point.key, c.point.epoch) in kept)

    @cached_property
    def times(self) -> Timed | None:
        """What a video takes, as last measured for this sweep; None where it was not."""
        return read_times(self.folder)

    @cached_property
    def _repeated(self) -> Mapping[int, Mapping[int, Sequence[FrontPoint]]]:
        """Trial -> further seed -> its points whose weights are kept."""
        found: dict[int, dict[int, Sequence[FrontPoint]]] = {}
        for name, (trial, seed) in self.record.repeats.items():
            parameters = next((t.parameters for t in self.record.trials if t.number == trial), {})
            points = [
                point
                for stage in self.record.stages_of(self.record.baselines.get(name, {}))
                if stage.baseline is None
                for point in _points(stage, self.record, trial=trial, parameters=parameters, name=None)
                if point.test is not None
            ]
            if points:
                found.setdefault(trial, {})[seed] = points
        return found

    def repeats(self, point: FrontPoint, split: Split = "val") -> Repeats | None:
        """What ``point`` is worth with further seeds of its trial; None where there are none."""
        by_seed = {} if point.trial is None else self._repeated.get(point.trial, {})
        return repeats_of(point, by_seed, convention=self.convention, split=split)

    @property
    def attainment(self) -> Attainment | None:
        """Which trade-offs the front attains in how many draws of the validation videos; None while it has no point."""
        return over_videos(self.points, convention=self.convention)

    @property
    def videos(self) -> int:
        """Validation videos that each accuracy is over; 0 where nothing was measured."""
        return next((p.val.videos for p in (*self.points, *self.baselines)), 0)

    @property
    def _unimodal(self) -> list[FrontPoint]:
        return [b for b in self.baselines if b.name == UNIMODAL or str(b.name).startswith(f"{UNIMODAL}.")]

    @property
    def has_unimodal(self) -> bool:
        """Whether a unimodal baseline sets the reference."""
        return bool(self._unimodal)

    @property
    def reference(self) -> Reference | None:
        """Everything on at the best unimodal baseline's accuracy less the margin; ``None`` before any measurement.

        Valued on test as soon as all of the front and the unimodal baselines have been measured there, else on
        validation. Without a unimodal baseline its accuracy is that of guessing.
        """
        if not self.all_on_gflops:
            return None
        on_test = bool(self.points) and all(p.test is not None for p in (*self.points, *self._unimodal))
        return self.reference_on("test" if on_test else "val")

    def reference_on(self, split: Split) -> Reference | None:
        """:attr:`reference`, its accuracy on ``split``."""
        if not self.all_on_gflops:
            return None
        values = [m.accuracy for b in self._unimodal if (m := b.test if split == "test" else b.val) is not None]
        return Reference(
            gflops=self.all_on_gflops[self.convention],
            accuracy=max(values) - REFERENCE_MARGIN if values else self.chance,
            split=split,
            convention=self.convention,
            source=f"best unimodal baseline - {REFERENCE_MARGIN:g}" if values else "chance",
        )

    @property
    def hypervolume(self) -> float:
        """Of the front, chosen on validation and valued on the reference's split."""
        reference = self.reference
        if reference is None:
            return 0.0
        return hypervolume(
            self.points,
            all_on_gflops=reference.gflops,
            reference_accuracy=reference.accuracy,
            convention=self.convention,
            split=reference.split,
        )

    def find(self, point_id: str) -> FrontPoint:
        """The point called ``point_id``, among all candidates and baselines; a baseline's name and the hash do as well.

        Raises:
            NotFound: there is no such point.
            UserError: there is more than one.
        """
        everything = {p.point_id: p for p in (*self.candidates, *self.baselines)}
        found = [
            p for p in everything.values() if point_id in (p.point_id, p.name) or p.point_id.endswith(f"-{point_id}")
        ]
        if len(found) == 1:
            return found[0]
        if found:
            names = ", ".join(p.point_id for p in found)
            raise UserError(f"{point_id!r} names {len(found)} points: {names}; give one of these")
        known = ", ".join(p.point_id for p in self.points[:8]) or "none yet"
        raise NotFound(f"sweep {self.name} has no point {point_id!r}; points of its front: {known}")

    def _repeats_json(self, point: FrontPoint) -> dict[str, Json]:
        found = {split: self.repeats(point, split) for split in ("val", "test")}
        told = {split: repeats.to_json() for split, repeats in found.items() if repeats is not None}
        return {"repeats": told} if told else {}

    def to_json(self) -> dict[str, Json]:
        """The output of ``explorer front --json``."""
        reference, attainment = self.reference, self.attainment
        return {
            "sweep": self.name,
            "metric": METRIC,
            "convention": self.convention,
            "split": "val",
            "videos": self.videos,
            "trials": self.trials,
            "candidates": len(self.candidates),
            "hypervolume": self.hypervolume,
            "reference": None if reference is None else reference.to_json(),
            "points": [{**p.to_json(self.convention), **self._repeats_json(p)} for p in self.points],
            "baselines": [p.to_json(self.convention) for p in self.baselines],
            "attainment": None if attainment is None else attainment.to_json(),
        }


def hypervolume_history(front: Front, order: Sequence[int]) -> list[float]:
    """The hypervolume after each of the trials ``order``, all from the reference of ``front``."""
    reference = front.reference
    if reference is None:
        return [0.0] * len(order)
    by_trial: dict[int | None, list[FrontPoint]] = {}
    for point in front.deployable:
        by_trial.setdefault(point.trial, []).append(point)
    members: list[FrontPoint] = []
    volumes = []
    for number in order:
        members = non_dominated([*members, *by_trial.get(number, [])], convention=front.convention)
        volumes.append(
            hypervolume(
                [p for p in members if reference.split == "val" or p.test is not None],
                all_on_gflops=reference.gflops,
                reference_accuracy=reference.accuracy,
                convention=front.convention,
                split=reference.split,
            )
        )
    return volumes


def _trial_points(record: SweepRecord) -> Iterator[FrontPoint]:
    """Points of the trials' own stages; a stage that several trials share counts for the first of them.

    A trial that was stopped early, or waits at a rung, has none: what is partial is not put beside what is whole.
    """
    seen: set[str] = set()
    for trial in sorted(record.trials, key=lambda t: t.number):
        if trial.state in (PAUSED, PRUNED):
            continue
        for stage in record.stages_of(trial.chain):
            if stage.key in seen or stage.baseline is not None:
                continue
            seen.add(stage.key)
            for point in _points(stage, record, trial=trial.number, parameters=trial.parameters, name=None):
                yield point if trial.forked_from is None else replace(point, forked_from=trial.forked_from)


def _baseline_points(record: SweepRecord) -> Iterator[FrontPoint]:
    """One point for each named baseline: its last measured epoch. The sweep's own baselines come before the trials'."""
    named = [chain for name, chain in record.baselines.items() if name not in record.repeats]
    chains = [*named, *(t.chain for t in sorted(record.trials, key=lambda t: t.number))]
    seen: set[str] = set()
    for chain in chains:
        for stage in record.stages_of(chain):
            if stage.baseline is None or stage.baseline in seen:
                continue
            points = list(_points(stage, record, trial=None, parameters={}, name=stage.baseline))
            if points:
                seen.add(stage.baseline)
                yield points[-1]


def _points(
    stage: StageRecord, record: SweepRecord, *, trial: int | None, parameters: Mapping[str, Any], name: str | None
) -> Iterable[FrontPoint]:
    for point in stage.points:
        yield FrontPoint(
            point=point,
            system=record.system,
            trial=trial,
            parameters=parameters,
            name=name,
            result=stage.folder,
            mode=stage.mode,
        )
