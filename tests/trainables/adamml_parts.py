"""Small configurations and random batches for AdaMML's tests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from trainables.adamml.config import AdaMMLConfig
from trainables.adamml.model import AdaMML
from trainables.adamml.system import AdaMMLSystem
from trainables.contract import Batch, StepContext
from trainables.kit.data.modalities import MODALITIES


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


def random_batch(config: AdaMMLConfig, *, videos: int, segments: int, classes: int = 4, absent: str = "") -> Batch:
    """Noise of the shapes that ``config`` asks for; ``absent`` names a modality without a signal anywhere."""
    generator = torch.Generator().manual_seed(7)
    names = config.data.inputs
    present_BSM = torch.ones(videos, segments, len(names), dtype=torch.bool)
    if absent:
        present_BSM[..., names.index(absent)] = False
    return Batch(
        inputs={
            name: torch.randn(videos, segments, *MODALITIES[name].shape(config.data), generator=generator)
            for name in names
        },
        label_B=torch.arange(videos) % classes,
        present_BSM=present_BSM,
        index_B=torch.arange(videos),
    )


def context(stage: str, pass_name: str, epoch: int = 0, noise: int = 5) -> StepContext:
    """Where a step stands."""
    return StepContext(stage=stage, pass_name=pass_name, epoch=epoch, epochs=20, noise=noise)


def new_model(config: AdaMMLConfig, classes: int = 4) -> AdaMML:
    """Seeded initial weights."""
    torch.manual_seed(0)
    return AdaMML(config, classes)
