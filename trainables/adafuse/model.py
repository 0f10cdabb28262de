"""AdaFuse: a network for frames whose blocks keep, reuse or skip each channel (Meng et al., ICLR 2021, section 3).

Axes: ``B`` video, ``T`` frame, ``N`` frame of any video, ``K`` gated channel, ``A`` choice, ``C`` class, ``D`` feature.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from trainables.adafuse.config import AdaFuseConfig
from trainables.adafuse.gates import GatePoint, Gates, Usage, fused, usage_of
from trainables.adafuse.gating import ChannelGating
from trainables.adafuse.names import gated_blocks
from trainables.adafuse.nets import build_net
from trainables.kit.nets.seeds import own_seed
from trainables.kit.noise import KeyedDropout

Choose = Callable[[str, Tensor, Tensor], Tensor]  # (block, input x_NCHW, gated y_NKHW) -> one-hot choice_BTKA


@dataclass(frozen=True, kw_only=True)
class Run:
    """``feature_BTD`` of the frames and, by block, what was used."""

    feature_BTD: Tensor
    usage: dict[str, Usage]


class LstmHead(nn.Module):
    """The LSTM baseline: features of the frames through an LSTM, its state to classes."""

    def __init__(self, dim: int, hidden: int, classes: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(dim, hidden, batch_first=True)
        self.head = nn.Linear(hidden, classes)

    def forward(self, feature_BTD: Tensor) -> Tensor:
        """``logits_BTC``."""
        return self.head(self.lstm(feature_BTD)[0])


class AdaFuse(nn.Module):
    """``backbone``, ``head`` and ``policy`` are the groups that train; ``lstm`` and ``gating`` (CGNet) belong to baselines."""

    def __init__(self, config: AdaFuseConfig, classes: int) -> None:
        super().__init__()
        self.config, self.classes = config, classes
        with own_seed("backbone"):
            self.backbone = build_net(config.network)
        with own_seed("head"):
            self.dropout = KeyedDropout(config.network.dropout)
            self.head = nn.Linear(self.backbone.dim, classes)
        self.points: tuple[GatePoint, ...] = self.backbone.points(gated_blocks(config))
        with own_seed("policy"):
            self.policy = Gates(config.gates, self.points)
        self.gating = ChannelGating(config.fixed.cgnet, self.points)
        with own_seed("lstm"):
            self.lstm = LstmHead(self.backbone.dim, config.network.lstm, classes)

    def plain(self, x_BTCHW: Tensor) -> Tensor:
        """``feature_BTD`` of the network without gates."""
        return self.backbone(x_BTCHW)

    def run(self, x_BTCHW: Tensor, choose: Choose) -> Run:
        """All frames, every channel computed; what is not needed of it is told, and weighs nothing."""
        usage: dict[str, Usage] = {}
        gated = {point.name for point in self.points}

        def fuse(name: str, x_NCHW: Tensor, y_NKHW: Tensor) -> Tensor:
            if name not in gated:
                return y_NKHW
            choice_BTKA = choose(name, x_NCHW, y_NKHW)
            usage[name] = usage_of(choice_BTKA)
            return fused(y_NKHW, choice_BTKA)

        return Run(feature_BTD=self.backbone(x_BTCHW, fuse), usage=usage)

    def logits(self, feature_BTD: Tensor, key_BT: Tensor | None = None) -> Tensor:
        """``logits_BC``: mean over frames."""
        feature_ND = feature_BTD.flatten(0, 1)
        dropped_ND = self.dropout(feature_ND, None if key_BT is None else key_BT.flatten())
        return self.head(dropped_ND).unflatten(0, feature_BTD.shape[:2]).mean(1)


def everything(model: AdaFuse, like_BT: Tensor) -> dict[str, Usage]:
    """The usage of the plain network: every channel computed and kept."""
    every_BT = torch.ones(like_BT.shape[:2], device=like_BT.device)
    one = Usage(computed_BT=every_BT, kept_BT=every_BT, reused_BT=torch.zeros_like(every_BT))
    return {point.name: one for point in model.points}
