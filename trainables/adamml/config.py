"""Configuration of AdaMML. Defaults are the paper's; presets change sizes and recipes, never classes."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from trainables.contract import Optimiser, SystemConfig
from trainables.kit.data.config import DataConfig
from trainables.kit.temperature import Temperature


class Lambdas(SystemConfig):
    """Efficiency weight of each modality (lambda_k of Eq. 4). 0 = use of it costs nothing."""

    rgb: float = Field(1.0, ge=0, le=100)
    audio: float = Field(0.05, ge=0, le=100)


class NetConfig(SystemConfig):
    """A feature extractor: see ``trainables.kit.nets.backbones``. ``widths`` belongs to small_conv."""

    backbone: Literal["resnet18", "resnet34", "resnet50", "mobilenet_v2", "small_conv"] = "resnet50"
    widths: tuple[int, ...] = ()
    temporal_pool: bool = True
    weights: str | None = None


class RecognitionNets(SystemConfig):
    """One recognition net a modality, each ending in dropout and a linear layer."""

    rgb: NetConfig = NetConfig(backbone="resnet50")
    audio: NetConfig = NetConfig(backbone="mobilenet_v2")
    dropout: float = Field(0.5, ge=0, lt=1)


class PolicyConfig(SystemConfig):
    """The policy: light nets, a joint feature, an LSTM over segments, a head a modality.

    ``rgb_size``: pixels that the frames are resized to; ``rgb_every``: every how many-th frame it sees;
    ``audio_pool``: average pooling of (bands, steps) before its audio net; ``hidden``: linear layers of the joint
    feature; ``feedback``: ``logits`` feeds the previous segment's raw policy logits to the LSTM, ``none`` is Eq. 1.
    """

    rgb: NetConfig = NetConfig(backbone="mobilenet_v2")
    audio: NetConfig = NetConfig(backbone="mobilenet_v2")
    rgb_size: int = Field(160, ge=8)
    rgb_every: int = Field(2, ge=1)
    audio_pool: tuple[int, int] = (1, 1)
    hidden: tuple[int, ...] = (2048, 2048)
    lstm: int = Field(256, ge=1)
    feedback: Literal["logits", "none"] = "logits"


class OptimiserConfig(SystemConfig):
    """An optimiser and its schedule; ``milestones`` in epochs."""

    name: Literal["sgd", "adam", "adamw"] = "sgd"
    lr: float = Field(0.001, gt=0, le=10)
    momentum: float = Field(0.9, ge=0, lt=1)
    weight_decay: float = Field(1e-4, ge=0)
    schedule: Literal["constant", "multistep", "cosine", "one_cycle"] = "constant"
    milestones: tuple[int, ...] = ()

    def declared(self) -> Optimiser:
        """The contract's value."""
        return Optimiser(**self.model_dump())


class StageConfig(SystemConfig):
    """Recipe of a stage that trains recognition."""

    epochs: int = Field(10, ge=1, le=10_000)
    batch_size: int = Field(72, ge=1)
    segments: int | None = Field(None, ge=1, description="segments a video in training; null: data.segments.train")
    recognition: OptimiserConfig = OptimiserConfig()


class JointConfig(StageConfig):
    """Recipe of the joint stage: each epoch a pass on recognition, then one on the policy."""

    policy: OptimiserConfig = OptimiserConfig(name="adam", lr=0.01, momentum=0.0)
    select: Literal["last", "best_accuracy"] = "last"


class StagesConfig(SystemConfig):
    """The stages by name, as in the paper."""

    unimodal: StageConfig = StageConfig(
        epochs=60,
        segments=1,
        recognition=OptimiserConfig(lr=0.01, schedule="multistep", milestones=(20, 40, 50)),
    )
    warmup: StageConfig = StageConfig(epochs=5)
    joint: JointConfig = JointConfig(epochs=20)
    finetune: StageConfig = StageConfig(epochs=10)
    weighted_fusion: StageConfig = StageConfig(epochs=35)
    random_policy: StageConfig = StageConfig(epochs=35)


class AdaMMLConfig(SystemConfig):
    """Everything about a trial of AdaMML.

    ``correctness``: ``hard`` is Eq. 4 as printed, where gamma has no gradient; ``soft`` replaces the indicator by the
    probability of the true class, so that gamma acts. ``gamma_scale``: ``per_modality`` multiplies gamma by lambda_m
    and sums, ``once`` adds it once (the release). ``penalty``: ``eq4``, or ``mean`` = sum of lambda_m times the rate.
    """

    lambda_: Lambdas = Field(Lambdas(), alias="lambda")
    gamma: float = Field(10.0, ge=0, le=1000)
    gamma_scale: Literal["per_modality", "once"] = "per_modality"
    correctness: Literal["hard", "soft"] = "hard"
    penalty: Literal["eq4", "mean"] = "eq4"
    temperature: Temperature = Temperature()
    recognition: RecognitionNets = RecognitionNets()
    policy: PolicyConfig = PolicyConfig()
    stages: StagesConfig = StagesConfig()
    frozen_mode: Literal["eval", "train"] = "eval"
    data: DataConfig
