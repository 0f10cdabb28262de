"""AdaMML for RGB and audio (Panda et al., ICCV 2021) behind the System contract."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from trainables.adamml.config import AdaMMLConfig
from trainables.adamml.presets import PRESETS
from trainables.adamml.stages import baseline_stages, gamma_acts, main_stages
from trainables.contract import (
    Batch,
    CostTable,
    Data,
    Json,
    Knob,
    Loss,
    Prediction,
    Replay,
    Site,
    Stage,
    StepContext,
    System,
)
from trainables.kit.data.fingerprint import data_fingerprint
from trainables.kit.data.manifest import read_manifest
from trainables.kit.measure.replay import ModalityReplay

if TYPE_CHECKING:
    from torch import nn

THRESHOLDS = (0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98)


class AdaMMLSystem(System):
    """A policy decides for each segment which modality is worth computing."""

    name = "adamml"
    Config = AdaMMLConfig
    presets: ClassVar[Mapping[str, Mapping[str, Json]]] = PRESETS

    def stages(self, config: AdaMMLConfig) -> tuple[Stage, ...]:
        return main_stages(config)

    def baseline_stages(self, config: AdaMMLConfig) -> Mapping[str, tuple[Stage, ...]]:
        return baseline_stages(config)

    def sites(self, config: AdaMMLConfig) -> tuple[Site, ...]:
        return tuple(Site(name=name, kind="bernoulli", axes=("segment",)) for name in config.data.modalities)

    def knobs(self, config: AdaMMLConfig) -> tuple[Knob, ...]:
        return tuple(Knob(name=f"threshold.{m}", default=0.5, values=THRESHOLDS) for m in config.data.modalities)

    def warnings(self, config: AdaMMLConfig, searched: Sequence[str]) -> tuple[str, ...]:
        found = []
        if "gamma" in searched and not gamma_acts(config):
            found.append(
                f"gamma is searched but has no gradient with correctness: {config.correctness}, penalty: {config.penalty}; "
                "use correctness: soft with penalty: eq4, or drop gamma from the search"
            )
        if "gamma_scale" in searched and not gamma_acts(config):
            found.append("gamma_scale is searched but gamma has no gradient here; drop it from the search")
        return tuple(found)

    def data_fingerprint(self, config: AdaMMLConfig) -> str:
        return data_fingerprint(config.data)

    def check_data(self, config: AdaMMLConfig) -> None:
        read_manifest(config.data.manifest)

    def prepare_data(self, config: AdaMMLConfig, cache: Path) -> None:
        self.open_data(config, cache)

    def open_data(self, config: AdaMMLConfig, cache: Path) -> Data:
        from trainables.kit.data.dataset import VideoData

        return VideoData(config.data, cache)

    def build(self, config: AdaMMLConfig, classes: int) -> nn.Module:
        from trainables.adamml.model import AdaMML

        return AdaMML(config, classes)

    def step(self, model: nn.Module, config: AdaMMLConfig, batch: Batch, context: StepContext) -> Loss:
        from trainables.adamml.model import AdaMML
        from trainables.adamml.steps import step

        assert isinstance(model, AdaMML)
        return step(model, config, batch, context)

    def cost(self, config: AdaMMLConfig, classes: int) -> CostTable:
        from trainables.adamml.cost import cost_table

        return cost_table(config, classes)

    def replay(self, model: nn.Module, config: AdaMMLConfig, data: Data, split: str, *, mode: str, seed: int) -> Replay:
        from trainables.adamml.measure import replay

        return replay(model, config, data, split, cost=self.cost(config, len(data.classes)), mode=mode, seed=seed)

    def replay_from(self, arrays: Mapping[str, np.ndarray], config: AdaMMLConfig) -> Replay:
        return ModalityReplay.from_arrays(arrays)

    def predict(
        self, model: nn.Module, config: AdaMMLConfig, video: Path, *, knobs: Mapping[str, float], mode: str
    ) -> Prediction:
        from trainables.adamml.model import AdaMML
        from trainables.adamml.predict import predict

        assert isinstance(model, AdaMML)
        return predict(model, config, video, knobs=knobs, cost=self.cost(config, model.classes), mode=mode)

    def modes(self, config: AdaMMLConfig) -> tuple[str, ...]:
        return ("policy", "all_on", "random", *(f"only.{m}" for m in config.data.modalities))
