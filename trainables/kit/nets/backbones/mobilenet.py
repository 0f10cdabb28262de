"""torchvision's MobileNetV2, width 1.0."""

from __future__ import annotations

from trainables.kit.nets.backbones.base import BackboneSpec, Layout
from trainables.kit.nets.backbones.frames import BatchNorm2d, FrameNet
from trainables.kit.nets.backbones.weights import initialise

# isort: split
import torchvision.models as tv

LAYOUT = Layout(first="features.0.0", classifier="classifier.1")


def build(spec: BackboneSpec) -> FrameNet:
    """Temporal pools before the first 64-channel and the first 160-channel block (AdaMML's policy).

    4 frames end as 1. 8 frames (as a recognition net, which the paper does not have) end as 2, over which the mean
    is taken like over any frames that are left.
    """
    net = tv.mobilenet_v2(weights=None, norm_layer=BatchNorm2d)
    initialise(net, spec, LAYOUT)
    return FrameNet(list(net.features), dim=net.last_channel, pool_before=(7, 14) if spec.temporal_pool else ())
