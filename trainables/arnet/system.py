"""AR-Net (Meng et al., ECCV 2020) behind the System contract."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from trainables.arnet.actions import FRAME, LOOK, actions, shares
from trainables.arnet.config import LEVELS, LOWEST, ArNetConfig
from trainables.arnet.inert import inert_warnings
from trainables.arnet.knobs import knobs
from trainables.arnet.presets import PRESETS
from trainables.arnet.published import published_rows
from trainables.arnet.stages import FIGURE_FRAMES, FRAMES, WARMUP, baseline_stages, main_stages
from trainables.arnet.tables import TABLES
from trainables.contract import (
    CONVENTIONS,
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
    SegmentPrediction,
    Share,
    Site,
    Stage,
    StepContext,
)
from trainables.kit.frames.config import EVERY_FRAME
from trainables.kit.frames.system import FrameSystem
from trainables.kit.measure.replay import ModalityReplay
from trainables.kit.nets.config import NetConfig
from trainables.pictures import VideoPictures
from trainables.tables import PublishedRow, Table
from trainables.timing import TimeTable

if TYPE_CHECKING:
    from torch import nn

    from trainables.arnet.predict import Runner


class ArNetSystem(FrameSystem):
    """A policy decides for each frame at which resolution it is worth computing, or how many frames to skip."""

    name = "arnet"
    Config = ArNetConfig
    presets: ClassVar[Mapping[str, Mapping[str, Json]]] = PRESETS
    counts = {**FrameSystem.counts, "paper": "as thop 0.0.31 counts, and a policy that looks at every frame"}

    def nets(self, config: ArNetConfig) -> Iterator[tuple[str, NetConfig]]:
        for level in config.levels:
            yield f"backbones.{level}", getattr(config.backbones, level)
        yield "policy", config.policy

    def data_part(self, config: ArNetConfig) -> Mapping[str, Json]:
        sizes = {level: {"size": config.size_of(level)} for level in LEVELS}  # which must fit the data's
        data = config.data.model_dump(mode="json", by_alias=True)
        return {"data": data, "backbones": sizes, "policy": {"size": config.policy.size}}

    def stages(self, config: ArNetConfig) -> tuple[Stage, ...]:
        return main_stages(config)

    def baseline_stages(self, config: ArNetConfig) -> Mapping[str, tuple[Stage, ...]]:
        return baseline_stages(config)

    def sites(self, config: ArNetConfig) -> tuple[Site, ...]:
        choices = tuple(action.name for action in actions(config))
        return (Site(name=FRAME, kind="categorical", axes=("frame",), choices=choices, shares=shares(config)),)

    def knobs(self, config: ArNetConfig) -> tuple[Knob, ...]:
        return knobs(config)

    def trade_off(self, config: ArNetConfig) -> tuple[str, ...]:
        return ("alpha",)

    def warnings(self, config: ArNetConfig, searched: Sequence[str]) -> tuple[str, ...]:
        return inert_warnings(config, searched)

    def build(self, config: ArNetConfig, classes: int) -> nn.Module:
        from trainables.arnet.model import ArNet

        return ArNet(config, classes)

    def without_initial_weights(self, config: ArNetConfig) -> ArNetConfig:
        raw = config.model_dump(by_alias=True)
        for net in (*(raw["backbones"][level] for level in LEVELS), raw["policy"]):
            net["weights"] = None
        return ArNetConfig.model_validate(raw)

    def step(self, model: nn.Module, config: ArNetConfig, batch: Batch, context: StepContext) -> Loss:
        from trainables.arnet.model import ArNet
        from trainables.arnet.steps import step

        assert isinstance(model, ArNet)
        return step(model, config, batch, context)

    def cost(self, config: ArNetConfig, classes: int) -> CostTable:
        from trainables.arnet.cost import cost_table

        return cost_table(config, classes)

    def replay(
        self, model: nn.Module, config: ArNetConfig, data: Data, split: str, *, mode: str, seed: int, share: Share
    ) -> Replay:
        from trainables.arnet.measure import every_frame, replay

        if mode == EVERY_FRAME:
            return every_frame(model, config, data, split, share=share)
        return replay(model, config, data, split, mode=mode, seed=seed, share=share)

    def predict(
        self, model: nn.Module, config: ArNetConfig, video: Path, *, knobs: Mapping[str, float], mode: str
    ) -> Prediction:
        return self._runner(model, config, knobs, mode).predict(video)

    def stream(
        self, model: nn.Module, config: ArNetConfig, video: Path, *, knobs: Mapping[str, float], mode: str
    ) -> Iterator[SegmentPrediction]:
        return self._runner(model, config, knobs, mode).stream(video)

    def _runner(self, model: nn.Module, config: ArNetConfig, knobs: Mapping[str, float], mode: str) -> Runner:
        from trainables.arnet.model import ArNet
        from trainables.arnet.predict import Runner

        assert isinstance(model, ArNet)
        return Runner(model, config, knobs, mode)

    def pictures(self, config: ArNetConfig, cache: Path, video_ids: Sequence[str]) -> Mapping[str, VideoPictures]:
        """The frames once, under the highest resolution: the others are smaller pictures of the same."""
        found = super().pictures(config, cache, video_ids)
        name = config.share_of(LEVELS[0])
        return {
            video: VideoPictures(jpeg={name: next(iter(one.jpeg.values()))}, bounds_s=one.bounds_s)
            for video, one in found.items()
        }

    headroom_mode = EVERY_FRAME

    def headroom_stages(self, config: ArNetConfig) -> tuple[str, ...]:
        """The warm-ups; of a policy that has to compute every frame none."""
        if not config.warm_up or config.actions == "resolutions":
            return ()
        return tuple(WARMUP + level for level in (*config.levels, LOWEST))

    def headroom(self, config: ArNetConfig, table: Replay, classes: int) -> Mapping[str, Scored]:
        from trainables.arnet.headroom import headroom

        assert isinstance(table, ModalityReplay)
        cost = self.cost(config, classes)
        look = {c: cost.per_segment_macs[c][LOOK] + cost.always_macs[c] for c in CONVENTIONS}
        return headroom(table, look, lowest=config.share_of(LOWEST))

    def measure_time(self, config: ArNetConfig, classes: int, videos: Sequence[Path]) -> TimeTable:
        from trainables.arnet.timing import measure_time

        return measure_time(self.without_initial_weights(config), classes, videos)

    def networks(self, model: nn.Module, config: ArNetConfig) -> Mapping[str, Network]:
        from trainables.arnet.model import ArNet
        from trainables.arnet.networks import networks

        assert isinstance(model, ArNet)
        return networks(model, config)

    def modes(self, config: ArNetConfig) -> tuple[str, ...]:
        return (
            "policy",
            "sampled",
            "all_on",
            "random",
            *(f"only.{level}" for level in (*config.levels, LOWEST)),
            "multi_scale",
            "lstm",
            *(f"{FRAMES}{count}" for count in FIGURE_FRAMES),
            EVERY_FRAME,
        )

    def published(self) -> tuple[PublishedRow, ...]:
        return published_rows()

    def tables(self) -> Mapping[str, Table]:
        return TABLES
