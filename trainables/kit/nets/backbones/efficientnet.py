"""torchvision's EfficientNets."""

from __future__ import annotations

from trainables.kit.nets.backbones.base import BackboneSpec, Layout
from trainables.kit.nets.backbones.frames import BatchNorm2d, FrameNet
from trainables.kit.nets.backbones.weights import initialise

# isort: split
import torchvision.models as tv

LAYOUT = Layout(first="features.0.0", classifier="classifier.1")


def build(spec: BackboneSpec) -> FrameNet:
    """Temporal pools before the stages of stride 8, 16 and 32, as in a ResNet: 8 frames end as 1.

    AdaMML's paper uses EfficientNets (Table 6) and does not say where it pools. With these three pools EfficientNet-b3
    costs 2.87 G a segment of 8 frames at 224 px, and the published 30.55 G a video (10 segments, policy 0.7595 G, audio
    b0 0.50 G chosen for 56 %) mean that RGB is chosen for 70 % of the segments; the published row of ResNet-50 | MobileNetV2
    in the same table means 71 %. Without pools (7.69 G) it would be 26 %, with the last two alone 47 %.
    """
    net = getattr(tv, spec.name)(weights=None, norm_layer=BatchNorm2d)
    dim = net.classifier[1].in_features
    initialise(net, spec, LAYOUT)
    return FrameNet(list(net.features), dim=dim, pool_before=(3, 4, 6) if spec.temporal_pool else ())
