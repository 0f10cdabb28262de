"""Names of the backbones; torch-free, so that a configuration is checked without loading a network."""

from __future__ import annotations

VIDEO_BACKBONE_NAMES = ("mvit_v2_s", "swin3d_t")
BACKBONE_NAMES = (
    "resnet18",
    "resnet34",
    "resnet50",
    "mobilenet_v2",
    "efficientnet_b0",
    "efficientnet_b1",
    "efficientnet_b3",
    "small_conv",
    *VIDEO_BACKBONE_NAMES,
)

# Weights that torchvision publishes, by the name that a configuration gives them.
PUBLISHED_WEIGHTS = ("imagenet", "kinetics400")
