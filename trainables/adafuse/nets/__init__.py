"""AdaFuse's networks by name: a stem, blocks with a gate in them, and what follows."""

from __future__ import annotations

from trainables.adafuse.config import NetworkConfig
from trainables.adafuse.names import EFFICIENTNETS, INCEPTION
from trainables.adafuse.nets import efficientnet, inception, resnet
from trainables.adafuse.nets.base import Fuse, GatedNet

__all__ = ["Fuse", "GatedNet", "build_net"]


def build_net(net: NetworkConfig) -> GatedNet:
    """The network of ``net``, without a classifier.

    Raises:
        UserError: its weights are missing or another network's.
    """
    if net.backbone == INCEPTION:
        return inception.build(net)
    if net.backbone in EFFICIENTNETS:
        return efficientnet.build(net)
    return resnet.build(net)
