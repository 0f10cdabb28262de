"""torchvision's video transformers. They mix time themselves: one feature a clip, no temporal pools."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from trainables.errors import UserError
from trainables.kit.nets.backbones.base import Backbone, BackboneSpec, Layout
from trainables.kit.nets.backbones.weights import NAMED, initialise

# isort: split
import torchvision.models.video as tv_video

MVIT_LAYOUT = Layout(first="conv_proj", classifier="head.1")
SWIN_LAYOUT = Layout(first="patch_embed.proj", classifier="head")
SWIN_SMALLEST = 193  # pixels: below, the last of the four stages has fewer places than its 7 x 7 window


class MViT(Backbone):
    """MViTv2 (Li et al., 2022): the feature is the class token.

    Trained on 16 frames of 224 px (every 4th frame of 64). Other lengths and sizes work: the grid is that of the first
    convolution's output, and torchvision interpolates the tables of relative positions to it. The parameters have the same
    shapes at every size, so a checkpoint moves between sizes.
    """

    def __init__(self, net: Any, dim: int) -> None:
        super().__init__(dim)
        self.net = net

    def features(self, x_NTCHW: Tensor) -> Tensor:
        """``feature_NTD`` with T = 1."""
        grid_NDTHW = self.net.conv_proj(x_NTCHW.transpose(1, 2))
        places = tuple(grid_NDTHW.shape[2:])
        tokens = self.net.pos_encoding(grid_NDTHW.flatten(2).transpose(1, 2))
        for block in self.net.blocks:
            tokens, places = block(tokens, places)
        return self.net.norm(tokens)[:, :1]


class Swin3d(Backbone):
    """Video Swin Transformer (Liu et al., 2022): the feature is the mean over the last stage's places.

    Trained on 32 frames of 224 px (every 2nd frame of 64). Any length and size works: what does not fill a window is
    padded.
    """

    def __init__(self, net: Any, dim: int) -> None:
        super().__init__(dim)
        self.net = net

    def features(self, x_NTCHW: Tensor) -> Tensor:
        """``feature_NTD`` with T = 1."""
        return self.net(x_NTCHW.transpose(1, 2)).unsqueeze(1)


def build_mvit(spec: BackboneSpec) -> MViT:
    """MViTv2 for ``spec``."""
    net = getattr(tv_video, spec.name)(weights=None)
    dim = net.head[1].in_features
    initialise(net, spec, MVIT_LAYOUT)
    return MViT(net, dim)


def build_swin(spec: BackboneSpec) -> Swin3d:
    """Video Swin Transformer for ``spec``.

    Raises:
        UserError: published weights at a size where torchvision would read their position bias at wrong places: it indexes
            a smaller window's bias as if it were the first places of a whole one, which holds along time only.
    """
    if spec.weights in NAMED and spec.size < SWIN_SMALLEST:
        raise UserError(
            f"published weights of {spec.name} need pictures of at least {SWIN_SMALLEST} px (windows of 7 x 7 in every "
            f"stage), got {spec.size}; use larger pictures, or train without weights"
        )
    net = getattr(tv_video, spec.name)(weights=None)
    dim = net.head.in_features
    initialise(net, spec, SWIN_LAYOUT)
    return Swin3d(net, dim)
