"""AdaFuse's cost in multiply-accumulates a frame, in two conventions, from each block's shares.

Of a block, its first convolution is charged for the channels that this frame or the next one needs, its second for those that
are not skipped (Eq. 5); everything else always runs. ``paper``: what the package thop says of the whole network (batch norms
and means included) less the two convolutions' savings; ``full``: every multiplication of a convolution or linear layer.
Channels of a block are charged alike, also where the branches of an inception module differ.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache, partial
from typing import Any

import torch
from torch import Tensor, nn

from trainables.adafuse.config import AdaFuseConfig
from trainables.adafuse.gates import GatePoint
from trainables.adafuse.model import AdaFuse
from trainables.adafuse.names import share_names
from trainables.contract import Convention, CostTable
from trainables.kit.measure.macs import count_macs
from trainables.kit.measure.thop import count_thop


def cost_table(config: AdaFuseConfig, classes: int) -> CostTable:
    """Count one frame on meta tensors; counted once a process for what it depends on."""
    return _count(config.model_dump_json(include={"data", "network", "gates"}, by_alias=True), classes)


def lstm_macs(config: AdaFuseConfig, classes: int) -> dict[Convention, int]:
    """What the LSTM baseline adds, a frame: 2 x feature^2 in the paper's convention, as the same authors count in AR-Net."""
    model = _on_meta(config, classes)
    feature_BTD = torch.empty(1, 1, model.backbone.dim, device="meta")
    counted = count_macs(model.lstm, lambda: model.lstm(feature_BTD)).total
    return {"paper": 2 * model.backbone.dim**2, "full": counted - model.head.weight.numel()}


@lru_cache(maxsize=32)
def _count(relevant: str, classes: int) -> CostTable:
    config = AdaFuseConfig.model_validate_json(relevant)
    model = _on_meta(config, classes)
    size = config.data.crop_size
    x_BTCHW = torch.empty(1, 1, 3, size, size, device="meta")
    inputs: dict[str, Tensor] = {}

    def seen(name: str, x_NCHW: Tensor, y_NKHW: Tensor) -> Tensor:
        inputs[name] = x_NCHW
        return y_NKHW

    plain = nn.Sequential(model.backbone, model.head)
    macs = _convolutions(model, lambda: model.backbone(x_BTCHW, seen))
    decide = partial(_decide, model, inputs)
    per_segment: dict[str, int] = {}
    for point in model.points:
        first, second = (sum(macs[conv] for conv in convs) for convs in (point.before, point.after))
        per_segment |= dict(zip(share_names(point.name), (first, second, second), strict=True))
    gated = sum(_both(point, macs) for point in model.points)
    return CostTable(
        per_segment_macs={"paper": per_segment, "full": per_segment},
        always_macs={
            "paper": count_thop(model.policy, decide, additions=False),
            "full": count_macs(model.policy, decide).total,
        },
        plain_macs={
            "paper": count_thop(plain, lambda: plain(x_BTCHW), additions=False) - gated,
            "full": count_macs(plain, lambda: plain(x_BTCHW)).total - gated,
        },
        segments=config.data.segments.test,
        all_on={name: 1.0 for point in model.points for name in share_names(point.name)[:2]},
    )


def _both(point: GatePoint, macs: Mapping[nn.Module, int]) -> int:
    return sum(macs[conv] for conv in (*point.before, *point.after))


def _decide(model: AdaFuse, inputs: Mapping[str, Tensor]) -> None:
    for point in model.points:
        model.policy(point.name, inputs[point.name], 1)


def _convolutions(model: AdaFuse, call: Any) -> dict[nn.Module, int]:
    """Multiply-accumulates of every convolution next to a gate."""
    macs: dict[nn.Module, int] = {}

    def after(conv: nn.Conv2d, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        macs[conv] = output.numel() * conv.weight[0].numel()

    convs = [conv for point in model.points for conv in (*point.before, *point.after)]
    handles = [conv.register_forward_hook(after) for conv in convs]
    try:
        with torch.no_grad():
            call()
    finally:
        for handle in handles:
            handle.remove()
    return macs


def _on_meta(config: AdaFuseConfig, classes: int) -> AdaFuse:
    with torch.device("meta"):
        return AdaFuse(config, classes).eval()
