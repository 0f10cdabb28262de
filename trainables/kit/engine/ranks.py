"""The processes that train and measure one stage together. One rank needs no process group."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

T = TypeVar("T")

_BUCKET_BYTES = 32 * 2**20  # of gradients that travel together: few messages, and never a second copy of the network
_ROWS = 256  # that are gathered at a time: a row of 10 segments, 3 modalities and 487 classes is 58 kB


@dataclass(frozen=True, kw_only=True)
class Ranks:
    """Position of this process: ``rank`` of ``ranks``. Implements :class:`trainables.contract.Share`.

    Gradients and batch statistics travel by the default process group, on the device; objects and single numbers by
    ``side``, which is gloo (None: the default group is).
    """

    rank: int = 0
    ranks: int = 1
    side: dist.ProcessGroup | None = None

    @classmethod
    def joined(cls) -> Ranks:
        """This process's place in the default process group, if there is one. All its processes must call this."""
        if not dist.is_initialized():
            return cls()
        side = None if dist.get_backend() == "gloo" else dist.new_group(backend="gloo")
        return cls(rank=dist.get_rank(), ranks=dist.get_world_size(), side=side)

    @property
    def first(self) -> bool:
        """Whether this process writes files and reports."""
        return self.rank == 0

    # --- what they tell each other ------------------------------------------------------------------------------------

    def broadcast(self, value: T) -> T:
        """The first rank's ``value``, on every rank."""
        if self.ranks == 1:
            return value
        box = [value]
        dist.broadcast_object_list(box, src=0, group=self.side)
        return box[0]

    def gather(self, rows: Mapping[int, Any]) -> dict[int, Any]:
        """The rows of all ranks, in the order of their numbers, on every rank. A number belongs to one rank alone."""
        if self.ranks == 1:
            return dict(sorted(rows.items()))
        mine = sorted(rows)
        merged: dict[int, Any] = {}
        for first in range(0, int(self._reduced([len(mine)], dist.ReduceOp.MAX)[0]), _ROWS):
            boxes: list[Any] = [None] * self.ranks
            some = {number: rows[number] for number in mine[first : first + _ROWS]}
            dist.all_gather_object(boxes, some, group=self.side)
            for box in boxes:
                merged |= box
        return dict(sorted(merged.items()))

    def sum(self, *numbers: float) -> list[float]:
        """Each number's sum over the ranks."""
        return list(numbers) if self.ranks == 1 else self._reduced(numbers, dist.ReduceOp.SUM)

    def smallest(self, number: int) -> int:
        """The smallest of the ranks' numbers."""
        return number if self.ranks == 1 else int(self._reduced([number], dist.ReduceOp.MIN)[0])

    def _reduced(self, numbers: Iterable[float], how: Any) -> list[float]:
        values = torch.tensor(list(numbers), dtype=torch.float64)
        dist.all_reduce(values, op=how, group=self.side)
        return values.tolist()

    # --- what they share of a network ---------------------------------------------------------------------------------

    def combine_gradients(self, parameters: Iterable[nn.Parameter], *, weight: float) -> None:
        """Sum of the ranks' gradients, each times its ``weight`` (its share of the batch's videos).

        A rank that did not use a parameter counts as zero; one that no rank used keeps no gradient, as with one rank.
        """
        if self.ranks == 1:
            return
        parameters = list(parameters)
        used = self._reduced([float(p.grad is not None) for p in parameters], dist.ReduceOp.SUM)
        for p, count in zip(parameters, used, strict=True):
            if count and p.grad is None:
                p.grad = torch.zeros_like(p)
        for bucket in _buckets([p.grad for p in parameters if p.grad is not None]):
            flat = torch.cat([grad.reshape(-1) for grad in bucket]).mul_(weight)
            dist.all_reduce(flat)
            _spread(flat, bucket)

    def copy_buffers(self, model: nn.Module) -> None:
        """Every rank takes the first one's buffers (batch statistics)."""
        if self.ranks == 1:
            return
        for bucket in _buckets(list(model.buffers())):
            flat = torch.cat([buffer.reshape(-1) for buffer in bucket])
            dist.broadcast(flat, src=0)
            _spread(flat, bucket)


def _buckets(tensors: list[Tensor]) -> Iterator[list[Tensor]]:
    """``tensors`` in their order, cut where the type changes or a bucket is full."""
    bucket: list[Tensor] = []
    size = 0
    for tensor in tensors:
        if bucket and (tensor.dtype != bucket[0].dtype or size + tensor.nbytes > _BUCKET_BYTES):
            yield bucket
            bucket, size = [], 0
        bucket.append(tensor)
        size += tensor.nbytes
    if bucket:
        yield bucket


def _spread(flat: Tensor, tensors: list[Tensor]) -> None:
    """Write the consecutive parts of ``flat`` into ``tensors``, each in its own memory layout."""
    for tensor, part in zip(tensors, flat.split([t.numel() for t in tensors]), strict=True):
        tensor.copy_(part.view(tensor.shape))
