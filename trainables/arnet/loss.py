"""AR-Net's efficiency and uniformity losses (paper, Eq. 10 and 11)."""

from __future__ import annotations

import torch
from torch import Tensor

from trainables.arnet.actions import actions
from trainables.arnet.config import LEVELS, ArNetConfig
from trainables.arnet.cost import cost_table

_NORM_WEIGHT_FLOOR = 1e-12  # under the root: its gradient at 0 is not finite


def prices(config: ArNetConfig, classes: int) -> tuple[float, ...]:
    """What the loss charges each action, a frame. Only backbones are charged: the lowest resolution and skips cost nothing."""
    table = cost_table(config, classes).per_segment_macs["paper"]
    unit = table[config.share_of(LEVELS[0])] if config.price == "relative" else 1e9
    return tuple(table[config.share_of(a.level)] / unit if a.level in LEVELS else 0.0 for a in actions(config))


def efficiency_loss(action_BTA: Tensor, price_A: Tensor) -> Tensor:
    """Mean price a frame (Eq. 10)."""
    return (action_BTA * price_A).sum(-1).mean()


def uniformity_loss(action_BTA: Tensor, how: str) -> Tensor:
    """How far the actions' frequencies in the batch are from equal: sum of squares (Eq. 11), or its root (the release)."""
    frequency_A = action_BTA.mean((0, 1))
    squares = ((frequency_A - 1 / len(frequency_A)) ** 2).sum()
    return squares if how == "squared" else torch.sqrt(squares + _NORM_WEIGHT_FLOOR)
