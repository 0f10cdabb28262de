"""AdaMML (Panda et al., ICCV 2021) behind the System contract."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from trainables.adamml.config import FUSION_BASELINES, AdaMMLConfig
from trainables.adamml.inert import inert_warnings
from trainables.adamml.knobs import knobs
from trainables.adamml.presets import PRESETS
from trainables.adamml.published import published_rows
from trainables.adamml.stages import baseline_stages, main_stages, preview_stages
from trainables.adamml.tables import TABLES
from trainables.contract import (
    Batch,
    Conditioning,
    CostTable,
    Data,
    Json,
    Knob,
    Loss,
    Network,
    Prediction,
    Replay,
    Scored,
    SegmentPrediction,
    Share,
    Site,
    Stage,
    StepContext,
)
from trainables.errors import UserError
from trainables.kit.data.modalities import MODALITIES
from trainables.kit.measure.headroom import headroom as modality_headroom
from trainables.kit.measure.replay import DRAW, ModalityReplay
from trainables.kit.nets.config import NetConfig
from trainables.kit.video_system import VideoSystem
from trainables.tables import PublishedRow, Table
from trainables.timing import TimeTable

if TYPE_CHECKING:
    import torch
    from torch import nn

    from trainables.adamml.predict import Runner

DRAWS = 8  # over which drawn decisions are averaged


class AdaMMLSystem(VideoSystem):
    """A policy decides for each segment which modality is worth computing."""

    name = "adamml"
    Config = AdaMMLConfig
    presets: ClassVar[Mapping[str, Mapping[str, Json]]] = PRESETS
    counts = {**VideoSystem.counts, "paper": "convolutions and the policy's LSTM, as the authors count"}

    def stages(self, config: AdaMMLConfig) -> tuple[Stage, ...]:
        return main_stages(config)

    def baseline_stages(self, config: AdaMMLConfig) -> Mapping[str, tuple[Stage, ...]]:
        return baseline_stages(config)

    def sites(self, config: AdaMMLConfig) -> tuple[Site, ...]:
        return tuple(Site(name=name, kind="bernoulli", axes=("segment",)) for name in config.data.modalities)

    def default_settings(self, config: AdaMMLConfig) -> Sequence[Mapping[str, float]]:
        return tuple({DRAW: n} for n in range(DRAWS)) if config.test_decisions == "sample" else ({},)

    def knobs(self, config: AdaMMLConfig) -> tuple[Knob, ...]:
        return knobs(config)

    def conditioning(self, config: AdaMMLConfig, ranges: Mapping[str, tuple[float, float]]) -> Conditioning | None:
        searched = {m: ranges[f"lambda.{m}"] for m in config.data.modalities if f"lambda.{m}" in ranges}
        if not searched or any(lowest <= 0 for lowest, _ in searched.values()):
            return None
        return Conditioning(
            field="policy.conditioning",
            on="lambda",
            off="none",
            settings={
                f"policy.draws.{m}": list(ends)
                for m, ends in searched.items()
                if getattr(config.policy.draws, m) is None
            },
            covers=tuple(f"lambda.{m}" for m in searched),
        )

    def trade_off(self, config: AdaMMLConfig) -> tuple[str, ...]:
        return () if config.penalty == "none" else tuple(f"lambda.{m}" for m in config.data.modalities)

    def warnings(self, config: AdaMMLConfig, searched: Sequence[str]) -> tuple[str, ...]:
        return inert_warnings(config, searched)

    def nets(self, config: AdaMMLConfig) -> Iterator[tuple[str, NetConfig]]:
        for part in ("recognition", "policy"):
            for modality in config.data.modalities:
                yield f"{part}.{modality}", getattr(getattr(config, part), modality)

    def data_part(self, config: AdaMMLConfig) -> Mapping[str, Json]:
        sees = config.policy.sees  # decides which inputs are read beside the modalities
        return {"data": config.data.model_dump(mode="json", by_alias=True), "policy": {"sees": sees}}

    def build(self, config: AdaMMLConfig, classes: int) -> nn.Module:
        from trainables.adamml.model import AdaMML

        return AdaMML(config, classes)

    def without_initial_weights(self, config: AdaMMLConfig) -> AdaMMLConfig:
        raw = config.model_dump(by_alias=True)
        for part in ("recognition", "policy"):
            for modality in MODALITIES:
                raw[part][modality]["weights"] = None
        return AdaMMLConfig.model_validate(raw)

    def initial_state(self, config: AdaMMLConfig, stage: str, classes: Sequence[str]) -> Mapping[str, torch.Tensor]:
        name = stage.removeprefix("unimodal.")
        net = getattr(config.recognition, name, None) if name != stage else None
        if net is None or net.checkpoint is None:
            return {}
        from trainables.kit.nets.checkpoints import read_checkpoint

        frames, channels, size, _ = MODALITIES[name].shape(config.data)
        state = read_checkpoint(
            net.checkpoint,
            net.backbone,
            len(classes),
            channels,
            frames=frames,
            size=size,
            widths=net.widths,
            modality=name,
        )
        return {f"recognition.{name}.{key}": tensor for key, tensor in state.items()}

    def step(self, model: nn.Module, config: AdaMMLConfig, batch: Batch, context: StepContext) -> Loss:
        from trainables.adamml.model import AdaMML
        from trainables.adamml.steps import step

        assert isinstance(model, AdaMML)
        return step(model, config, batch, context)

    def cost(self, config: AdaMMLConfig, classes: int) -> CostTable:
        from trainables.adamml.cost import cost_table

        return cost_table(config, classes)

    def replay(
        self, model: nn.Module, config: AdaMMLConfig, data: Data, split: str, *, mode: str, seed: int, share: Share
    ) -> Replay:
        from trainables.adamml.measure import replay

        cost = self.cost(config, len(data.classes))
        return replay(model, config, data, split, cost=cost, mode=mode, seed=seed, share=share)

    def replay_from(self, arrays: Mapping[str, np.ndarray], config: AdaMMLConfig) -> Replay:
        return ModalityReplay.from_arrays(arrays)

    def predict(
        self, model: nn.Module, config: AdaMMLConfig, video: Path, *, knobs: Mapping[str, float], mode: str
    ) -> Prediction:
        (answer,) = self._runner(model, config, knobs, mode).predict([video])
        if isinstance(answer, UserError):
            raise answer
        return answer

    def predict_many(
        self, model: nn.Module, config: AdaMMLConfig, videos: Sequence[Path], *, knobs: Mapping[str, float], mode: str
    ) -> Iterator[Prediction | UserError]:
        return self._runner(model, config, knobs, mode).predict(videos)

    def stream(
        self, model: nn.Module, config: AdaMMLConfig, video: Path, *, knobs: Mapping[str, float], mode: str
    ) -> Iterator[SegmentPrediction]:
        return self._runner(model, config, knobs, mode).stream(video)

    def _runner(self, model: nn.Module, config: AdaMMLConfig, knobs: Mapping[str, float], mode: str) -> Runner:
        from trainables.adamml.model import AdaMML
        from trainables.adamml.predict import Runner

        assert isinstance(model, AdaMML)
        return Runner(model=model, config=config, knobs=knobs, cost=self.cost(config, model.classes), mode=mode)

    def headroom_stages(self, config: AdaMMLConfig) -> tuple[str, ...]:
        return ("warmup",)

    def headroom(self, config: AdaMMLConfig, table: Replay, classes: int) -> Mapping[str, Scored]:
        assert isinstance(table, ModalityReplay)
        return modality_headroom(replace(table, cost=self.cost(config, classes)))

    def preview_stages(self, config: AdaMMLConfig) -> tuple[Stage, ...]:
        return preview_stages(config)

    def preview_table(
        self, model: nn.Module, config: AdaMMLConfig, data: Data, *, seed: int, share: Share
    ) -> Mapping[str, np.ndarray]:
        from trainables.adamml.preview import preview_table

        return preview_table(model, config, data, seed=seed, share=share)

    def preview(self, config: AdaMMLConfig, table: Mapping[str, np.ndarray], *, seed: int) -> Replay:
        from trainables.adamml.preview import preview

        return preview(self.without_initial_weights(config), table, seed=seed, cost=partial(self.cost, config))

    def measure_time(self, config: AdaMMLConfig, classes: int, videos: Sequence[Path]) -> TimeTable:
        from trainables.adamml.timing import measure_time

        return measure_time(self.without_initial_weights(config), classes, videos)

    def networks(self, model: nn.Module, config: AdaMMLConfig) -> Mapping[str, Network]:
        from trainables.adamml.model import AdaMML
        from trainables.adamml.networks import networks

        assert isinstance(model, AdaMML)
        return networks(model, config)

    def modes(self, config: AdaMMLConfig) -> tuple[str, ...]:
        return (
            "policy",
            "sampled",
            "all_on",
            "random",
            *(f"only.{m}" for m in config.data.modalities),
            *(f"fused.{f}" for f in FUSION_BASELINES),
        )

    def published(self) -> tuple[PublishedRow, ...]:
        return published_rows()

    def tables(self) -> Mapping[str, Table]:
        return TABLES
