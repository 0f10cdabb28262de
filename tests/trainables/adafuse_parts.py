"""Small configurations and random batches for AdaFuse's tests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from tests.trainables.adamml_parts import merged
from trainables.adafuse.config import AdaFuseConfig
from trainables.adafuse.model import AdaFuse
from trainables.adafuse.system import AdaFuseSystem
from trainables.contract import Batch

CLASSES = 4


def adafuse_config(
    changes: Mapping[str, Any] | None = None, manifest: str = "unused.jsonl", preset: str = "tiny"
) -> AdaFuseConfig:
    """A preset with ``changes``."""
    raw = merged(merged(AdaFuseSystem.presets[preset], {"data": {"manifest": manifest}}), changes or {})
    return AdaFuseConfig.model_validate(raw)


def new_model(config: AdaFuseConfig, *, decisive: float = 0.0) -> AdaFuse:
    """Seeded initial weights, in eval mode. ``decisive``: weights of the policies' layers, so large that choices differ."""
    torch.manual_seed(0)
    model = AdaFuse(config, CLASSES).eval()
    if decisive:
        make_decisive(model, decisive)
    return model


def make_decisive(model: AdaFuse, std: float) -> None:
    """Policies whose choices differ from channel to channel and from frame to frame, and batch norms that are not the identity."""
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for name, tensor in model.policy.named_parameters():
            if "layers" in name:
                tensor.copy_(torch.randn(tensor.shape, generator=generator) * (std if tensor.dim() > 1 else 0.1))
        for module in model.backbone.modules():
            if isinstance(module, torch.nn.BatchNorm2d) and module.running_mean is not None:
                module.running_mean.copy_(torch.randn(module.running_mean.shape, generator=generator) * 0.1)


def random_batch(config: AdaFuseConfig, *, videos: int = 3, frames: int = 5) -> Batch:
    """Noise."""
    generator = torch.Generator().manual_seed(7)
    size = config.data.crop_size
    return Batch(
        inputs={"rgb": torch.randn(videos, frames, 1, 3, size, size, generator=generator)},
        label_B=torch.arange(videos) % CLASSES,
        present_BSM=torch.ones(videos, frames, 1, dtype=torch.bool),
        index_B=torch.arange(videos),
    )
