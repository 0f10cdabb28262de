"""A system of one's own, as a user would write it outside this repository: ``tests.spec.fake:FakeSystem``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from trainables.contract import Knob, Optimiser, Pass, Site, Stage, System, SystemConfig


class Weights(SystemConfig):
    rgb: float = Field(1.0, ge=0, le=100)
    audio: float = Field(0.25, ge=0, le=100)


class Recipe(SystemConfig):
    epochs: int = Field(1, ge=1)
    rate: float = Field(0.1, gt=0)


class FakeData(SystemConfig):
    manifest: str
    classes: int = 2


class FakeConfig(SystemConfig):
    lambda_: Weights = Field(Weights(), alias="lambda")
    first: Recipe = Recipe(epochs=5)  # unlike the class's own default: must survive a partial override
    second: Recipe = Recipe(epochs=3)
    kind: Literal["a", "b"] = "a"
    low: float = 0.0
    high: float = 1.0
    data: FakeData

    @model_validator(mode="after")
    def _ordered(self) -> FakeConfig:
        if self.low > self.high:
            raise ValueError(f"low must not exceed high, got {self.low} > {self.high}")
        return self


def stage(name: str, epochs: int, after: tuple[str, ...] = (), **depends: Any) -> Stage:
    work = Pass(name="recognition", trains=("all",), optimiser=Optimiser(name="sgd", lr=0.1))
    return Stage(
        name=name,
        epochs=epochs,
        after=after,
        passes=(work,),
        batch_size=2,
        segments=1,
        modalities=("rgb",),
        depends=depends,
    )


class FakeSystem(System):
    """Two stages; only the second depends on lambda. One baseline, which starts from the first stage."""

    name = "fake"
    Config = FakeConfig
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "tiny": {},
        "big": {"lambda_": {"audio": 2.0}, "second": {"epochs": 9}},
    }

    def stages(self, config: FakeConfig) -> tuple[Stage, ...]:
        return (
            stage("second", config.second.epochs, after=("first",), weights=config.lambda_.model_dump()),
            stage("first", config.first.epochs),
        )

    def baseline_stages(self, config: FakeConfig) -> Mapping[str, tuple[Stage, ...]]:
        return {"all_on": (stage("all_on", 2, after=("first",)),)}

    def sites(self, config: FakeConfig) -> tuple[Site, ...]:
        return ()

    def knobs(self, config: FakeConfig) -> tuple[Knob, ...]:
        return ()

    def data_fingerprint(self, config: FakeConfig) -> str:
        return "fingerprint"

    def warnings(self, config: FakeConfig, searched: Any) -> tuple[str, ...]:
        return tuple(f"{path} cannot change anything" for path in searched if path == "kind")

    def open_data(self, config: Any, cache: Path) -> Any:
        raise NotImplementedError

    build = step = cost = replay = replay_from = open_data  # type: ignore[assignment]
