"""A system in closed form that trains in milliseconds: it rehearses search, sweeps and faults by the path of real ones."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from trainables.contract import (
    PREVIEW,
    PREVIEW_TABLE,
    Batch,
    CostTable,
    Data,
    Knob,
    Loss,
    Optimiser,
    Pass,
    Replay,
    Scored,
    Share,
    Site,
    Stage,
    StepContext,
    System,
)
from trainables.kit.measure.headroom import headroom as modality_headroom
from trainables.kit.measure.replay import ModalityReplay
from trainables.toy import surface
from trainables.toy.config import MODALITIES, ToyConfig, ToyStage

if TYPE_CHECKING:
    from torch import nn

VIDEOS_A_BATCH = 32
THRESHOLDS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)


class ToySystem(System):
    """Two make-believe modalities, three stages, a planted front (:mod:`trainables.toy.surface`)."""

    name = "toy"
    Config = ToyConfig
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "tiny": {},
        "paper": {"stages": {"warmup": {"epochs": 5}, "joint": {"epochs": 20}, "finetune": {"epochs": 10}}},
    }

    def stages(self, config: ToyConfig) -> tuple[Stage, ...]:
        stages = config.stages
        slow = {"epoch_s": config.epoch_s}
        policy_fields = {
            **slow,
            "lambda": config.lambda_.model_dump(),
            "gamma": config.gamma,
            "temperature": config.temperature.model_dump(),
            "fault": config.fault.model_dump(),
        }
        return (
            _stage("warmup", stages.warmup, ("recognition",), depends=slow),
            _stage(
                "joint",
                stages.joint,
                ("recognition", "policy"),
                after="warmup",
                depends=policy_fields,
                candidates="every",
                forkable=True,
            ),
            _stage(
                "finetune", stages.finetune, ("recognition",), after="joint", depends=policy_fields, candidates="last"
            ),
        )

    def baseline_stages(self, config: ToyConfig) -> Mapping[str, tuple[Stage, ...]]:
        slow = {"epoch_s": config.epoch_s}
        warmup = self.stages(config)[0]
        return {
            "unimodal": tuple(
                _stage(
                    f"unimodal.{name}",
                    config.stages.joint,
                    (f"recognition.{name}",),
                    candidates="last",
                    mode=f"only.{name}",
                    baseline=f"unimodal.{name}",
                    depends=slow,
                )
                for name in MODALITIES
            ),
            "weighted_fusion": (
                warmup,
                _stage(
                    "weighted_fusion",
                    config.stages.joint,
                    ("recognition",),
                    after="warmup",
                    candidates="last",
                    mode="all_on",
                    baseline="weighted_fusion",
                    depends=slow,
                ),
            ),
        }

    def sites(self, config: ToyConfig) -> tuple[Site, ...]:
        return tuple(Site(name=name, kind="bernoulli", axes=("segment",)) for name in MODALITIES)

    def headroom_stages(self, config: ToyConfig) -> tuple[str, ...]:
        return ("warmup",)

    def headroom(self, config: ToyConfig, table: Replay, classes: int) -> Mapping[str, Scored]:
        assert isinstance(table, ModalityReplay)
        return modality_headroom(replace(table, cost=self.cost(config, classes)))

    def preview_stages(self, config: ToyConfig) -> tuple[Stage, ...]:
        joint = self.stages(config)[1]
        shape: dict[str, Any] = {"epochs": 0, "passes": (), "batch_size": joint.batch_size, "segments": 1, "modalities": MODALITIES}
        return (
            Stage(name=PREVIEW_TABLE, after=("warmup",), **shape),
            Stage(
                name=PREVIEW,
                after=(PREVIEW_TABLE,),
                depends={**joint.depends, "joint": config.stages.joint.model_dump()},
                **shape,
            ),
        )

    def preview_table(
        self, model: nn.Module, config: ToyConfig, data: Data, *, seed: int, share: Share
    ) -> Mapping[str, np.ndarray]:
        """Skills after the warm-up: all else is closed form."""
        from trainables.toy.model import ToyNet

        assert isinstance(model, ToyNet)
        return {"skill_M": model.skill().detach().cpu().numpy()}

    def preview(self, config: ToyConfig, table: Mapping[str, np.ndarray], *, seed: int) -> Replay:
        """The joint stage's descent of the thresholds, with recognition as it was."""
        import torch

        from trainables.kit.engine.ranks import Ranks
        from trainables.toy.data import ToyData
        from trainables.toy.model import ToyNet

        data = ToyData(config)
        net = ToyNet(config, len(data.classes))
        net.preview(config, table["skill_M"])
        with torch.no_grad():
            return self.replay(net, config, data, "val", mode="policy", seed=seed, share=Ranks())

    def knobs(self, config: ToyConfig) -> tuple[Knob, ...]:
        return tuple(Knob(name=f"threshold.{name}", default=0.5, values=THRESHOLDS) for name in MODALITIES)

    def trade_off(self, config: ToyConfig) -> tuple[str, ...]:
        return tuple(f"lambda.{name}" for name in MODALITIES)

    def data_fingerprint(self, config: ToyConfig) -> str:
        return hashlib.sha256(config.data.model_dump_json().encode()).hexdigest()[:16]

    def class_count(self, config: ToyConfig) -> int | None:
        return config.data.classes

    def open_data(self, config: ToyConfig, cache: Path) -> Data:
        from trainables.toy.data import ToyData

        return ToyData(config)

    def build(self, config: ToyConfig, classes: int) -> nn.Module:
        from trainables.toy.model import ToyNet

        return ToyNet(config, classes)

    def step(self, model: nn.Module, config: ToyConfig, batch: Batch, context: StepContext) -> Loss:
        from trainables.toy.model import ToyNet, step

        assert isinstance(model, ToyNet)
        return step(model, config, batch, context)

    def cost(self, config: ToyConfig, classes: int) -> CostTable:
        macs = dict(surface.MACS_PER_SEGMENT)
        return CostTable(
            per_segment_macs={"paper": macs, "full": macs},
            always_macs={"paper": surface.POLICY_MACS_PER_SEGMENT, "full": surface.POLICY_MACS_PER_SEGMENT},
            segments=config.data.segments,
        )

    def replay(
        self, model: nn.Module, config: ToyConfig, data: Data, split: str, *, mode: str, seed: int, share: Share
    ) -> Replay:
        from trainables.kit.measure.modality import SegmentOutput, modality_replay
        from trainables.kit.measure.share import shared_batches
        from trainables.toy.model import ToyNet

        assert isinstance(model, ToyNet)
        net, device = model, model.policy.threshold_M.device

        def forward(batch: Batch) -> SegmentOutput:
            batch = batch.to(device)
            return SegmentOutput(
                probability_BSM=net.use_probability(batch),
                logits_BSMC=net.segment_logits(batch),
                present_BSM=batch.present_BSM,
            )

        batches = shared_batches(
            data,
            split,
            modalities=MODALITIES,
            segments=config.data.segments,
            batch_size=VIDEOS_A_BATCH,
            share=share,
            device=device,
        )
        return modality_replay(
            forward,
            batches,
            modalities=MODALITIES,
            video_ids=data.ids(split),
            cost=self.cost(config, len(data.classes)),
            mode=mode,
            seed=seed,
            share=share,
        )

    def replay_from(self, arrays: Mapping[str, np.ndarray], config: ToyConfig) -> Replay:
        return ModalityReplay.from_arrays(arrays)

    def modes(self, config: ToyConfig) -> tuple[str, ...]:
        return ("policy", "all_on", "random", *(f"only.{name}" for name in MODALITIES))


def _stage(
    name: str,
    recipe: ToyStage,
    trains: Sequence[str],
    *,
    after: str | None = None,
    depends: Mapping[str, Any],
    **measured: Any,
) -> Stage:
    optimiser = Optimiser(name="sgd", lr=recipe.lr)
    return Stage(
        name=name,
        after=(after,) if after else (),
        epochs=recipe.epochs,
        passes=tuple(Pass(name=prefix.partition(".")[0], trains=(prefix,), optimiser=optimiser) for prefix in trains),
        batch_size=1024,
        segments=1,
        modalities=MODALITIES,
        depends=depends,
        **measured,
    )
