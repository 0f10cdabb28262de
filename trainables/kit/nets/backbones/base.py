"""What every backbone is: frames in, features out, and an empty batch passes.

Axes: ``N`` clip (a segment of a video), ``T`` frame, ``C`` channel, ``H`` ``W`` picture, ``D`` feature.
"""

from __future__ import annotations

import abc
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor, nn


@dataclass(frozen=True, kw_only=True)
class BackboneSpec:
    """What :func:`build_backbone` was asked for; its docstring says what each field means."""

    name: str
    in_channels: int
    frames: int
    size: int
    temporal_pool: bool
    weights: str | None
    widths: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Where a torchvision network keeps its first convolution and its classifying linear layer."""

    first: str
    classifier: str


@dataclass(frozen=True, kw_only=True)
class Family:
    """How the backbones of one file are built. ``layout`` None: torchvision has no such network."""

    build: Callable[[BackboneSpec], Backbone]
    layout: Layout | None = None


class Backbone(nn.Module, abc.ABC):
    """A feature extractor of ``dim`` numbers for each frame that it leaves.

    **Empty batches.** A step that computes only chosen segments may have none for a network. Its features are then
    ``(0, T', D)``, every parameter that learns gets a gradient of zeros, and no statistic changes. The layers do not run:
    batch norm would count the step, and the reshapes of the video networks do not know what to do with nothing.

    **Synchronised batch norm** (``nn.SyncBatchNorm`` in train mode, several ranks) is a collective in the forward and
    in the backward pass: a rank that has nothing must take part, or the others wait for ever. So the ranks first add up
    their clips (one integer). If none has any, all take the way above, since of nothing there are no statistics.
    Otherwise the layers run on every rank, the empty ones included, whose count of 0 torch leaves out of
    the statistics. Two duties of the caller follow: it calls each network equally often on every rank, with whatever it
    has, and on every rank the loss depends on the output, so that the backward pass runs too.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim = dim

    @abc.abstractmethod
    def features(self, x_NTCHW: Tensor) -> Tensor:
        """``feature_NTD`` of at least one clip."""

    def frames_left(self, frames: int) -> int:
        """The ``T`` of the features of clips of ``frames`` frames."""
        return 1

    def forward(self, x_NTCHW: Tensor) -> Tensor:
        """``feature_NTD`` for the frames that are left; N may be 0."""
        clips = x_NTCHW.shape[0]  # not len(), which would fix the number in an exported graph
        group = self._synchronised_by()
        everywhere = clips if group is None else _sum_over_ranks(clips, group, x_NTCHW.device)
        if everywhere == 0:
            return self._nothing(x_NTCHW)
        if clips > 0:
            return self.features(x_NTCHW)
        # SyncBatchNorm exchanges the zeros of an empty batch in the type of its input, but everyone else's statistics in
        # float32 (torch 2.13, nn/modules/_functions.py): under autocast the two would not match.
        with torch.autocast(x_NTCHW.device.type, enabled=False):
            return self.features(x_NTCHW.float())

    def _nothing(self, x_NTCHW: Tensor) -> Tensor:
        nothing = x_NTCHW.new_zeros(0, self.frames_left(x_NTCHW.shape[1]), self.dim)
        # An empty slice of every parameter ties it to the output: its gradient is zeros instead of None.
        return nothing + sum(p.flatten()[:0].sum() for p in self.parameters() if p.requires_grad)

    def _synchronised_by(self) -> dist.ProcessGroup | None:
        """The group of ranks that share batch statistics with this one, if they do."""
        if not (dist.is_available() and dist.is_initialized()):
            return None
        for module in self.modules():
            if isinstance(module, nn.SyncBatchNorm) and module.training:
                group = module.process_group or dist.group.WORLD
                return group if dist.get_world_size(group) > 1 else None
        return None


def _sum_over_ranks(number: int, group: dist.ProcessGroup, device: torch.device) -> int:
    total = torch.tensor([number], device=device)
    dist.all_reduce(total, group=group)
    return int(total.item())
