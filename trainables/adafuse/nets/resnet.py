"""Residual networks with a gate between the first and the second convolution of each block, with or without temporal shift."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

import trainables.kit.compat  # noqa: F401  (must come before torchvision: see its docstring)
from trainables.adafuse.config import NetworkConfig
from trainables.adafuse.gates import GatePoint
from trainables.adafuse.names import SMALL
from trainables.adafuse.nets.base import Block, Fuse, GatedNet, Plain
from trainables.errors import UserError
from trainables.kit.nets.backbones.base import BackboneSpec
from trainables.kit.nets.backbones.frames import BatchNorm2d
from trainables.kit.nets.backbones.resnet import LAYOUT
from trainables.kit.nets.backbones.weights import initialise

# isort: split
import torchvision.models as tv
from torchvision.models.resnet import BasicBlock, Bottleneck

SHIFTED = 8  # one channel in so many comes from the frame after, and as many from the frame before


class ResidualBlock(Block):
    """torchvision's block. Shifted are what its convolutions, its policy and its downsampling see; an identity is not."""

    def __init__(self, name: str, block: BasicBlock | Bottleneck, *, shift: bool) -> None:
        super().__init__()
        self.name, self.block, self.shift = name, block, shift

    def point(self) -> GatePoint:
        """Between the first and the second convolution."""
        first, second = self.block.conv1, self.block.conv2
        return GatePoint(
            name=self.name, inputs=first.in_channels, channels=first.out_channels, before=[first], after=[second]
        )

    def forward(self, x_NCHW: Tensor, frames: int, fuse: Fuse | None) -> Tensor:
        """The block's output."""
        shifted = self.shifted(x_NCHW, frames)
        y_NKHW = self.first(shifted)
        if fuse is not None:
            y_NKHW = fuse(self.name, shifted, y_NKHW)
        return self.last(self.block.conv2(y_NKHW), shifted, x_NCHW)

    def shifted(self, x_NCHW: Tensor, frames: int) -> Tensor:
        """What the block sees of its input."""
        return temporal_shift(x_NCHW, frames) if self.shift else x_NCHW

    def first(self, x_NCHW: Tensor, channels: Tensor | None = None) -> Tensor:
        """``y_NKHW``: first convolution, batch norm (by running statistics, if of some ``channels`` alone) and ReLU."""
        conv, norm = self.block.conv1, self.block.bn1
        if channels is None:
            return F.relu(norm(conv(x_NCHW)))
        y_NKHW = F.conv2d(x_NCHW, conv.weight[channels], stride=conv.stride, padding=conv.padding)
        assert norm.running_mean is not None
        assert norm.running_var is not None
        mean_K, var_K = norm.running_mean[channels], norm.running_var[channels]
        return F.relu(
            F.batch_norm(
                y_NKHW, mean_K, var_K, norm.weight[channels], norm.bias[channels], training=False, eps=norm.eps
            )
        )

    def second(self, y_NKHW: Tensor, channels: Tensor) -> Tensor:
        """The second convolution over some of its input channels, which ``y_NKHW`` holds alone."""
        conv = self.block.conv2
        return F.conv2d(y_NKHW, conv.weight[:, channels], stride=conv.stride, padding=conv.padding)

    def last(self, z_NKHW: Tensor, shifted_NCHW: Tensor, x_NCHW: Tensor) -> Tensor:
        """All that follows the second convolution."""
        block = self.block
        z = block.bn2(z_NKHW)
        if isinstance(block, Bottleneck):
            z = block.bn3(block.conv3(F.relu(z)))
        return F.relu(z + (x_NCHW if block.downsample is None else block.downsample(shifted_NCHW)))


def temporal_shift(x_NCHW: Tensor, frames: int) -> Tensor:
    """The first eighth of the channels from the frame after, the second from the frame before; zeros beyond the video (TSM)."""
    x_BTCHW = x_NCHW.unflatten(0, (-1, frames))
    fold = x_BTCHW.shape[2] // SHIFTED
    after, earlier, rest = x_BTCHW.split([fold, fold, x_BTCHW.shape[2] - 2 * fold], 2)
    after = torch.cat([after[:, 1:], torch.zeros_like(after[:, :1])], 1)
    earlier = torch.cat([torch.zeros_like(earlier[:, :1]), earlier[:, :-1]], 1)
    shifted = torch.cat([after, earlier, rest], 2).flatten(0, 1)
    return shifted.contiguous(memory_format=torch.channels_last)


def build(net: NetworkConfig) -> GatedNet:
    """ResNet-18 or -50 with torchvision's weights, or a small one: a convolution, then a block a width."""
    return _small(net) if net.backbone == SMALL else _torchvision(net)


def _torchvision(net: NetworkConfig) -> GatedNet:
    model = getattr(tv, net.backbone)(weights=None, norm_layer=BatchNorm2d)
    dim = model.fc.in_features
    spec = BackboneSpec(
        name=net.backbone, in_channels=3, frames=1, size=0, temporal_pool=False, weights=net.weights, widths=()
    )
    initialise(model, spec, LAYOUT)
    blocks: list[Block] = [Plain(nn.Sequential(model.conv1, model.bn1, model.relu, model.maxpool))]
    for number in range(1, 5):
        layer = getattr(model, f"layer{number}")
        blocks += [
            ResidualBlock(f"layer{number}.{place}", cast("BasicBlock | Bottleneck", block), shift=net.shift)
            for place, block in enumerate(layer, 1)
        ]
    return GatedNet(blocks, dim=dim)


def _small(net: NetworkConfig) -> GatedNet:
    if net.weights is not None:
        raise UserError(f"backbone {SMALL} has no published weights, got weights: {net.weights!r}; leave weights out")
    width, *later = net.widths
    stem = nn.Sequential(nn.Conv2d(3, width, 3, stride=2, padding=1, bias=False), BatchNorm2d(width), nn.ReLU())
    blocks: list[Block] = [Plain(stem)]
    for number, after in enumerate(later, 1):
        down = nn.Sequential(nn.Conv2d(width, after, 1, stride=2, bias=False), BatchNorm2d(after))
        block = BasicBlock(width, after, stride=2, downsample=down, norm_layer=BatchNorm2d)
        blocks.append(ResidualBlock(f"layer{number}.1", block, shift=net.shift))
        width = after
    return GatedNet(blocks, dim=width, pool=nn.AdaptiveMaxPool2d(1))
