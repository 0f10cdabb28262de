"""The real problem: AdaMML's small preset on AV-digits, trained once into a table that every searcher replays.

The table holds 48 independent trials (3 seeds x 16) and 6 conditioned runs. A proposal gets the nearest
configuration (each parameter on its own scale) of its kind that the sweep has not had: a surrogate of 48 points, the other
seeds' trials included. One trial runs
at a time. Points are chosen on validation and valued on test.
"""

from __future__ import annotations

import json
import math
import statistics
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import optuna

from benchmarks.search_efficiency.clock import Moment
from benchmarks.search_efficiency.measures import passes_to, ratio, spread
from explorer.fronts import OperatingPoint, front, hypervolume
from explorer.fronts.points import Measured
from explorer.search.book import REACHED, StudyBook
from explorer.search.distributions import to_distributions
from explorer.search.focus import Reached, focus
from explorer.search.search import Search
from explorer.spec.dimension import Choice, Dimension, Log, Uniform, Value
from explorer.spec.draws import random_point
from trainables.contract import Conditioning

TABLE = Path(__file__).with_name("tables") / "av_digits.json"
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
Params = Mapping[str, Value]


@dataclass(frozen=True, kw_only=True)
class Row:
    """A training run. ``shared``: passes of the unimodal nets and the warm-up, ``own``: of all after them."""

    seed: int
    conditioned: bool
    params: Mapping[str, float]
    shared: int
    own: int
    points: Sequence[OperatingPoint]

    @property
    def end(self) -> OperatingPoint:
        """The last checkpoint at its default setting: what a trial without operating points reports."""
        return next(p for p in self.points if p.stage == "finetune" and p.selection == "default")


@cache
def table() -> tuple[Mapping[str, Any], tuple[Row, ...]]:
    """What the table says about itself, and its runs."""
    raw = json.loads(TABLE.read_text(encoding="utf-8"))
    return raw["about"], tuple(_row(number, row) for number, row in enumerate(raw["runs"]))


def _row(number: int, raw: Mapping[str, Any]) -> Row:
    points = []
    for stage, epoch, default, knobs, *values in raw["points"]:
        val, test = (
            Measured(accuracy=values[i], gflops={"full": values[i + 1]}, rates={}, correct="", videos=videos)
            for i, videos in ((0, 200), (2, 120))
        )
        points.append(
            OperatingPoint(
                key=str(number),
                stage={"j": "joint", "f": "finetune"}[stage],
                epoch=epoch,
                knobs=knobs,
                selection="default" if default else "budget",
                budget_gmacs=None,
                val=val,
                test=test,
            )
        )
    return Row(
        seed=raw["seed"],
        conditioned=raw["conditioned"],
        params=raw["params"],
        shared=raw["shared_passes"],
        own=raw["passes"],
        points=points,
    )


class Asker(Protocol):
    """Proposes parameters, and is told which run they got."""

    def ask(self) -> tuple[int, Params]: ...

    def tell(self, number: int, row: Row) -> None: ...


class Random:
    def __init__(self, seed: int, folder: Path) -> None:
        self._seed, self._number = seed, -1

    def ask(self) -> tuple[int, Params]:
        self._number += 1
        return self._number, random_point(SEARCH, (self._seed, 77, self._number))

    def tell(self, number: int, row: Row) -> None:
        """Nothing is learnt."""


class Raw:
    """Optuna's own sampler, asked and told as Ray's OptunaSearch does."""

    def __init__(self, seed: int, sampler: optuna.samplers.BaseSampler) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._study = optuna.create_study(directions=["maximize", "minimize"], sampler=sampler)

    def ask(self) -> tuple[int, Params]:
        trial = self._study.ask(to_distributions(SEARCH))
        return trial.number, trial.params

    def tell(self, number: int, row: Row) -> None:
        self._study.tell(number, [row.end.val.accuracy, row.end.val.gflops["full"]])


class Ours:
    """The study of a sweep; ``conditioned``: with the rule of ``start_with: conditioned``."""

    def __init__(self, seed: int, folder: Path, *, conditioned: bool) -> None:
        more: Mapping[str, Dimension] = {KIND.field: Choice((KIND.off, KIND.on))} if conditioned else {}
        first = {**DEFAULT, KIND.field: KIND.on} if conditioned else DEFAULT
        search = Search(
            name="benchmark",
            search={**SEARCH, **more},
            objectives=OBJECTIVES,
            seed=seed,
            first_points=[first],
            canonical=_canonical,
            focus=_focus if conditioned else lambda complete, running: {},
        )
        self._book = StudyBook(folder / "study.journal", search)

    def ask(self) -> tuple[int, Params]:
        asked = self._book.ask()
        assert asked is not None
        return asked.number, asked.params

    def tell(self, number: int, row: Row) -> None:
        best = front(row.points)
        reached = {
            "accuracy_P": [p.val.accuracy for p in best],
            "gflops_P": [p.val.gflops["full"] for p in best],
            "knobs_P": [dict(p.knobs) for p in best],
        }
        values = {"accuracy": row.end.val.accuracy, "gflops": row.end.val.gflops["full"]}
        self._book.tell(number, values, attrs={REACHED: reached})


def _canonical(params: Params) -> Params:
    if params.get(KIND.field) != KIND.on:
        return params
    return {**params, **{path: DEFAULT[path] for path in KIND.covers}}


def _focus(complete: Sequence[optuna.trial.FrozenTrial], running: Sequence[Params]) -> Params:
    if sum(trial.params[KIND.field] == KIND.on for trial in complete) == sum(row.conditioned for row in table()[1]):
        return {KIND.field: KIND.off}  # the table has no other
    return focus(KIND, SEARCH, [Reached(params=t.params, **t.user_attrs[REACHED]) for t in complete], running)


@dataclass(frozen=True, kw_only=True)
class Method:
    """``thresholds``: a trial leaves every operating point, not only its end at the default setting. ``shared``: unimodal nets and
    warm-up are trained once."""

    asker: Callable[[int, Path], Asker]
    thresholds: bool = False
    shared: bool = False


def _tpe(seed: int, folder: Path) -> Asker:
    return Raw(seed, optuna.samplers.TPESampler(seed=seed))


def _nsga2(seed: int, folder: Path) -> Asker:
    return Raw(seed, optuna.samplers.NSGAIISampler(seed=seed, population_size=12))


def _independent(seed: int, folder: Path) -> Asker:
    return Ours(seed, folder, conditioned=False)


def _conditioned(seed: int, folder: Path) -> Asker:
    return Ours(seed, folder, conditioned=True)


OURS = "ours"
METHODS: Mapping[str, Method] = {
    "random": Method(asker=Random),
    "tune_optuna": Method(asker=_tpe),
    "optuna_nsga2": Method(asker=_nsga2),
    "random+thresholds": Method(asker=Random, thresholds=True),
    "tune_optuna+thresholds": Method(asker=_tpe, thresholds=True),
    "optuna_nsga2+thresholds": Method(asker=_nsga2, thresholds=True),
    "tune_optuna+sharing": Method(asker=_tpe, shared=True),
    "tune_optuna+thresholds+sharing": Method(asker=_tpe, thresholds=True, shared=True),
    OURS: Method(asker=_conditioned, thresholds=True, shared=True),
    "ours-conditioned": Method(asker=_independent, thresholds=True, shared=True),
    "ours-thresholds": Method(asker=_conditioned, shared=True),
    "ours-sharing": Method(asker=_conditioned, thresholds=True),
}


def replay(method: Method, *, seed: int, trials: int) -> list[Moment]:
    """``trials`` trials, one at a time: after each, passes so far and the hypervolume."""
    about, rows = table()
    left, members, history = list(rows), [], []
    passes = 0
    with tempfile.TemporaryDirectory() as folder:
        asker = method.asker(seed, Path(folder))
        for trial in range(trials):
            number, params = asker.ask()
            row = _nearest(left, params, seed)
            left.remove(row)
            asker.tell(number, row)
            passes += row.own + (row.shared if trial == 0 or not method.shared else 0)
            members = front([*members, *(row.points if method.thresholds else [row.end])])
            volume = hypervolume(
                members,
                all_on_gflops=about["all_on_gflops"],
                reference_accuracy=about["reference_accuracy"],
                split="test",
            )
            history.append(Moment(time=float(passes), passes=passes, hypervolume=volume))
    return history


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


def measure(methods: Sequence[str], seeds: int, trials: int) -> dict[str, Any]:
    """Of each method: hypervolume in the end over the best of all runs of that seed; passes; of each competitor: ratios."""
    runs = {name: [replay(METHODS[name], seed=seed, trials=trials) for seed in range(seeds)] for name in methods}
    best = [max(of[seed][-1].hypervolume for of in runs.values()) for seed in range(seeds)]
    found: dict[str, Any] = {}
    for name in methods:
        row: dict[str, Any] = {
            "hypervolume": spread([run[-1].hypervolume / top for run, top in zip(runs[name], best, strict=True)], low=True),
            "first_trial": spread([run[0].hypervolume / top for run, top in zip(runs[name], best, strict=True)], low=True),
            "passes": statistics.median(run[-1].passes for run in runs[name]),
        }
        if OURS in runs and name != OURS:
            pairs = list(zip(runs[OURS], runs[name], strict=True))
            reached = [
                passes_to(ours, theirs[-1].hypervolume) / theirs[-1].passes
                for ours, theirs in pairs
                if ours[-1].hypervolume >= theirs[-1].hypervolume - 1e-12
            ]
            row["passes_ratio"] = spread([ratio(ours, theirs) for ours, theirs in pairs])
            # To what the other has in the end, over all of its passes; of the seeds in which ours gets there.
            row["to_their_end"] = {**(spread(reached) if reached else {}), "reached": len(reached), "of": len(pairs)}
        found[name] = row
    return found


def text(told: Mapping[str, Any]) -> str:
    lines = [
        f"{told['trials']} trials, {told['seeds']} seeds; median (quartiles; worst)",
        f"{'':<32}{'passes':>7}  {'hypervolume in the end':<29}  {'after one trial':<29}  "
        f"{'ours / its to what both reach':<29}  ours / its to its end",
    ]
    for name, row in told["methods"].items():
        cells = f"{name:<32}{row['passes']:>7g}  {_cell(row['hypervolume']):<29}  {_cell(row['first_trial']):<29}"
        if "passes_ratio" in row:
            end = row["to_their_end"]
            reached = f"{end['reached']} of {end['of']}"
            cells += f"  {_cell(row['passes_ratio']):<29}  " + (f"{_cell(end)}, " if "median" in end else "") + reached
        lines.append(cells)
    return "\n".join(lines)


def _cell(found: Mapping[str, float]) -> str:
    return f"{found['median']:.3f} ({found['q1']:.3f}-{found['q3']:.3f}; {found['worst']:.3f})"
