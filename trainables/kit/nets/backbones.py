"""Feature extractors by name. All take ``x_NTCHW`` (a still or a spectrogram has T = 1) and give ``feature_NTD``.

Two-dimensional nets see frames folded into the batch; where the AdaMML specification puts a temporal max-pool
(kernel 3, stride 2, padding 1, along time only) it halves the frames before a stage, so that 8 frames end as 1 in a
ResNet and 4 as 1 in a MobileNetV2.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

import trainables.kit.compat  # noqa: F401  (must come before torchvision: see its docstring)
from trainables.errors import UserError

# isort: split
import torchvision.models as tv


class TemporalMaxPool(nn.Module):
    """Max over neighbouring frames, folded: (N*T, C, H, W) -> (N*ceil(T/2), C, H, W)."""

    def forward(self, x: Tensor, frames: int) -> Tensor:
        """Pool ``x`` whose leading axis is N videos times ``frames``; one frame passes unchanged."""
        if frames == 1:
            return x
        _, channels, height, width = x.shape
        time_last = x.reshape(-1, frames, channels * height * width).transpose(1, 2)
        pooled = nn.functional.max_pool1d(time_last, kernel_size=3, stride=2, padding=1)
        return pooled.transpose(1, 2).reshape(-1, channels, height, width)


class Backbone(nn.Module):
    """A chain of blocks with temporal pools before some of them, then a global pool over the picture."""

    def __init__(
        self, blocks: Sequence[nn.Module], *, dim: int, pool_before: Sequence[int] = (), pool: str = "mean"
    ) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks)
        self.dim = dim
        self.pool_before = frozenset(pool_before)
        self.pool = pool
        self.temporal_pool = TemporalMaxPool()
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, x_NTCHW: Tensor) -> Tensor:
        """``feature_NTD`` for the frames that are left after the temporal pools."""
        videos, frames = x_NTCHW.shape[:2]
        # Channels last: a training step of small_conv takes 20 to 33 % less time on a CPU (240 stills of 32 x 32).
        x = x_NTCHW.flatten(0, 1).contiguous(memory_format=torch.channels_last)
        for index, block in enumerate(self.blocks):
            if index in self.pool_before and frames > 1:
                x = self.temporal_pool(x, frames)
                frames = (frames + 1) // 2
            x = block(x)
        feature = x.amax((2, 3)) if self.pool == "max" else x.mean((2, 3))
        return feature.view(videos, frames, self.dim)


def resnet(name: str, in_channels: int, *, temporal_pool: bool, weights: str | None, widths: Sequence[int]) -> Backbone:
    """torchvision's ResNet; temporal pools at the input of residual stages 2, 3 and 4."""
    net = getattr(tv, name)(weights=None)
    dim = net.fc.in_features
    load_imagenet(net, name, weights)
    net.conv1 = adapt_first_convolution(net.conv1, in_channels)
    stem = nn.Sequential(net.conv1, net.bn1, net.relu, net.maxpool)
    blocks = [stem, net.layer1, net.layer2, net.layer3, net.layer4]
    return Backbone(blocks, dim=dim, pool_before=(2, 3, 4) if temporal_pool else ())


def mobilenet_v2(
    name: str, in_channels: int, *, temporal_pool: bool, weights: str | None, widths: Sequence[int]
) -> Backbone:
    """torchvision's MobileNetV2 1.0; temporal pools before the first 64-channel and the first 160-channel block."""
    net = tv.mobilenet_v2(weights=None)
    load_imagenet(net, name, weights)
    net.features[0][0] = adapt_first_convolution(net.features[0][0], in_channels)
    return Backbone(list(net.features), dim=net.last_channel, pool_before=(7, 14) if temporal_pool else ())


def small_conv(
    name: str, in_channels: int, *, temporal_pool: bool, weights: str | None, widths: Sequence[int]
) -> Backbone:
    """A stride-2 3x3 convolution with batch norm and ReLU for each width, then the global maximum.

    For stills and spectrograms of a few thousand numbers; learns on a small set where the large nets do not.
    """
    if weights is not None:
        raise UserError(f"backbone small_conv has no published weights, got weights: {weights!r}; leave weights out")
    blocks, channels = [], in_channels
    for width in widths:
        convolution = nn.Conv2d(channels, width, 3, stride=2, padding=1, bias=False)
        blocks.append(nn.Sequential(convolution, nn.BatchNorm2d(width), nn.ReLU(inplace=True)))
        channels = width
    return Backbone(blocks, dim=channels, pool="max")


BACKBONES: Mapping[str, Callable[..., Backbone]] = {
    "resnet18": resnet,
    "resnet34": resnet,
    "resnet50": resnet,
    "mobilenet_v2": mobilenet_v2,
    "small_conv": small_conv,
}


def build_backbone(
    name: str, in_channels: int, *, temporal_pool: bool = True, weights: str | None = None, widths: Sequence[int] = ()
) -> Backbone:
    """The backbone called ``name``. ``weights``: None, ``imagenet`` (torchvision's, fetched once) or a file of them."""
    return BACKBONES[name](name, in_channels, temporal_pool=temporal_pool, weights=weights, widths=widths)


def adapt_first_convolution(convolution: nn.Conv2d, in_channels: int) -> nn.Conv2d:
    """The same convolution for other input channels: the mean of the RGB filters, repeated (AdaMML's release)."""
    if in_channels == convolution.in_channels:
        return convolution
    adapted = nn.Conv2d(
        in_channels,
        convolution.out_channels,
        kernel_size=convolution.kernel_size,  # type: ignore[arg-type]
        stride=convolution.stride,  # type: ignore[arg-type]
        padding=convolution.padding,  # type: ignore[arg-type]
        bias=convolution.bias is not None,
    )
    with torch.no_grad():
        adapted.weight.copy_(convolution.weight.mean(1, keepdim=True).expand_as(adapted.weight))
    return adapted


def load_imagenet(net: nn.Module, name: str, weights: str | None) -> None:
    """Load torchvision's ImageNet weights by name, or a state dict of the same layout from a file.

    Raises:
        UserError: the file is missing, or holds another network's weights.
    """
    if weights is None:
        return
    if weights == "imagenet":
        state = tv.get_model_weights(name)["IMAGENET1K_V1"].get_state_dict(progress=False)
    else:
        path = Path(weights)
        if not path.is_file():
            raise UserError(f"weights must be 'imagenet' or an existing file, got {weights!r}")
        state = torch.load(path, map_location="cpu", weights_only=True)
    try:
        net.load_state_dict(state)
    except RuntimeError as error:
        raise UserError(f"{weights}: these are not weights of torchvision's {name} ({error})") from error
