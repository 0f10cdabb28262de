"""A data set seen with the classes of a model: labels are matched by name."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import torch

from trainables.contract import Batch, Data


class Relabelled:
    """``data`` with ``classes`` in the place of its own, which must all be among them. Implements :class:`Data`."""

    def __init__(self, data: Data, classes: Sequence[str]) -> None:
        self.classes: Sequence[str] = tuple(classes)
        self._data = data
        self._label_C = torch.tensor([self.classes.index(name) for name in data.classes])

    def ids(self, split: str) -> Sequence[str]:
        """Of the data."""
        return self._data.ids(split)

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
        """Of the data, relabelled."""
        batches = self._data.train_batches(
            modalities=modalities, segments=segments, batch_size=batch_size, draw=draw, rank=rank, ranks=ranks
        )
        return map(self._relabel, batches)

    def eval_batches(
        self, split: str, *, modalities: Sequence[str], segments: int, batch_size: int, rank: int = 0, ranks: int = 1
    ) -> Iterator[Batch]:
        """Of the data, relabelled."""
        batches = self._data.eval_batches(
            split, modalities=modalities, segments=segments, batch_size=batch_size, rank=rank, ranks=ranks
        )
        return map(self._relabel, batches)

    def _relabel(self, batch: Batch) -> Batch:
        labels_BC = None
        if batch.labels_BC is not None:
            labels_BC = batch.labels_BC.new_zeros(len(batch.labels_BC), len(self.classes))
            labels_BC[:, self._label_C] = batch.labels_BC
        return replace(batch, label_B=self._label_C[batch.label_B], labels_BC=labels_BC)
