"""AR-Net's cost in multiply-accumulates a frame, in two conventions.

``paper``: what the package thop says of each network, and 2 x feature^2 for the policy's LSTM, as in the authors' release; the
policy is charged for every frame, also for those that it is told to skip, and the lowest resolution costs nothing beyond it.
EfficientNets were charged what their paper quotes at other sizes: ``literature_costs`` does the same. ``full``: every
multiplication of a convolution, linear layer or LSTM cell that runs; a frame that is skipped is not looked at and costs nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache, partial

import torch
from torch import nn

from trainables.arnet.actions import LOOK
from trainables.arnet.config import LEVELS, LOWEST, ArNetConfig
from trainables.arnet.model import ArNet
from trainables.contract import Convention, CostTable
from trainables.kit.measure.macs import count_macs
from trainables.kit.measure.thop import count_thop

# GFLOPs that Tan and Le (EfficientNet, ICML 2019) print, b1 to b3 at 240, 260 and 300 pixels; AR-Net takes them for 224.
LITERATURE_GFLOPS: Mapping[str, float] = {
    "efficientnet_b0": 0.39,
    "efficientnet_b1": 0.70,
    "efficientnet_b2": 1.0,
    "efficientnet_b3": 1.80,
}
LITERATURE_PIXELS = 224


def cost_table(config: ArNetConfig, classes: int) -> CostTable:
    """Count one frame of every network on meta tensors; counted once a process for what it depends on."""
    relevant = config.model_dump_json(
        include={"data", "backbones", "policy", "actions", "skips", "literature_costs"}, by_alias=True
    )
    return _count(relevant, classes)


def lstm_macs(config: ArNetConfig, classes: int) -> dict[Convention, int]:
    """What the LSTM baseline adds to the highest resolution, a frame."""
    model = _on_meta(config, classes)
    with torch.device("meta"):
        feature_BTD = torch.empty(1, 1, model.net(LEVELS[0]).backbone.dim)
    counted = count_macs(model.lstm, lambda: model.lstm(feature_BTD)).total
    head = model.net(LEVELS[0]).head.weight.numel()  # its own head stands in for the backbone's
    return {"paper": 2 * feature_BTD.shape[-1] ** 2, "full": counted - head}


@lru_cache(maxsize=32)
def _count(relevant: str, classes: int) -> CostTable:
    config = ArNetConfig.model_validate_json(relevant)
    every = config.model_copy(update={"actions": "all"})  # what cannot be chosen has a price all the same
    model = _on_meta(every, classes)
    paper, full = {}, {}
    for level in LEVELS:
        net, size = model.net(level), config.size_of(level)
        call = partial(net, torch.empty(1, 3, size, size, device="meta"))
        name = config.share_of(level)
        paper[name] = _literature(config, level) or count_thop(net, call)
        full[name] = count_macs(net, call).total
    look, policy = _looking(model, config.policy.size)
    name = config.share_of(LOWEST)
    return CostTable(
        per_segment_macs={
            "paper": {**paper, name: 0, LOOK: 0},
            "full": {**full, name: model.policy.head.weight.numel(), LOOK: look},
        },
        always_macs={"paper": policy, "full": 0},
        segments=config.data.segments.test,
        all_on={config.share_of(LEVELS[0]): 1.0},
    )


def _looking(model: ArNet, size: int) -> tuple[int, int]:
    """What looking at a frame takes (full), and what the paper charges a policy."""
    policy = model.policy
    with torch.device("meta"):
        x_NCHW = torch.empty(1, 3, size, size)
        predicting = nn.Sequential(policy.net, nn.Linear(policy.net.dim, policy.head.out_features)).eval()
        state = policy.initial_state(torch.empty(1, policy.net.dim))
    look = count_macs(policy, lambda: policy.look(policy.features(x_NCHW), state)).total
    charged = count_thop(predicting, lambda: predicting(x_NCHW[:, None]))
    return look, charged + 2 * policy.net.dim**2


def _literature(config: ArNetConfig, level: str) -> int | None:
    net = getattr(config.backbones, level)
    if not config.literature_costs or net.backbone not in LITERATURE_GFLOPS:
        return None
    return round(LITERATURE_GFLOPS[net.backbone] * 1e9 * (net.size / LITERATURE_PIXELS) ** 2)


def _on_meta(config: ArNetConfig, classes: int) -> ArNet:
    with torch.device("meta"):
        return ArNet(config, classes).eval()
