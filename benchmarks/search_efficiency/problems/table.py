"""The real problem: AdaMML's small preset on real videos, trained once into a table that every searcher replays.

A table holds independent trials and conditioned runs (of AV-digits 48, from 3 seeds, and 6). A proposal gets the nearest
configuration (each parameter on its own scale) of its kind that the sweep has not had: a surrogate of as many points as the table
has rows, the other seeds' trials included. Points are chosen on validation and valued on test.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from benchmarks.search_efficiency.problem import Budget, Params, Stand
from explorer.fronts import OperatingPoint, front, hypervolume
from explorer.fronts.points import Measured
from explorer.spec.dimension import Dimension, Log, Uniform, Value
from explorer.spec.rungs import Rung
from trainables.contract import Conditioning

TABLE = Path(__file__).parents[1] / "tables" / "av_digits.json"
SEARCH: Mapping[str, Dimension] = {
    "lambda.rgb": Log(0.5, 64),
    "lambda.audio": Log(0.125, 16),
    "temperature.initial": Uniform(1, 10),
    "temperature.anneal.decay": Uniform(0.9, 1),
}
OBJECTIVES = {"accuracy": "max", "gflops": "min"}
KIND = Conditioning(
    field="policy.conditioning", on="lambda", off="none", settings={}, covers=("lambda.rgb", "lambda.audio")
)
DEFAULT: Mapping[str, Value] = {
    "lambda.rgb": 1.0,
    "lambda.audio": 0.25,
    "temperature.initial": 5.0,
    "temperature.anneal.decay": 0.965,
}


@dataclass(frozen=True, kw_only=True)
class Row:
    """A training run. ``shared``: passes of the unimodal nets and the warm-up, ``own``: of all after them.

    ``points``: every operating point that was valued on test. ``default_E``: that of the default setting after each joint epoch.
    """

    seed: int
    conditioned: bool
    params: Mapping[str, float]
    shared: int
    own: int
    points: Sequence[OperatingPoint]
    default_E: Sequence[OperatingPoint]

    # --- a course -----------------------------------------------------------------------------------------------------

    epoch_passes = 2

    @property
    def epochs(self) -> int:
        return len(self.default_E)

    @property
    def finish(self) -> int:
        return self.own - self.epochs * self.epoch_passes

    def at(self, epoch: int) -> Stand:
        default = self.default_E[epoch - 1]
        others = [p for p in self.points if p.stage == "joint" and p.epoch == epoch - 1 and p.selection != "default"]
        return _stand(default, others)

    def end(self) -> Stand:
        tuned = [p for p in self.points if p.stage == "finetune"]
        default = next(p for p in tuned if p.selection == "default")
        return _stand(default, [p for p in tuned if p is not default])


def _stand(default: OperatingPoint, others: Sequence[OperatingPoint]) -> Stand:
    values = default.val.accuracy, default.val.gflops["full"]
    return Stand(values=values, rates=default.val.rates, points=[default, *others])


@dataclass(frozen=True, kw_only=True)
class Table:
    about: Mapping[str, Any]
    rows: Sequence[Row]


@cache
def table(path: Path = TABLE) -> Table:
    raw = json.loads(path.read_text(encoding="utf-8"))
    videos = raw["about"]["videos"]
    return Table(about=raw["about"], rows=[_row(number, row, videos) for number, row in enumerate(raw["runs"])])


def _row(number: int, raw: Mapping[str, Any], videos: Mapping[str, int]) -> Row:
    stages = {"j": "joint", "f": "finetune"}
    points = [
        _point(number, stages[stage], epoch, knobs, values, videos, default=bool(default))
        for stage, epoch, default, knobs, *values in raw["points"]
    ]
    knobs = next(p.knobs for p in points if p.selection == "default")
    default_E = [
        _point(number, "joint", epoch, knobs, values, videos, default=True, rates=dict(zip("ab", rates, strict=True)))
        for epoch, (*values, rates) in enumerate(raw["epochs"])
    ]
    return Row(
        seed=raw["seed"],
        conditioned=raw["conditioned"],
        params=raw["params"],
        shared=raw["shared_passes"],
        own=raw["passes"],
        points=points,
        default_E=default_E,
    )


def _point(
    number: int,
    stage: str,
    epoch: int,
    knobs: Mapping[str, float],
    values: Sequence[float | None],
    videos: Mapping[str, int],
    *,
    default: bool,
    rates: Mapping[str, float] | None = None,
) -> OperatingPoint:
    """``values``: accuracy and GFLOPs on validation, then on test; where those are None, validation's stand for them."""
    values = [v if v is not None else values[place % 2] for place, v in enumerate(values)]
    val, test = (
        Measured(
            accuracy=values[i], gflops={"full": values[i + 1]}, rates=rates or {}, correct="", videos=videos[split]
        )
        for i, split in ((0, "val"), (2, "test"))
    )
    return OperatingPoint(
        key=str(number),
        stage=stage,
        epoch=epoch,
        knobs=knobs,
        selection="default" if default else "budget",
        budget_gmacs=None,
        val=val,
        test=test,
    )


class TableProblem:
    """``left``: the rows that the sweep has not had."""

    search = SEARCH
    objectives = OBJECTIVES
    rungs = (Rung(stage="joint", epochs=2), Rung(stage="joint", epochs=6), Rung(stage="joint"))
    logarithmic = (False, True)
    conditioning: Conditioning | None = KIND
    default: Params | None = DEFAULT
    epochs_for_competitors = True  # they gain by them
    best = None

    def __init__(self, path: Path = TABLE, *, seed: int = 0) -> None:
        self._path, self._seed = path, seed
        self._about, self._left = table(path).about, list(table(path).rows)
        self.conditioned_at_most = sum(row.conditioned for row in self._left)

    def budget(self, trials: int) -> Budget:
        own = [row for row in table(self._path).rows if not row.conditioned]
        return Budget(trials=trials, own=own[0].own, shared=own[0].shared, at_most=len(own))

    def begin(self, seed: int) -> TableProblem:
        return TableProblem(self._path, seed=seed)

    def course(self, params: Params) -> Row:
        row = _nearest(self._left, params, self._seed)
        self._left.remove(row)
        return row

    def front(self, points: Sequence[OperatingPoint]) -> list[OperatingPoint]:
        return front(points)

    def hypervolume(self, points: Sequence[OperatingPoint]) -> float:
        return hypervolume(
            points,
            all_on_gflops=self._about["all_on_gflops"],
            reference_accuracy=self._about["reference_accuracy"],
            split="test",
        )


def _nearest(left: Sequence[Row], params: Params, seed: int) -> Row:
    conditioned = params.get(KIND.field) == KIND.on

    def distance(row: Row) -> tuple[float, int]:
        names = [name for name in SEARCH if name in row.params]
        squares = [(_place(name, params[name]) - _place(name, row.params[name])) ** 2 for name in names]
        return sum(squares), (row.seed - seed) % 3

    return min((row for row in left if row.conditioned == conditioned), key=distance)


def _place(name: str, value: Value) -> float:
    """In [0, 1]: where a value lies in its dimension."""
    dimension = SEARCH[name]
    assert isinstance(dimension, Log | Uniform) and isinstance(value, int | float)
    low, high, at = float(dimension.low), float(dimension.high), float(value)
    if isinstance(dimension, Log):
        low, high, at = math.log(low), math.log(high), math.log(at)
    return (at - low) / (high - low)
