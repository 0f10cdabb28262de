"""AdaFuse (Meng et al., ICLR 2021) behind the System contract."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from trainables.adafuse.config import AdaFuseConfig
from trainables.adafuse.inert import inert_warnings
from trainables.adafuse.knobs import knobs
from trainables.adafuse.names import CHOICES, gated_blocks, share_names, told_names
from trainables.adafuse.presets import PRESETS
from trainables.adafuse.published import published_rows
from trainables.adafuse.stages import baseline_stages, main_stages
from trainables.adafuse.tables import TABLES
from trainables.contract import (
    Batch,
    CostTable,
    Data,
    Json,
    Knob,
    Loss,
    Network,
    Prediction,
    Replay,
    Scored,
    Share,
    Site,
    Stage,
    StepContext,
)
from trainables.kit.frames.config import EVERY_FRAME
from trainables.kit.frames.system import FrameSystem
from trainables.kit.measure.headroom import headroom as modality_headroom
from trainables.kit.measure.replay import ModalityReplay
from trainables.kit.nets.config import NetConfig
from trainables.tables import PublishedRow, Table
from trainables.timing import TimeTable

if TYPE_CHECKING:
    from torch import nn


class AdaFuseSystem(FrameSystem):
    """A policy in every block decides for each channel of a frame: compute it, take it from the frame before, or leave it out."""

    name = "adafuse"
    Config = AdaFuseConfig
    presets: ClassVar[Mapping[str, Mapping[str, Json]]] = PRESETS
    counts = {**FrameSystem.counts, "paper": "as thop 0.0.31 counts, less what convolutions save (Eq. 5)"}

    def nets(self, config: AdaFuseConfig) -> Iterator[tuple[str, NetConfig]]:
        yield "network", config.network

    def stages(self, config: AdaFuseConfig) -> tuple[Stage, ...]:
        return main_stages(config)

    def baseline_stages(self, config: AdaFuseConfig) -> Mapping[str, tuple[Stage, ...]]:
        return baseline_stages(config)

    def sites(self, config: AdaFuseConfig) -> tuple[Site, ...]:
        return tuple(
            Site(
                name=block,
                kind="categorical",
                axes=("frame", "channel"),
                choices=CHOICES,
                shares=share_names(block),
                told=told_names(block),
            )
            for block in gated_blocks(config)
        )

    def knobs(self, config: AdaFuseConfig) -> tuple[Knob, ...]:
        return knobs(config)

    def trade_off(self, config: AdaFuseConfig) -> tuple[str, ...]:
        return ("lambda",)

    def warnings(self, config: AdaFuseConfig, searched: Sequence[str]) -> tuple[str, ...]:
        return inert_warnings(config, searched)

    def build(self, config: AdaFuseConfig, classes: int) -> nn.Module:
        from trainables.adafuse.model import AdaFuse

        return AdaFuse(config, classes)

    def without_initial_weights(self, config: AdaFuseConfig) -> AdaFuseConfig:
        return config.model_copy(update={"network": config.network.model_copy(update={"weights": None})})

    def step(self, model: nn.Module, config: AdaFuseConfig, batch: Batch, context: StepContext) -> Loss:
        from trainables.adafuse.model import AdaFuse
        from trainables.adafuse.steps import step

        assert isinstance(model, AdaFuse)
        return step(model, config, batch, context)

    def cost(self, config: AdaFuseConfig, classes: int) -> CostTable:
        from trainables.adafuse.cost import cost_table

        return cost_table(config, classes)

    def replay(
        self, model: nn.Module, config: AdaFuseConfig, data: Data, split: str, *, mode: str, seed: int, share: Share
    ) -> Replay:
        from trainables.adafuse.measure import every_frame, replay

        if mode == EVERY_FRAME:
            return every_frame(model, config, data, split, share=share)
        return replay(model, config, data, split, mode=mode, seed=seed, share=share)

    def predict(
        self, model: nn.Module, config: AdaFuseConfig, video: Path, *, knobs: Mapping[str, float], mode: str
    ) -> Prediction:
        from trainables.adafuse.model import AdaFuse
        from trainables.adafuse.predict import Runner

        assert isinstance(model, AdaFuse)
        return Runner(model, config, knobs, mode).predict(video)

    headroom_mode = EVERY_FRAME

    def headroom_stages(self, config: AdaFuseConfig) -> tuple[str, ...]:
        """The plain network: warmed up, or, where training begins with published weights, the baseline of that name."""
        return ("warmup" if config.stages.warmup.epochs else "plain",)

    def headroom(self, config: AdaFuseConfig, table: Replay, classes: int) -> Mapping[str, Scored]:
        assert isinstance(table, ModalityReplay)
        return modality_headroom(table)

    def measure_time(self, config: AdaFuseConfig, classes: int, videos: Sequence[Path]) -> TimeTable:
        from trainables.adafuse.timing import measure_time

        return measure_time(self.without_initial_weights(config), classes, videos)

    def networks(self, model: nn.Module, config: AdaFuseConfig) -> Mapping[str, Network]:
        from trainables.adafuse.model import AdaFuse
        from trainables.adafuse.networks import networks

        assert isinstance(model, AdaFuse)
        return networks(model, config)

    def modes(self, config: AdaFuseConfig) -> tuple[str, ...]:
        return (
            "policy",
            "sampled",
            "all_on",
            "random",
            "threshold",
            "cgnet",
            "lstm",
            "ada_skip",
            "ada_reuse",
            EVERY_FRAME,
        )

    def published(self) -> tuple[PublishedRow, ...]:
        return published_rows()

    def tables(self) -> Mapping[str, Table]:
        return TABLES
