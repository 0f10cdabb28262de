"""Configuration of AR-Net. Defaults are the paper's; presets change sizes and recipes, never classes."""

from __future__ import annotations

import itertools
from typing import Literal, Self

from pydantic import Field, model_validator

from trainables.contract import SystemConfig
from trainables.kit.frames.config import FrameConfig, FrameKnobsConfig
from trainables.kit.nets.config import NetConfig
from trainables.kit.recipes import OptimiserConfig
from trainables.kit.temperature import Anneal, Temperature

LEVELS = ("high", "medium", "low")  # of resolution, each with a backbone of its own
LOWEST = "lowest"  # the policy's own resolution, at which it predicts as well


class FrameNetConfig(NetConfig):
    """A network for frames of ``size`` pixels."""

    size: int = Field(224, ge=4)
    backbone: str = "resnet50"


class HighNet(FrameNetConfig):
    """The highest resolution."""


class MediumNet(FrameNetConfig):
    """The one below it."""

    size: int = Field(168, ge=4)
    backbone: str = "resnet34"


class LowNet(FrameNetConfig):
    """The lowest with a backbone of its own."""

    size: int = Field(112, ge=4)
    backbone: str = "resnet18"


class Backbones(SystemConfig):
    """One network a resolution, each ending in dropout and a linear layer."""

    high: HighNet = HighNet()
    medium: MediumNet = MediumNet()
    low: LowNet = LowNet()
    dropout: float = Field(0.5, ge=0, lt=1)


class PolicyConfig(FrameNetConfig):
    """The policy: a light network at the lowest resolution, an LSTM over frames of width ``lstm``, a head of actions.

    A second head predicts the class from the LSTM's state: that is the action of the lowest resolution.
    """

    size: int = Field(84, ge=4)
    backbone: str = "mobilenet_v2"
    lstm: int = Field(512, ge=1)


class StageConfig(SystemConfig):
    """Recipe of a stage that trains recognition."""

    epochs: int = Field(50, ge=1, le=10_000)
    batch_size: int = Field(48, ge=1)
    recognition: OptimiserConfig = OptimiserConfig()


class JointConfig(StageConfig):
    """Recipe of the joint stage. ``policy`` null: one pass trains everything together, as in the paper.

    With a recipe of its own, the policy is trained in a second pass of each epoch, and the first one computes only the frames
    and resolutions that are used.
    """

    policy: OptimiserConfig | None = None
    select: Literal["last", "best_accuracy", "best_objective"] = "last"


class StagesConfig(SystemConfig):
    """The stages by name. ``baseline`` is the recipe of those baselines that train on what the warm-up gives."""

    warmup: StageConfig = StageConfig(epochs=10, recognition=OptimiserConfig(lr=0.02))
    joint: JointConfig = JointConfig()
    finetune: StageConfig = StageConfig(recognition=OptimiserConfig(lr=0.0005))
    baseline: StageConfig = StageConfig()


class KnobsConfig(FrameKnobsConfig):
    """What is measured, and can be set after training: ``explorer predict`` takes any values, fronts those listed here.

    ``cost``: what is taken off the logit of an action, times its cost as a share of the highest resolution's. ``skip``: what is
    added to the logits of skipping. ``frames``: further numbers of frames, each one more inference pass. ``sampled``: whether
    drawing the actions instead of taking the likeliest is measured as well.
    """

    cost: tuple[float, ...] = (-4, -2, -1, 0, 1, 2, 4, 8)
    skip: tuple[float, ...] = (-4, -2, 0, 2, 4)


class ArNetConfig(FrameConfig):
    """Everything about a trial of AR-Net.

    Loss = (1 - alpha) cross-entropy + alpha price + beta uniformity (Eq. 12). ``price``: of the backbones alone, a frame, in
    ``gflops`` or ``relative`` to the highest resolution's, for networks that cost far less than a GFLOP. ``uniform``:
    ``squared`` is Eq. 11; ``norm`` the release's, which trains with alpha .05 and beta .15. ``actions``: ``resolutions`` leaves
    out the skips, ``skips`` all resolutions but the highest. ``skips``: frames that an action skips, the current one included.
    ``resize``: how the lower resolutions are made of the highest. ``warm_up`` false: no stage before the joint one.
    ``test_decisions``: ``sample`` draws the actions in validation and test, as the release does, in the place of the likeliest
    one. ``literature_costs``: the paper convention charges EfficientNets what their paper quotes at other sizes, scaled by area,
    as AR-Net's tables do. ``frozen_mode``: ``train`` lets the batch statistics of frozen parts run on, as in the release.
    """

    alpha: float = Field(0.1, ge=0, le=1)
    beta: float = Field(0.3, ge=0, le=100)
    price: Literal["gflops", "relative"] = "gflops"
    uniform: Literal["squared", "norm"] = "squared"
    actions: Literal["all", "resolutions", "skips"] = "all"
    skips: tuple[int, ...] = (1, 2, 4)
    temperature: Temperature = Temperature(initial=5.0, anneal=Anneal(decay=0.956))  # exp(-.045)
    backbones: Backbones = Backbones()
    policy: PolicyConfig = PolicyConfig()
    resize: Literal["nearest", "smooth"] = "nearest"
    warm_up: bool = True
    stages: StagesConfig = StagesConfig()
    frozen_mode: Literal["eval", "train"] = "eval"
    knobs: KnobsConfig = KnobsConfig()
    literature_costs: bool = False

    @model_validator(mode="after")
    def _check(self) -> Self:
        sizes = [self.data.crop_size, *(getattr(self.backbones, level).size for level in LEVELS), self.policy.size]
        if any(below > above for above, below in itertools.pairwise(sizes)) or len(set(sizes[1:])) < 4:
            raise ValueError(
                "the sizes of backbones.high, .medium, .low and policy must fall, from data.crop_size or below; got "
                + ", ".join(map(str, sizes))
            )
        if not self.skips or any(skip < 1 for skip in self.skips) or len(set(self.skips)) < len(self.skips):
            raise ValueError(f"skips must be numbers of frames of 1 or more, each once, got {list(self.skips)}")
        return self

    @property
    def levels(self) -> tuple[str, ...]:
        """The resolutions with a backbone of their own that can be chosen, the highest first."""
        return LEVELS[:1] if self.actions == "skips" else LEVELS

    def size_of(self, level: str) -> int:
        """Pixels of a side."""
        net: FrameNetConfig = self.policy if level == LOWEST else getattr(self.backbones, level)
        return net.size

    def share_of(self, level: str) -> str:
        """The name under which is told how many of the frames are computed at ``level``: ``r224``."""
        return f"r{self.size_of(level)}"
