"""A few strided convolutions, for stills and spectrograms of a few thousand numbers."""

from __future__ import annotations

from torch import nn

from trainables.errors import UserError
from trainables.kit.nets.backbones.base import BackboneSpec
from trainables.kit.nets.backbones.frames import BatchNorm2d, FrameNet


def build(spec: BackboneSpec) -> FrameNet:
    """A stride-2 3x3 convolution with batch norm and ReLU for each width, then the global maximum; no temporal pool.

    Learns on a small set where the large nets do not.

    Raises:
        UserError: no widths, or weights are asked for.
    """
    if not spec.widths:
        raise UserError("backbone small_conv needs widths, one a layer, got none; for example widths: [24, 48, 96]")
    if spec.weights is not None:
        raise UserError(
            f"backbone small_conv has no published weights, got weights: {spec.weights!r}; leave weights out"
        )
    blocks, channels = [], spec.in_channels
    for width in spec.widths:
        convolution = nn.Conv2d(channels, width, 3, stride=2, padding=1, bias=False)
        blocks.append(nn.Sequential(convolution, BatchNorm2d(width), nn.ReLU(inplace=True)))
        channels = width
    return FrameNet(blocks, dim=channels, picture_pool="max")
