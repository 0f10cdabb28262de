"""What every gated network is: frames of videos in, features out, a call at each gate.

Axes: ``B`` video, ``T`` frame, ``N`` frame of any video, ``C`` ``K`` channel, ``H`` ``W`` picture, ``D`` feature.
"""

from __future__ import annotations

import abc
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from trainables.adafuse.gates import GatePoint

Fuse = Callable[[str, Tensor, Tensor], Tensor]  # (block, input x_NCHW, gated y_NKHW) -> what goes on, of y's shape


class Block(nn.Module, abc.ABC):
    """A part of the network with at most one gate, called ``name``."""

    name: str

    @abc.abstractmethod
    def forward(self, x_NCHW: Tensor, frames: int, fuse: Fuse | None) -> Tensor:
        """The block's output; without ``fuse`` the plain one."""

    def point(self) -> GatePoint | None:
        """Its gate."""
        return None


class Plain(Block):
    """A part without a gate."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, x_NCHW: Tensor, frames: int, fuse: Fuse | None) -> Tensor:
        """The module's output."""
        return self.module(x_NCHW)


class GatedNet(nn.Module):
    """A chain of blocks, then the mean (or largest) of the picture. ``gated``: names of the blocks that decide."""

    def __init__(self, blocks: Sequence[Block], *, dim: int, pool: nn.Module | None = None) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks)
        self.pool = pool or nn.AdaptiveAvgPool2d(1)
        self.dim = dim
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def points(self, names: Sequence[str]) -> tuple[GatePoint, ...]:
        """The gates of these blocks, in order."""
        found = [block.point() for block in self.blocks if isinstance(block, Block)]
        return tuple(point for point in found if point is not None and point.name in names)

    def forward(self, x_BTCHW: Tensor, fuse: Fuse | None = None) -> Tensor:
        """``feature_BTD``."""
        frames = x_BTCHW.shape[1]
        x = x_BTCHW.flatten(0, 1).contiguous(memory_format=torch.channels_last)
        for block in self.blocks:
            x = block(x, frames, fuse)
        return self.pool(x).flatten(1).unflatten(0, (-1, frames))
