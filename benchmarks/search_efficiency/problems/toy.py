"""The problem: the toy system in closed form, with stages and with learning curves that cross. No torch, nothing is trained.

What a trial measures after an epoch is computed from :mod:`trainables.toy.surface`. On top of it, here alone, come learning curves
that depend on the configuration: a policy gets to its thresholds, and to its quality, at a pace of its own. Instances are frozen:
``steady`` was there while the search was built, ``crossing`` was held out until its results were written down. In ``steady`` the
order of trials hardly changes while they train; in ``crossing`` the better a configuration is, the slower it gets there, so that
whoever stops early for low values stops the wrong ones.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np

from benchmarks.search_efficiency.problem import Budget, Params, Stand
from explorer.fronts import OperatingPoint, front, hypervolume, operating_points
from explorer.fronts.dominance import REFERENCE_MARGIN
from explorer.spec.dimension import Choice, Dimension, Log, Uniform, Value
from explorer.spec.rungs import Rung
from trainables.kit.measure.replay import ModalityReplay
from trainables.toy import surface
from trainables.toy.config import MODALITIES, ToyConfig
from trainables.toy.system import ToySystem

SEARCH: Mapping[str, Dimension] = {
    "lambda.rgb": Log(0.05, 4),
    "lambda.audio": Log(0.005, 1),
    "gamma": Choice((0, 2, 5, 10)),
    "temperature.initial": Uniform(1, 10),
    "temperature.anneal.decay": Uniform(0.9, 1),
}
OBJECTIVES = {"accuracy": "max", "gflops": "min"}
WARMUP, JOINT, FINETUNE = 5, 20, 10  # epochs of the paper's recipe; a joint epoch takes two passes
PASSES = {"warmup": WARMUP, "joint": 2 * JOINT, "finetune": FINETUNE}
_SKILL_PACE = 0.12  # share of the way to full skill that an epoch of recognition takes
_SYSTEM = ToySystem()
_NAMES = tuple(map(str, range(256)))


@dataclass(frozen=True, kw_only=True)
class Instance:
    """``pace``: share of the way to its thresholds that a policy of quality 1 goes in an epoch; ``slowdown``: how much less
    than a policy of quality 0 that is, as a factor."""

    family: str
    number: int
    pace: float
    slowdown: float


def instances(family: str) -> list[Instance]:
    """Three frozen instances of a family."""
    pace, slowdown = {"steady": (0.35, 1.0), "crossing": (0.12, 4.0)}[family]
    return [Instance(family=family, number=n, pace=pace, slowdown=slowdown) for n in range(3)]


class ToyProblem:
    """One instance. Answers are a function of (parameters, epochs) alone."""

    search = SEARCH
    objectives = OBJECTIVES
    rungs = (Rung(stage="joint", epochs=2), Rung(stage="joint", epochs=6), Rung(stage="joint"))
    logarithmic = (False, True)
    conditioning = None
    conditioned_at_most = 0
    default = None
    epochs_for_competitors = False  # they cost a competitor hypervolume, see docs/results/search-efficiency.md
    best = None

    def __init__(self, instance: Instance) -> None:
        self.instance = instance
        self._known: dict[tuple[object, ...], Stand] = {}

    def budget(self, trials: int) -> Budget:
        return Budget(trials=trials, own=sum(PASSES.values()), shared=0)  # the same passes for everybody

    def begin(self, seed: int) -> ToyProblem:
        return self

    def course(self, params: Params) -> ToyCourse:
        return ToyCourse(problem=self, params=params)

    def front(self, points: Sequence[OperatingPoint]) -> list[OperatingPoint]:
        return front(points)

    def stand(self, params: Mapping[str, Value], *, joint: int, finetune: int = 0) -> Stand:
        """After ``joint`` epochs of the joint stage and ``finetune`` of the last one."""
        key = (tuple(sorted(params.items())), joint, finetune)
        if key not in self._known:
            self._known[key] = self._measure(params, joint, finetune)
        return self._known[key]

    def _measure(self, params: Mapping[str, Value], joint: int, finetune: int) -> Stand:
        config = _config(params, self.instance)
        quality = surface.quality(config)
        pace = min(0.9, self.instance.pace * self.instance.slowdown ** (1 - quality))
        reached = 1 - (1 - pace) ** joint
        skill = surface.skill_after(WARMUP + joint + finetune, _SKILL_PACE)
        goals = {name: surface.threshold(config, name) for name in MODALITIES}
        threshold_M = np.array([0.5 + (goals[name] - 0.5) * reached for name in MODALITIES])
        val, test = (
            _table(config, self.instance, split, skill, threshold_M, quality * reached) for split in ("val", "test")
        )
        points = operating_points(
            val,
            test,
            _SYSTEM.knobs(config),
            cost=_SYSTEM.cost(config, config.data.classes),
            key=str(hash((tuple(sorted(params.items())), "joint" if finetune == 0 else "finetune"))),
            stage="joint" if finetune == 0 else "finetune",
            epoch=joint if finetune == 0 else finetune,
        )
        default = points[0].val
        return Stand(values=(default.accuracy, default.gflops["full"]), rates=default.rates, points=points)

    # --- the measure --------------------------------------------------------------------------------------------------

    def hypervolume(self, points: Sequence[OperatingPoint]) -> float:
        """Of points that were chosen on validation, valued on test; reference: all on, 5 points below the best modality."""
        return hypervolume(
            points, all_on_gflops=self._all_on, reference_accuracy=self._reference_accuracy, split="test"
        )

    @cached_property
    def _all_on(self) -> float:
        config = _config({}, self.instance)
        return _SYSTEM.cost(config, config.data.classes).all_on_gmacs("full")

    @cached_property
    def _reference_accuracy(self) -> float:
        config = _config({}, self.instance)
        table = _table(
            config, self.instance, "test", surface.skill_after(WARMUP + JOINT, _SKILL_PACE), np.full(2, -math.inf), 1.0
        )
        only = [{f"threshold.{other}": 0.0 if other == name else 1.0 for other in MODALITIES} for name in MODALITIES]
        return float(table.score(only).correct_PB.mean(1).max()) - REFERENCE_MARGIN


@dataclass(frozen=True, kw_only=True)
class ToyCourse:
    """A trial as in AdaMML's recipe."""

    problem: ToyProblem
    params: Params
    shared = WARMUP
    epochs = JOINT
    epoch_passes = PASSES["joint"] // JOINT
    finish = FINETUNE

    def at(self, epoch: int) -> Stand:
        return self.problem.stand(self.params, joint=epoch)

    def end(self) -> Stand:
        return self.problem.stand(self.params, joint=JOINT, finetune=FINETUNE)


def _config(params: Mapping[str, Value], instance: Instance) -> ToyConfig:
    nested: dict[str, dict] = {"data": {"val": 128, "test": 256, "seed": instance.number}}
    for path, value in params.items():
        place, parts = nested, path.split(".")
        for part in parts[:-1]:
            place = place.setdefault(part, {})
        place[parts[-1]] = value
    return ToyConfig.model_validate(nested)


@dataclass(frozen=True, kw_only=True)
class _Videos:
    """What of a split does not depend on the trial."""

    label_B: np.ndarray
    relevance_BSM: np.ndarray
    noise_BSM: np.ndarray
    against_BSMC: np.ndarray
    own_BC: np.ndarray


@cache
def _videos(instance: Instance, split: str) -> _Videos:
    config = _config({}, instance)
    label_B = surface.labels(config, split)
    index_B, classes, segments = np.arange(len(label_B)), config.data.classes, config.data.segments
    strength_M = np.array([surface.STRENGTH[name] for name in MODALITIES])
    next_BC = np.eye(classes)[(label_B + 1) % classes]
    against_BM = strength_M * surface.DIFFICULTY * surface.difficulty(index_B)[:, None]
    return _Videos(
        label_B=label_B,
        relevance_BSM=surface.relevance(config, split, index_B),
        noise_BSM=surface.noise(index_B, segments),
        against_BSMC=np.repeat((against_BM[..., None] * next_BC[:, None])[:, None], segments, axis=1),
        own_BC=np.eye(classes)[label_B],
    )


def _table(
    config: ToyConfig, instance: Instance, split: str, skill: float, threshold_M: np.ndarray, quality: float
) -> ModalityReplay:
    """What :class:`trainables.toy.model.ToyNet` would give with these skills and thresholds."""
    videos = _videos(instance, split)
    strength_M = np.array([surface.STRENGTH[name] for name in MODALITIES])
    distraction_M = np.array([surface.DISTRACTION[name] for name in MODALITIES])
    evidence_BSM = strength_M * (skill * videos.relevance_BSM - distraction_M + videos.noise_BSM)
    index_B = np.arange(len(videos.label_B))
    seen_BSM = videos.relevance_BSM + surface.blur(index_B, config.data.segments, quality)
    with np.errstate(over="ignore"):
        probability_BSM = 1 / (1 + np.exp(-surface.SHARPNESS * (seen_BSM - threshold_M)))
    return ModalityReplay(
        modalities=MODALITIES,
        probability_BSM=probability_BSM.astype(np.float32),
        logits_BSMC=(evidence_BSM[..., None] * videos.own_BC[:, None, None] + videos.against_BSMC).astype(np.float32),
        present_BSM=np.ones(seen_BSM.shape, bool),
        label_B=videos.label_B,
        video_ids=_NAMES[: len(index_B)],
        cost=_SYSTEM.cost(config, config.data.classes),
    )
