"""Configuration of the toy system: the names of AdaMML's searched fields, so that any sweep can be rehearsed on it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from trainables.contract import SystemConfig
from trainables.kit.temperature import Temperature

MODALITIES = ("rgb", "audio")


class Lambdas(SystemConfig):
    """Efficiency weights."""

    rgb: float = Field(1.0, ge=0, le=100)
    audio: float = Field(0.25, ge=0, le=100)


class ToyStage(SystemConfig):
    """Recipe of a stage."""

    epochs: int = Field(2, ge=0, le=1000)
    lr: float = Field(0.5, gt=0, le=1)


class ToyStages(SystemConfig):
    """The stages, by name."""

    warmup: ToyStage = ToyStage(epochs=2)
    joint: ToyStage = ToyStage(epochs=4)
    finetune: ToyStage = ToyStage(epochs=2)


class ToyData(SystemConfig):
    """A made-up data set: nothing is read."""

    train: int = Field(48, ge=1)
    val: int = Field(64, ge=2)
    test: int = Field(64, ge=1)
    classes: int = Field(4, ge=2)
    segments: int = Field(6, ge=1)
    seed: int = 0


class Fault(SystemConfig):
    """Something that goes wrong on purpose, for fault tests: in which stage and from which lambda.rgb on."""

    kind: Literal["none", "raise", "nan", "memory", "disk_full"] = "none"
    stage: str = "joint"
    above_lambda_rgb: float = 0.0


class ToyConfig(SystemConfig):
    """Everything about the toy. ``epoch_s`` makes every epoch last that long."""

    lambda_: Lambdas = Field(Lambdas(), alias="lambda")
    gamma: float = Field(2.0, ge=0, le=100)
    temperature: Temperature = Temperature()
    stages: ToyStages = ToyStages()
    data: ToyData = ToyData()
    epoch_s: float = Field(0.0, ge=0, le=60)
    fault: Fault = Fault()
