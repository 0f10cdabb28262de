"""A recognition net: what AdaMML computes of a segment where the policy chose its modality."""

from __future__ import annotations

from torch import Tensor, nn

from trainables.adamml.config import AdaMMLConfig
from trainables.kit.data.modalities import MODALITIES
from trainables.kit.nets.backbones import build_backbone
from trainables.kit.noise import KeyedDropout


class RecognitionNet(nn.Module):
    """Backbone, dropout, linear to classes, mean over the frames that are left (paper, section 4 and its release).

    Axes: ``N`` segment, ``T`` frame, ``D`` feature, ``C`` class.
    """

    def __init__(self, config: AdaMMLConfig, modality: str, classes: int) -> None:
        super().__init__()
        net = getattr(config.recognition, modality)
        frames, channels, size, _ = MODALITIES[modality].shape(config.data)
        self.backbone = build_backbone(
            net.backbone,
            channels,
            frames=frames,
            size=size,
            temporal_pool=net.temporal_pool,
            weights=net.weights,
            widths=net.widths,
        )
        self.dropout = KeyedDropout(config.recognition.dropout)
        self.head = nn.Linear(self.backbone.dim, classes)

    def forward(self, x_NTCHW: Tensor, key_N: Tensor | None = None) -> Tensor:
        """``logits_NC`` of N segments; ``key_N`` keys the dropout of each."""
        return self.head(self.dropout(self.backbone(x_NTCHW), key_N)).mean(1)

    def features(self, x_NTCHW: Tensor, key_N: Tensor | None = None) -> Tensor:
        """``feature_ND``: what the fc2 fusion joins, mean over the frames that are left."""
        return self.dropout(self.backbone(x_NTCHW), key_N).mean(1)
