"""The baseline CGNet: channel gating (Hua et al., NeurIPS 2019) of the convolutions before the gates of AdaFuse.

The base path convolves the first part of the input channels. Where its sum, normalised, exceeds a learnt threshold of the output
channel, the rest of the input channels is added, pixel by pixel; elsewhere the partial sum stands. So a convolution costs its base
path, and the rest as often as a gate is open.

Axes: ``B`` video, ``T`` frame, ``N`` frame of any video, ``C`` input channel, ``K`` output channel, ``H`` ``W`` picture.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from trainables.adafuse.config import ChannelGatingConfig
from trainables.adafuse.gates import GatePoint, Usage, plain


class ChannelGate(nn.Module):
    """The threshold of each output channel, and a batch norm without scale and shift before the comparison."""

    def __init__(self, config: ChannelGatingConfig, conv: nn.Conv2d) -> None:
        super().__init__()
        self.slope = config.slope
        self.base = max(1, conv.in_channels // config.parts)
        self.base_share = self.base / conv.in_channels
        self.threshold_K = nn.Parameter(torch.full((conv.out_channels,), config.start))
        self.norm = nn.BatchNorm2d(conv.out_channels, affine=False)

    def forward(self, conv: nn.Conv2d, x_NCHW: Tensor, y_NKHW: Tensor) -> tuple[Tensor, Tensor]:
        """The gated convolution, of which ``y_NKHW`` is the whole one, and ``share_N`` of its multiplications that are made."""
        partial_NKHW = F.conv2d(
            x_NCHW[:, : self.base], conv.weight[:, : self.base], conv.bias, conv.stride, conv.padding
        )
        score_NKHW = self.norm(partial_NKHW) - self.threshold_K[:, None, None]
        soft_NKHW = torch.sigmoid(self.slope * score_NKHW)
        open_NKHW = (score_NKHW > 0).to(soft_NKHW.dtype) + (
            soft_NKHW - soft_NKHW.detach()
        )  # the difference is 0 exactly
        density_N = open_NKHW.detach().mean((1, 2, 3))
        share_N = self.base_share + (1 - self.base_share) * density_N
        return partial_NKHW + open_NKHW * (y_NKHW - partial_NKHW), share_N


class ChannelGating(nn.Module):
    """A :class:`ChannelGate` for every convolution before a gate of AdaFuse."""

    def __init__(self, config: ChannelGatingConfig, points: Sequence[GatePoint]) -> None:
        super().__init__()
        self.gates = nn.ModuleDict(
            {
                f"{plain(point.name)}_{place}": ChannelGate(config, conv)
                for point in points
                for place, conv in enumerate(point.before)
                if conv.groups == 1
            }
        )
        self._points = tuple(points)

    def run(self, backbone: nn.Module, x_BTCHW: Tensor) -> tuple[Tensor, dict[str, Usage]]:
        """``feature_BTD`` of the backbone with gated convolutions, and by block what was computed. Every channel goes on."""
        shares: dict[str, list[tuple[float, Tensor]]] = {point.name: [] for point in self._points}
        handles = [
            conv.register_forward_hook(self._hook(point.name, place, shares[point.name]))
            for point in self._points
            for place, conv in enumerate(point.before)
            if conv.groups == 1
        ]
        try:
            feature_BTD = backbone(x_BTCHW)
        finally:
            for handle in handles:
                handle.remove()
        frames = x_BTCHW.shape[1]
        return feature_BTD, {name: _usage(found, frames) for name, found in shares.items()}

    def threshold_loss(self, target: float) -> Tensor:
        """How far the thresholds are from their target: sum of squares."""
        return torch.stack([((gate.threshold_K - target) ** 2).sum() for gate in self._each()]).sum()

    def _each(self) -> list[ChannelGate]:
        return [gate for gate in self.gates.values() if isinstance(gate, ChannelGate)]

    def _hook(self, name: str, place: int, shares: list[tuple[float, Tensor]]) -> Callable[..., Tensor]:
        gate = self.gates[f"{plain(name)}_{place}"]

        def after(conv: nn.Conv2d, inputs: tuple[Tensor, ...], y_NKHW: Tensor) -> Tensor:
            gated_NKHW, share_N = gate(conv, inputs[0], y_NKHW)
            macs = y_NKHW[0].numel() * conv.weight[0].numel()
            shares.append((float(macs), share_N))
            return gated_NKHW

        return after


def _usage(shares: Sequence[tuple[float, Tensor]], frames: int) -> Usage:
    """Means over a block's convolutions, by their multiply-accumulates."""
    total = sum(macs for macs, _ in shares)
    computed_N = torch.stack([macs / total * share_N for macs, share_N in shares]).sum(0)
    computed_BT = computed_N.unflatten(0, (-1, frames))
    return Usage(computed_BT=computed_BT, kept_BT=torch.ones_like(computed_BT), reused_BT=torch.zeros_like(computed_BT))
