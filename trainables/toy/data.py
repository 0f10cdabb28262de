"""The toy's data: relevances instead of pixels. One training batch an epoch, no file is read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch

from trainables.contract import Batch
from trainables.toy import surface
from trainables.toy.config import MODALITIES, ToyConfig


class ToyData:
    """Implements :class:`trainables.contract.Data`; ``inputs["relevance"]`` is ``r_BSM``."""

    def __init__(self, config: ToyConfig) -> None:
        self.config = config
        self.classes = tuple(f"class-{c}" for c in range(config.data.classes))

    def ids(self, split: str) -> Sequence[str]:
        return tuple(f"{split}-{b:05d}" for b in range(len(surface.labels(self.config, split))))

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
        yield self._batch("train", np.arange(rank, len(self.ids("train")), ranks))

    def eval_batches(
        self, split: str, *, modalities: Sequence[str], segments: int, batch_size: int, rank: int = 0, ranks: int = 1
    ) -> Iterator[Batch]:
        mine = np.arange(rank, len(self.ids(split)), ranks)
        for first in range(0, len(mine), batch_size):
            yield self._batch(split, mine[first : first + batch_size])

    def _batch(self, split: str, index_B: np.ndarray) -> Batch:
        relevance_BSM = torch.from_numpy(surface.relevance(self.config, split, index_B)).float()
        return Batch(
            inputs={"relevance": relevance_BSM},
            label_B=torch.from_numpy(surface.labels(self.config, split)[index_B]),
            present_BSM=torch.ones((*relevance_BSM.shape[:2], len(MODALITIES)), dtype=torch.bool),
            index_B=torch.from_numpy(index_B),
        )
