"""A real network in milliseconds, for tests of the engine: dropout, batch norm in eval mode, noise, momentum, decay.

All that could depend on how a batch is laid out is in it: keyed dropout and noise, uneven last batches, a parameter
that no video uses (weight decay must not touch it) and one that a single video uses.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from trainables.contract import (
    Batch,
    CostTable,
    Data,
    Knob,
    Loss,
    Optimiser,
    Pass,
    Replay,
    Share,
    Site,
    Stage,
    StepContext,
    System,
    SystemConfig,
)
from trainables.kit.measure.modality import SegmentOutput, modality_replay
from trainables.kit.measure.replay import ModalityReplay
from trainables.kit.measure.share import shared_batches
from trainables.kit.noise import KeyedDropout, keys, uniform

SITES = ("a", "b")
CLASSES, SEGMENTS, FEATURES = 3, 4, 8
COUNTS = {"train": 11, "val": 13, "test": 9}


class SmallConfig(SystemConfig):
    """``nan_video``: the training video whose loss is not a number, or none."""

    epochs: int = 2
    batch_size: int = 4
    accumulate: int = 1
    precision: Literal["float32", "bfloat16"] = "float32"
    select: Literal["last", "best_accuracy", "best_objective"] = "last"
    mode: str = "policy"
    start: float | None = None
    nan_video: int = -1


class EvalBatchNorm(nn.BatchNorm1d):
    """Its statistics are fixed; its scale and shift learn."""

    def train(self, mode: bool = True) -> EvalBatchNorm:
        return super().train(False)


class SmallNet(nn.Module):
    """``recognition`` and ``policy`` are the groups that train."""

    def __init__(self) -> None:
        super().__init__()
        self.recognition = nn.ModuleDict(
            {
                "body": nn.Sequential(nn.Linear(FEATURES, 16), EvalBatchNorm(16), nn.ReLU()),
                "dropout": KeyedDropout(0.5),
                "head": nn.Linear(16, CLASSES),
            }
        )
        self.recognition.register_parameter("unused", nn.Parameter(torch.ones(2)))
        self.recognition.register_parameter("rare", nn.Parameter(torch.ones(CLASSES)))
        self.policy = nn.Linear(FEATURES, len(SITES))

    def logits(self, x_BSD: Tensor, key_BS: Tensor | None = None) -> Tensor:
        """``logits_BSC``."""
        x_ND = self.recognition["body"](x_BSD.flatten(0, 1))
        dropped = self.recognition["dropout"](x_ND, None if key_BS is None else key_BS.flatten())
        return self.recognition["head"](dropped).view(*x_BSD.shape[:2], -1)

    def use(self, x_BSD: Tensor) -> Tensor:
        """``probability_BSM``."""
        return torch.sigmoid(self.policy(x_BSD))


class SmallData:
    """Gaussian features whose sum tells the class."""

    classes = tuple(f"class-{c}" for c in range(CLASSES))

    def ids(self, split: str) -> Sequence[str]:
        return tuple(f"{split}-{b}" for b in range(COUNTS[split]))

    def train_batches(
        self,
        *,
        modalities: Sequence[str],
        segments: int,
        batch_size: int,
        draw: tuple[int, ...],
        rank: int = 0,
        ranks: int = 1,
    ) -> Iterator[Batch]:
        order = np.random.default_rng([*draw]).permutation(COUNTS["train"])
        for first in range(0, len(order), batch_size):
            yield self._batch("train", order[first : first + batch_size][rank::ranks])

    def eval_batches(
        self, split: str, *, modalities: Sequence[str], segments: int, batch_size: int, rank: int = 0, ranks: int = 1
    ) -> Iterator[Batch]:
        mine = np.arange(rank, COUNTS[split], ranks)
        for first in range(0, len(mine), batch_size):
            yield self._batch(split, mine[first : first + batch_size])

    def _batch(self, split: str, index_B: np.ndarray) -> Batch:
        seeds = [np.random.default_rng([len(split), index]) for index in index_B]
        x_BSD = torch.from_numpy(np.stack([rng.standard_normal((SEGMENTS, FEATURES)) for rng in seeds])).float()
        return Batch(
            inputs={"x": x_BSD},
            label_B=(x_BSD.sum((1, 2)).abs() * 3).long() % CLASSES,
            present_BSM=torch.ones(len(index_B), SEGMENTS, len(SITES), dtype=torch.bool),
            index_B=torch.from_numpy(index_B),
        )


class SmallSystem(System):
    """Two stages: ``first`` trains both parts in two passes, ``again`` measures its result and trains nothing."""

    name = "small"
    Config = SmallConfig
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {}

    def stages(self, config: SmallConfig) -> tuple[Stage, ...]:
        sgd = Optimiser(name="sgd", lr=0.2, momentum=0.9, weight_decay=0.01)
        adam = Optimiser(name="adamw", lr=0.05, weight_decay=0.01, schedule="one_cycle")
        first = Stage(
            name="first",
            epochs=config.epochs,
            passes=(
                Pass(name="recognition", trains=("recognition",), optimiser=sgd),
                Pass(name="policy", trains=("policy",), optimiser=adam),
            ),
            batch_size=config.batch_size,
            segments=SEGMENTS,
            modalities=SITES,
            candidates="every",
            mode=config.mode,
            select=config.select,
            accumulate=config.accumulate,
            precision=config.precision,
            depends={"start": config.start, "nan_video": config.nan_video},
        )
        again = Stage(
            name="again",
            after=("first",),
            epochs=0,
            passes=(),
            batch_size=config.batch_size,
            segments=SEGMENTS,
            modalities=SITES,
            candidates="last",
            mode="random",
        )
        return first, again

    def sites(self, config: SmallConfig) -> tuple[Site, ...]:
        return tuple(Site(name=name, kind="bernoulli", axes=("segment",)) for name in SITES)

    def knobs(self, config: SmallConfig) -> tuple[Knob, ...]:
        return tuple(Knob(name=f"threshold.{name}", default=0.5, values=(0.3, 0.5, 0.7)) for name in SITES)

    def data_fingerprint(self, config: SmallConfig) -> str:
        return "gaussian"

    def data_part(self, config: SmallConfig) -> Mapping[str, Any]:
        return {}

    def open_data(self, config: SmallConfig, cache: Path) -> Data:
        return SmallData()

    def build(self, config: SmallConfig, classes: int) -> nn.Module:
        return SmallNet()

    def initial_state(self, config: SmallConfig, stage: str, classes: Sequence[str]) -> Mapping[str, Tensor]:
        if config.start is None:
            return {}
        return {"recognition.head.bias": torch.full((len(classes),), config.start)}

    def step(self, model: nn.Module, config: SmallConfig, batch: Batch, context: StepContext) -> Loss:
        assert isinstance(model, SmallNet)
        x_BSD = batch.inputs["x"]
        key_BS = keys(context.noise, batch.index_B[:, None], torch.arange(SEGMENTS))
        if context.pass_name == "recognition":
            logits_BC = model.logits(x_BSD, key_BS).mean(1)
            if (batch.index_B == 0).any():
                is_first_B = (batch.index_B == 0).to(logits_BC.dtype)
                logits_BC = logits_BC + is_first_B[:, None] * model.recognition.get_parameter("rare")
        else:
            with torch.no_grad():
                logits_BSC = model.logits(x_BSD, key_BS)
            used_BSM = model.use(x_BSD) * uniform(key_BS, len(SITES))
            logits_BC = (logits_BSC * used_BSM.sum(-1, keepdim=True)).mean(1)
        total = F.cross_entropy(logits_BC, batch.label_B)
        if (batch.index_B == config.nan_video).any():
            total = total * float("nan")
        return Loss(total=total, logs={"accuracy": (logits_BC.argmax(-1) == batch.label_B).float().mean(), "one": 1.0})

    def cost(self, config: SmallConfig, classes: int) -> CostTable:
        macs = dict.fromkeys(SITES, 1000)
        return CostTable(
            per_segment_macs={"paper": macs, "full": macs},
            always_macs={"paper": 10, "full": 10},
            segments=SEGMENTS,
        )

    def replay(
        self, model: nn.Module, config: SmallConfig, data: Data, split: str, *, mode: str, seed: int, share: Share
    ) -> Replay:
        assert isinstance(model, SmallNet)
        net = model

        def forward(batch: Batch) -> SegmentOutput:
            x_BSD = batch.inputs["x"]
            logits_BSMC = torch.stack([net.logits(x_BSD), net.logits(-x_BSD)], 2)
            return SegmentOutput(
                probability_BSM=net.use(x_BSD),
                # As where another kernel is chosen for another size of batch: last bits that depend on it.
                logits_BSMC=logits_BSMC * (1 + 1e-6 * len(x_BSD)),
                present_BSM=batch.present_BSM,
            )

        batches = shared_batches(
            data,
            split,
            modalities=SITES,
            segments=SEGMENTS,
            batch_size=3,
            share=share,
            device=torch.device("cpu"),
        )
        return modality_replay(
            forward,
            batches,
            modalities=SITES,
            video_ids=data.ids(split),
            cost=self.cost(config, CLASSES),
            mode=mode,
            seed=seed,
            share=share,
        )

    def replay_from(self, arrays: Mapping[str, np.ndarray], config: SmallConfig) -> Replay:
        return ModalityReplay.from_arrays(arrays)
