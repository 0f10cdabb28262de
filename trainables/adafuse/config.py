"""Configuration of AdaFuse. Defaults are the paper's; presets change sizes and recipes, never classes."""

from __future__ import annotations

from typing import ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

from trainables.adafuse.names import BACKBONES, SMALL
from trainables.contract import SystemConfig
from trainables.kit.frames.config import FrameConfig, FrameKnobsConfig
from trainables.kit.nets.config import NetConfig
from trainables.kit.recipes import OptimiserConfig
from trainables.kit.temperature import Anneal, Temperature


class NetworkConfig(NetConfig):
    """The network for frames, ending in dropout and a linear layer.

    ``widths`` belongs to ``small_resnet``: of the first convolution and of each residual block, which halve the picture.
    ``shift``: an eighth of the channels comes from the frame after and an eighth from the frame before (TSM), in every residual
    block. ``lstm``: width of the baseline of that name.
    """

    backbone: str = "resnet50"
    shift: bool = False
    dropout: float = Field(0.5, ge=0, lt=1)
    lstm: int = Field(512, ge=1)

    @field_validator("backbone")
    @classmethod
    def _known(cls, name: str) -> str:
        if name not in BACKBONES:
            raise ValueError(f"backbone must be one of {', '.join(BACKBONES)}, got {name!r}")
        return name

    @model_validator(mode="after")
    def _widths_of_the_small(self) -> Self:
        if (self.backbone == SMALL) != bool(self.widths):
            raise ValueError(
                f"widths must be given with backbone {SMALL} and only with it (for example [16, 32, 48]), "
                f"got {list(self.widths)} with {self.backbone}"
            )
        if self.widths and len(self.widths) < 2:
            raise ValueError(
                f"widths must be two or more, of a convolution and of residual blocks, got {list(self.widths)}"
            )
        if self.shift and not self.backbone.endswith(("resnet18", "resnet50", SMALL)):
            raise ValueError(f"shift must be false: it is for residual networks, got backbone {self.backbone}")
        return self


class GatesConfig(SystemConfig):
    """The policies, one a block: two linear layers on the pooled inputs of two frames.

    ``blocks``: gated are ``all`` or those of the ``last`` stage. ``hidden``: width; null divides ``quota`` by the number of
    gated channels. ``shared``: blocks of equal dimensions have their linear layers in common (never their batch norms).
    ``keep``: what is added at the start to the logit of keeping; at 0 a third of the channels is kept, reused and skipped.
    """

    blocks: Literal["all", "last"] = "all"
    hidden: int | None = Field(None, ge=1)
    quota: int = Field(196_608, ge=1)
    shared: bool = True
    keep: float = 0.0

    def hidden_of(self, channels: int) -> int:
        """Width of the policy of a block with so many gated channels."""
        return max(1, self.quota // channels) if self.hidden is None else self.hidden


class StageConfig(SystemConfig):
    """Recipe of a stage."""

    epochs: int = Field(50, ge=1, le=10_000)
    batch_size: int = Field(64, ge=2)
    optimiser: OptimiserConfig = OptimiserConfig(lr=0.002, schedule="multistep", milestones=(20, 40))


class WarmupConfig(StageConfig):
    """Of the plain network, shared by all trials. 0 epochs: none, training begins with the published weights, as in the paper."""

    epochs: int = Field(0, ge=0, le=10_000)


class JointConfig(StageConfig):
    """Of network and policies together."""

    select: Literal["last", "best_accuracy", "best_objective"] = "last"


class StagesConfig(SystemConfig):
    """The stages by name. ``baseline`` is the recipe of the baselines."""

    warmup: WarmupConfig = WarmupConfig()
    joint: JointConfig = JointConfig()
    baseline: StageConfig = StageConfig()


class KnobsConfig(FrameKnobsConfig):
    """What is measured, and can be set after training: ``explorer predict`` takes any values, fronts those listed here.

    ``keep`` and ``skip``: what is added to these logits of every channel. ``frames``: further numbers of frames. ``sampled``:
    whether drawing the decisions instead of taking the likeliest is measured as well. Every combination is one more pass.
    """

    keep: tuple[float, ...] = (0,)
    skip: tuple[float, ...] = (-1, 0, 1)


class ChannelGatingConfig(SystemConfig):
    """CGNet (Hua et al., NeurIPS 2019): see :mod:`trainables.adafuse.gating`.

    ``parts``: the base path reads one in so many of the input channels. ``target``: what thresholds are drawn to, with weight
    ``weight`` (sum of squares). ``start``: thresholds before training. ``slope``: of the sigmoid whose gradient the
    gates have.
    """

    parts: int = Field(4, ge=2)
    target: float = 1.0
    weight: float = Field(1e-4, ge=0)
    start: float = 0.0
    slope: float = Field(2.0, gt=0)


class FixedConfig(SystemConfig):
    """What the baselines without a policy do. ``threshold``: share of the channels that the baseline of that name keeps.

    ``random``: chances of skip, reuse and keep. ``cgnet``: how channels are gated pixel by pixel.
    """

    cgnet: ChannelGatingConfig = ChannelGatingConfig()
    threshold: float = Field(0.5, gt=0, le=1)
    random: tuple[float, float, float] = (1 / 3, 1 / 3, 1 / 3)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if min(self.random) < 0 or abs(sum(self.random) - 1) > 1e-6:
            raise ValueError(
                f"fixed.random must be three chances (skip, reuse, keep) that add up to 1, got {list(self.random)}"
            )
        return self


class AdaFuseConfig(FrameConfig):
    """Everything about a trial of AdaFuse.

    Loss = cross-entropy + ``lambda`` x price a frame of the two convolutions around each gate (Eq. 6). ``price``: in ``gflops``,
    or ``relative`` to the plain network, for networks that cost far less than a GFLOP. ``saving``: ``real`` is Eq. 5, which
    couples a frame with the next; ``upb`` charges the second convolution alone. ``test_decisions``: ``sample`` draws in
    validation and test, as the release does, in the place of the likeliest decision.
    """

    decides: ClassVar[str] = "decisions a frame"

    lambda_: float = Field(0.1, ge=0, le=1000, alias="lambda")
    price: Literal["gflops", "relative"] = "gflops"
    saving: Literal["real", "upb"] = "real"
    temperature: Temperature = Temperature(initial=0.67, anneal=Anneal(rule="constant"))
    network: NetworkConfig = NetworkConfig()
    gates: GatesConfig = GatesConfig()
    stages: StagesConfig = StagesConfig()
    knobs: KnobsConfig = KnobsConfig()
    fixed: FixedConfig = FixedConfig()
