"""Operating points of a checkpoint: which settings of its knobs are worth offering, and what each is worth.

Two kinds of accuracy are reported, both free of the optimism of choosing on the videos one reports on:

* the *default* setting was chosen by nobody: its accuracy is over all validation videos;
* a *budget* point is chosen for its accuracy, so every video is judged by the thresholds that the other half of the
  validation videos chose (two-fold cross-fitting). The deployable knobs are those chosen on all of validation.

Axes: ``B`` video, ``P`` setting of the knobs, ``L`` budget level.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, Self

import numpy as np

from explorer.fronts.halves import halves
from trainables.contract import CONVENTIONS, Convention, CostTable, Knob, Replay, Scored
from trainables.errors import StageFailed

SETTINGS_LIMIT = 2000  # settings scored for a checkpoint: 2,000 x 1,500 videos take about a second
CHEAPEST_SHARE = 1e-3  # the ladder of budgets starts at the cheapest setting, or at this share of everything on


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One operating point on the videos of one split.

    ``accuracy``: share of videos labelled right. ``gflops``: mean GMACs a video, by convention, the policy included.
    ``rates``: for each site, mean share of its units used. ``correct``: bit b (big-endian, hexadecimal) says whether
    video b was labelled right, so that two points can be compared video by video. ``videos``: how many there are.

    Raises ``ValueError`` where a number is not finite: a NaN never reaches a front.
    """

    accuracy: float
    gflops: Mapping[Convention, float]
    rates: Mapping[str, float]
    correct: str
    videos: int

    def __post_init__(self) -> None:
        named = [("accuracy", self.accuracy), *((f"gflops.{c}", g) for c, g in self.gflops.items())]
        named += [(f"rate of {site}", rate) for site, rate in self.rates.items()]
        if bad := [f"{name}={value}" for name, value in named if not math.isfinite(value)]:
            raise ValueError(f"a measurement must be finite; got {', '.join(bad)}")

    @property
    def standard_error(self) -> float:
        """Binomial standard error of the accuracy, from the sampling of videos alone."""
        return math.sqrt(self.accuracy * (1 - self.accuracy) / self.videos)

    def correct_B(self) -> np.ndarray:
        """(B,) bool: which videos were labelled right."""
        bits = np.unpackbits(np.frombuffer(bytes.fromhex(self.correct), dtype=np.uint8), count=self.videos)
        return bits.astype(bool)

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> Self:
        """The inverse of ``dataclasses.asdict``."""
        return cls(**{**raw, "gflops": dict(raw["gflops"]), "rates": dict(raw["rates"])})


@dataclass(frozen=True, kw_only=True)
class OperatingPoint:
    """A checkpoint (``key``, ``epoch``) and a setting of its ``knobs``, with what was measured.

    ``selection``: ``default`` (the knobs' defaults) or ``budget`` (the best setting within ``budget_gmacs``).
    ``val`` is cross-fitted for ``budget`` points; ``test`` is valued with ``knobs`` themselves, once.
    """

    key: str
    stage: str
    epoch: int
    knobs: Mapping[str, float]
    selection: Literal["default", "budget"]
    budget_gmacs: float | None
    val: Measured
    test: Measured | None

    @property
    def identity(self) -> tuple[str, int, tuple[tuple[str, float], ...]]:
        """What makes it this point: two points of equal identity are one."""
        return self.key, self.epoch, tuple(sorted(self.knobs.items()))

    def to_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return asdict(self)

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> Self:
        """The inverse of :meth:`to_dict`."""
        test = raw["test"]
        return cls(
            **{
                **raw,
                "knobs": dict(raw["knobs"]),
                "val": Measured.from_dict(raw["val"]),
                "test": None if test is None else Measured.from_dict(test),
            }
        )


def operating_points(
    val: Replay,
    test: Replay | None,
    knobs: Sequence[Knob],
    *,
    cost: CostTable,
    key: str = "",
    stage: str = "",
    epoch: int = 0,
    convention: Convention = "full",
    levels: int = 12,
    seed: int = 0,
) -> list[OperatingPoint]:
    """The default point, then the best point for each of ``levels`` budgets, cheapest first; no two with equal knobs.

    Budgets are log-spaced from the cheapest setting's cost to everything on, the policy included, in ``convention``.
    Where two budgets end at the same deployable knobs the lower one stays, and the default stays before either:
    keeping the more accurate of two estimates would be choosing on the videos that are reported on.

    ``seed`` draws the halves; give every checkpoint of a sweep the same one, so that they are compared on the same
    halves. Without a knob that a replay can set, there is the default point alone. Raises :class:`StageFailed` where
    a cost is not finite.
    """
    settings = candidate_settings([knob for knob in knobs if knob.by == "replay"])
    scored = val.score(settings)
    _check_finite(scored, stage or key)
    first_B = halves(np.asarray(val.label_B), seed)
    choices = {0: _Choice(deployed=0, judge_B=np.zeros(len(first_B), dtype=int), budget_gmacs=None)}
    for budget in _budgets(scored, cost, convention, levels) if len(settings) > 1 else ():
        choice = _choose(scored, first_B, float(budget), convention)
        choices.setdefault(choice.deployed, choice)

    on_test = None if test is None else test.score([settings[p] for p in choices])
    if on_test is not None:
        _check_finite(on_test, stage or key)
    return [
        OperatingPoint(
            key=key,
            stage=stage,
            epoch=epoch,
            knobs=settings[choice.deployed],
            selection="default" if choice.budget_gmacs is None else "budget",
            budget_gmacs=choice.budget_gmacs,
            val=measure(scored, choice.judge_B),
            test=None if on_test is None else measure(on_test, np.full(on_test.correct_PB.shape[1], row)),
        )
        for row, choice in enumerate(choices.values())
    ]


def candidate_settings(knobs: Sequence[Knob], limit: int = SETTINGS_LIMIT) -> list[dict[str, float]]:
    """The defaults, then the grid of knob values, thinned evenly to at most ``limit`` settings where it is larger.

    With more than log2(``limit``) knobs no grid fits: then each knob is varied alone, the others at their defaults.
    """
    defaults = {knob.name: float(knob.default) for knob in knobs}
    each = int(limit ** (1 / len(knobs)) + 1e-9) if knobs else 1
    if math.prod(len(knob.values) for knob in knobs) <= limit:
        each = limit
    if each >= 2:
        values = [_thinned(knob.values, each) for knob in knobs]
        grid = [dict(zip(defaults, map(float, row), strict=True)) for row in itertools.product(*values)]
    else:
        each = max(2, (limit - 1) // len(knobs))
        grid = [{**defaults, k.name: float(v)} for k in knobs for v in _thinned(k.values, each)][: limit - 1]
    return [defaults, *(setting for setting in grid if setting != defaults)]


def measure(scored: Scored, setting_B: np.ndarray) -> Measured:
    """What it is worth to judge video b under setting ``setting_B[b]``. Raises ``ValueError`` without any video."""
    video_B = np.arange(scored.correct_PB.shape[1])
    if len(video_B) == 0:
        raise ValueError("an operating point needs at least one video to be measured on")
    correct_B = scored.correct_PB[setting_B, video_B].astype(bool)
    return Measured(
        accuracy=float(correct_B.mean()),
        gflops={name: float(scored.gmacs_PB[name][setting_B, video_B].mean()) for name in CONVENTIONS},
        rates={site: float(rate_PB[setting_B, video_B].mean()) for site, rate_PB in scored.rate_PB.items()},
        correct=np.packbits(correct_B).tobytes().hex(),
        videos=len(video_B),
    )


def best_within(scored: Scored, first_B: np.ndarray | None, budget_gmacs: float, convention: Convention) -> Measured:
    """The most accurate setting within a budget, the cheapest of equals; the cheapest at all where none is within.

    ``first_B``: one of two halves (:func:`~explorer.fronts.halves`); each video is judged by what the other half chose. None:
    chosen and judged on all videos, for settings that see the labels anyway.
    """
    if first_B is not None:
        return measure(scored, _choose(scored, first_B, budget_gmacs, convention).judge_B)
    everyone_B = np.ones(scored.correct_PB.shape[1], dtype=bool)
    return measure(scored, np.full(len(everyone_B), _best(scored, everyone_B, budget_gmacs, convention)))


@dataclass(frozen=True, kw_only=True)
class _Choice:
    """``deployed``: the setting to deploy. ``judge_B``: (B,) the setting that judges each validation video."""

    deployed: int
    judge_B: np.ndarray
    budget_gmacs: float | None


def _choose(scored: Scored, first_B: np.ndarray, budget: float, convention: Convention) -> _Choice:
    by_first = _best(scored, first_B, budget, convention)
    by_second = _best(scored, ~first_B, budget, convention)
    return _Choice(
        deployed=_best(scored, np.ones_like(first_B), budget, convention),
        judge_B=np.where(first_B, by_second, by_first),
        budget_gmacs=budget,
    )


def _best(scored: Scored, among_B: np.ndarray, budget: float, convention: Convention) -> int:
    """The setting of best accuracy on the videos ``among_B`` whose mean cost there is within ``budget``.

    Ties go to the cheaper setting. Where none is within budget (the halves differ), the cheapest one.
    """
    if not among_B.any():  # a split of a single video: nothing to choose on
        return 0
    cost_P = scored.gmacs_PB[convention][:, among_B].mean(axis=1)
    right_P = np.count_nonzero(scored.correct_PB[:, among_B], axis=1)
    feasible_P = cost_P <= budget * (1 + 1e-9)
    if not feasible_P.any():
        return int(np.argmin(cost_P))
    return int(np.lexsort((cost_P, np.where(feasible_P, -right_P, 1)))[0])


def _budgets(scored: Scored, cost: CostTable, convention: Convention, levels: int) -> np.ndarray:
    """(L,) GMACs a video, log-spaced, ascending. They come from costs alone: no label enters."""
    everything = cost.all_on_gmacs(convention) + cost.always_macs[convention] * cost.segments / 1e9
    cost_P = scored.gmacs_PB[convention].mean(axis=1)
    top = max(everything, float(cost_P.max()))
    if top <= 0:
        return np.empty(0)
    bottom = max(float(cost_P.min()), CHEAPEST_SHARE * top)
    return np.geomspace(bottom, top, levels)


def _check_finite(scored: Scored, subject: str) -> None:
    for name, gmacs_PB in scored.gmacs_PB.items():
        if not np.isfinite(gmacs_PB).all():
            raise StageFailed(f"{subject}: the cost of a video ({name} convention) is not finite")
    for site, rate_PB in scored.rate_PB.items():
        if not np.isfinite(rate_PB).all():
            raise StageFailed(f"{subject}: the selection rate of {site} is not finite")


def _thinned(values: Sequence[float], count: int) -> list[float]:
    """At most ``count`` of the values, evenly spaced by position, the ends included."""
    if len(values) <= count:
        return list(values)
    return [values[round(i * (len(values) - 1) / (count - 1))] for i in range(count)]
