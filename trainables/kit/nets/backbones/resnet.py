"""torchvision's ResNets (the stride of a block is in its 3x3 convolution)."""

from __future__ import annotations

from torch import nn

from trainables.kit.nets.backbones.base import BackboneSpec, Layout
from trainables.kit.nets.backbones.frames import BatchNorm2d, FrameNet
from trainables.kit.nets.backbones.weights import initialise

# isort: split
import torchvision.models as tv

LAYOUT = Layout(first="conv1", classifier="fc")


def build(spec: BackboneSpec) -> FrameNet:
    """Temporal pools at the input of residual stages 2, 3 and 4 (AdaMML): 8 frames end as 1."""
    net = getattr(tv, spec.name)(weights=None, norm_layer=BatchNorm2d)
    dim = net.fc.in_features
    initialise(net, spec, LAYOUT)
    stem = nn.Sequential(net.conv1, net.bn1, net.relu, net.maxpool)
    blocks = [stem, net.layer1, net.layer2, net.layer3, net.layer4]
    return FrameNet(blocks, dim=dim, pool_before=(2, 3, 4) if spec.temporal_pool else ())
