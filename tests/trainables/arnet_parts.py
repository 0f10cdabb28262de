"""Small configurations and random batches for AR-Net's tests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from tests.trainables.adamml_parts import merged
from trainables.arnet.config import ArNetConfig
from trainables.arnet.model import ArNet
from trainables.arnet.system import ArNetSystem
from trainables.contract import Batch

CLASSES = 4


def arnet_config(
    changes: Mapping[str, Any] | None = None, manifest: str = "unused.jsonl", preset: str = "tiny"
) -> ArNetConfig:
    """A preset with ``changes``."""
    raw = merged(merged(ArNetSystem.presets[preset], {"data": {"manifest": manifest}}), changes or {})
    return ArNetConfig.model_validate(raw)


def new_model(config: ArNetConfig) -> ArNet:
    """Seeded initial weights, in eval mode."""
    torch.manual_seed(0)
    return ArNet(config, CLASSES).eval()


def random_batch(config: ArNetConfig, *, videos: int = 3, frames: int = 6) -> Batch:
    """Noise."""
    generator = torch.Generator().manual_seed(7)
    size = config.data.crop_size
    return Batch(
        inputs={"rgb": torch.randn(videos, frames, 1, 3, size, size, generator=generator)},
        label_B=torch.arange(videos) % CLASSES,
        present_BSM=torch.ones(videos, frames, 1, dtype=torch.bool),
        index_B=torch.arange(videos),
    )
