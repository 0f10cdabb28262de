"""torchvision's EfficientNets with a gate between the expansion and the depthwise convolution of each inverted residual block."""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn

import trainables.kit.compat  # noqa: F401  (must come before torchvision: see its docstring)
from trainables.adafuse.config import NetworkConfig
from trainables.adafuse.gates import GatePoint
from trainables.adafuse.nets.base import Block, Fuse, GatedNet, Plain
from trainables.kit.nets.backbones.base import BackboneSpec
from trainables.kit.nets.backbones.efficientnet import LAYOUT
from trainables.kit.nets.backbones.frames import BatchNorm2d
from trainables.kit.nets.backbones.weights import initialise

# isort: split
import torchvision.models as tv
from torchvision.models.efficientnet import MBConv

_EXPANDING = 4  # parts of a block: expansion, depthwise convolution, squeeze and excitation, projection


class InvertedBlock(Block):
    """torchvision's MBConv with an expansion."""

    def __init__(self, name: str, block: MBConv) -> None:
        super().__init__()
        self.name, self.block = name, block

    def point(self) -> GatePoint:
        """Between the expansion and the depthwise convolution."""
        parts = cast("list[nn.Sequential]", list(self.block.block))
        first, second = cast(nn.Conv2d, parts[0][0]), cast(nn.Conv2d, parts[1][0])
        return GatePoint(
            name=self.name, inputs=first.in_channels, channels=first.out_channels, before=[first], after=[second]
        )

    def forward(self, x_NCHW: Tensor, frames: int, fuse: Fuse | None) -> Tensor:
        """The block's output; stochastic depth is off (see ``kit.nets.backbones.weights``)."""
        parts = list(self.block.block)
        y_NKHW = parts[0](x_NCHW)
        if fuse is not None:
            y_NKHW = fuse(self.name, x_NCHW, y_NKHW)
        for part in parts[1:]:
            y_NKHW = part(y_NKHW)
        return y_NKHW + x_NCHW if self.block.use_res_connect else y_NKHW


def build(net: NetworkConfig) -> GatedNet:
    """EfficientNet-b0 to -b3."""
    model = getattr(tv, net.backbone)(weights=None, norm_layer=BatchNorm2d)
    dim = model.classifier[1].in_features
    spec = BackboneSpec(
        name=net.backbone, in_channels=3, frames=1, size=0, temporal_pool=False, weights=net.weights, widths=()
    )
    initialise(model, spec, LAYOUT)
    first, *stages, last = model.features
    blocks: list[Block] = [Plain(first)]
    for number, stage in enumerate(stages, 1):
        for place, block in enumerate(stage, 1):
            expands = len(block.block) == _EXPANDING
            blocks.append(InvertedBlock(f"mbconv{number}.{place}", block) if expands else Plain(block))
    return GatedNet([*blocks, Plain(last)], dim=dim)
