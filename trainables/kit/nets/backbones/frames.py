"""Two-dimensional networks on frames folded into the batch, with temporal max-pools between their stages."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from trainables.kit.nets.backbones.base import Backbone


class FrameNet(Backbone):
    """A chain of blocks with a temporal max-pool before some of them, then a global pool over the picture."""

    def __init__(
        self,
        blocks: Sequence[nn.Module],
        *,
        dim: int,
        pool_before: Collection[int] = (),
        picture_pool: Literal["mean", "max"] = "mean",
    ) -> None:
        super().__init__(dim)
        self.blocks = nn.ModuleList(blocks)
        self.pool_before = frozenset(pool_before)
        self.picture_pool = picture_pool
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def features(self, x_NTCHW: Tensor) -> Tensor:
        """``feature_NTD``: each temporal pool has halved the frames (rounding up)."""
        clips, frames = x_NTCHW.shape[:2]
        # Channels last: a training step of small_conv takes 20 to 33 % less time on a CPU (240 stills of 32 x 32).
        x = x_NTCHW.flatten(0, 1).contiguous(memory_format=torch.channels_last)
        for index, block in enumerate(self.blocks):
            if index in self.pool_before and frames > 1:
                x = temporal_max_pool(x, frames)
                frames = (frames + 1) // 2
            x = block(x)
        feature = x.amax((2, 3)) if self.picture_pool == "max" else x.mean((2, 3))
        return feature.view(clips, frames, self.dim)

    def frames_left(self, frames: int) -> int:
        """Frames after the temporal pools: 8 -> 1 with three of them, 8 -> 2 with two."""
        for _ in self.pool_before:
            frames = (frames + 1) // 2
        return frames


def temporal_max_pool(x: Tensor, frames: int) -> Tensor:
    """Max over neighbouring frames (kernel 3, stride 2, padding 1), folded: (N*T, C, H, W) -> (N*ceil(T/2), C, H, W).

    A picture of T rows and H*W columns is pooled along its rows: in channels-last memory no number is moved for that,
    and the result is channels-last again (max_pool1d needs time innermost: its forward pass takes 2.5 times as long for
    ``(32, 256, 56, 56)`` on a CPU).
    """
    images, _, height, width = x.shape
    rows = x.unflatten(0, (images // frames, frames)).transpose(1, 2).flatten(3)
    pooled = F.max_pool2d(rows, kernel_size=(3, 1), stride=(2, 1), padding=(1, 0))
    return pooled.unflatten(3, (height, width)).transpose(1, 2).flatten(0, 1)


class BatchNorm2d(nn.BatchNorm2d):
    """Batch norm that uses its running statistics, and leaves them alone, where a channel has a single value.

    That value has no variance, and torch raises. It happens in the middle of training when one segment was chosen and the
    last feature map is one place (pictures of 32 pixels in a network of stride 32).
    """

    def forward(self, input: Tensor) -> Tensor:  # (torch's name of the argument)
        """As ``nn.BatchNorm2d``."""
        if self.training and input.numel() == input.shape[1]:
            return F.batch_norm(input, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)
        return super().forward(input)
