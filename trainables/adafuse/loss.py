"""What computation costs in AdaFuse's loss (paper, Eq. 5 and 6)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from trainables.adafuse.config import AdaFuseConfig
from trainables.adafuse.cost import cost_table
from trainables.adafuse.gates import Usage
from trainables.adafuse.names import gated_blocks, share_names


def price(config: AdaFuseConfig, usage: Mapping[str, Usage], classes: int) -> Tensor:
    """Mean price a frame of the convolutions around the gates: GFLOPs, or relative to the plain network of the same parts.

    ``saving: upb`` takes the first convolution as computed whatever is decided, which costs a constant: it is left out.
    """
    table = cost_table(config, classes)
    macs = table.per_segment_macs["paper"]
    unit = table.all_on_gmacs("paper") * 1e9 / table.segments if config.price == "relative" else 1e9
    total: list[Tensor] = []
    for block in gated_blocks(config):
        first, second, _ = (macs[name] / unit for name in share_names(block))
        one = usage[block]
        used_BT = (one.kept_BT + one.reused_BT) * second
        total.append(used_BT + one.computed_BT * first if config.saving == "real" else used_BT)
    return torch.stack(total).sum(0).mean()
