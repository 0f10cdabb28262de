"""Small configurations and random batches for AdaMML's tests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from trainables.adamml.config import AdaMMLConfig
from trainables.adamml.system import AdaMMLSystem
from trainables.contract import Batch


def merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """``base`` with ``changes`` laid over it, mappings merged."""
    result = dict(base)
    for name, value in changes.items():
        old = result.get(name)
        result[name] = merged(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return result


def tiny_config(changes: Mapping[str, Any] | None = None, manifest: str = "unused.jsonl") -> AdaMMLConfig:
    """The tiny preset with ``changes``."""
    raw = merged(merged(AdaMMLSystem.presets["tiny"], {"data": {"manifest": manifest}}), changes or {})
    return AdaMMLConfig.model_validate(raw)


def random_batch(
    *,
    videos: int,
    segments: int,
    frames: int = 1,
    size: int = 32,
    bands: int = 40,
    steps: int = 80,
    classes: int = 4,
    absent_audio: bool = False,
) -> Batch:
    """Noise of the right shape."""
    generator = torch.Generator().manual_seed(7)
    present_BSM = torch.ones(videos, segments, 2, dtype=torch.bool)
    present_BSM[..., 1] = not absent_audio
    return Batch(
        inputs={
            "rgb": torch.randn(videos, segments, frames, 3, size, size, generator=generator),
            "audio": torch.randn(videos, segments, 1, bands, steps, generator=generator),
        },
        label_B=torch.arange(videos) % classes,
        present_BSM=present_BSM,
        index_B=torch.arange(videos),
    )
