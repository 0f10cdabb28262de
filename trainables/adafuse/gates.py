"""The policies: what becomes of each channel of each frame (paper, section 3).

Axes: ``B`` video, ``T`` frame, ``N`` frame of any video, ``K`` gated channel, ``A`` choice in the order of ``names.CHOICES``,
``D`` channel of a block's input.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from trainables.adafuse.config import GatesConfig
from trainables.adafuse.names import KEEP, REUSE

_START_STD = 0.001  # of linear layers' weights, in the release: every choice is about equally likely at the start


@dataclass(frozen=True, kw_only=True)
class GatePoint:
    """A place that decides: ``channels`` are gated, seen are the ``inputs`` channels of the block's input.

    ``before``: the convolutions that compute the gated channels, ``after``: those that read them.
    """

    name: str
    inputs: int
    channels: int
    before: Sequence[nn.Conv2d]
    after: Sequence[nn.Conv2d]


class Gates(nn.Module):
    """One policy a block: pooled input of the frame before (zeros at the first) and of this one, two linear layers between
    which are a batch norm and a ReLU. Blocks of equal dimensions may share their linear layers.
    """

    def __init__(self, config: GatesConfig, points: Sequence[GatePoint]) -> None:
        super().__init__()
        self.layers, self.norms = nn.ModuleDict(), nn.ModuleDict()
        self._layer_of: dict[str, str] = {}
        for point in points:
            hidden = config.hidden_of(point.channels)
            key = f"{point.inputs}x{point.channels}" if config.shared else plain(point.name)
            self._layer_of[point.name] = key
            if key not in self.layers:
                self.layers[key] = _two_layers(point, hidden, config.keep)
            self.norms[plain(point.name)] = nn.BatchNorm1d(hidden)

    def forward(self, name: str, x_NDHW: Tensor, frames: int) -> Tensor:
        """``logits_BTKA`` of the block called ``name``."""
        first, second = self.layers[self._layer_of[name]].children()
        now_BTD = x_NDHW.mean((2, 3)).unflatten(0, (-1, frames))
        both_NE = torch.cat([before(now_BTD), now_BTD], -1).flatten(0, 1)
        hidden_NH = F.relu(self.norms[plain(name)](first(both_NE)))
        logits_NKA = second(hidden_NH).unflatten(-1, (-1, 3))
        return logits_NKA.unflatten(0, (-1, frames))


def plain(name: str) -> str:
    """A block's name as a module's."""
    return name.replace(".", "_")


def before(x_BT: Tensor) -> Tensor:
    """What was a frame earlier, any axes after ``BT``; zeros at the first."""
    return torch.cat([torch.zeros_like(x_BT[:, :1]), x_BT[:, :-1]], 1)


def fused(y_NKHW: Tensor, choice_BTKA: Tensor) -> Tensor:
    """Kept channels of this frame and reused ones of the frame before, as that one's convolution gave them (Eq. 3)."""
    y_BTKHW = y_NKHW.unflatten(0, choice_BTKA.shape[:2])
    keep_BTK11, reuse_BTK11 = (choice_BTKA[..., a, None, None].to(y_NKHW.dtype) for a in (KEEP, REUSE))
    return (keep_BTK11 * y_BTKHW + reuse_BTK11 * before(y_BTKHW)).flatten(0, 1)


def gumbel_onehot(logits_A: Tensor, uniform_A: Tensor, temperature: float) -> Tensor:
    """One-hot draws along the last axis with the gradient of the soft sample; the draw does not depend on the temperature."""
    gumbel_A = -torch.log(-torch.log(uniform_A))
    perturbed_A = F.log_softmax(logits_A.float(), -1) + gumbel_A
    soft_A = (perturbed_A / temperature).softmax(-1)
    return onehot(perturbed_A) + (soft_A - soft_A.detach())  # the difference is 0 exactly


def onehot(score_A: Tensor) -> Tensor:
    """One-hot of the largest along the last axis, float; of equals the first."""
    return F.one_hot(score_A.argmax(-1), score_A.shape[-1]).to(torch.float32)


@dataclass(frozen=True, kw_only=True)
class Usage:
    """Shares of a block's gated channels, frame by frame, with the choices' gradient: what its cost follows from.

    ``computed_BT``: needed by this frame or reused by the next (Eq. 5); by the last frame, what it keeps. ``steady_BA``: channels
    with the same choice in all frames, for people; None where nothing was chosen.
    """

    computed_BT: Tensor
    kept_BT: Tensor
    reused_BT: Tensor
    steady_BA: Tensor | None = None


def usage_of(choice_BTKA: Tensor) -> Usage:
    """The sufficient statistics of a block's choices."""
    keep_BTK, reuse_BTK = choice_BTKA[..., KEEP], choice_BTKA[..., REUSE]
    later_BTK = torch.cat([reuse_BTK[:, 1:], torch.zeros_like(reuse_BTK[:, :1])], 1)
    computed_BTK = 1 - (1 - keep_BTK) * (1 - later_BTK)
    return Usage(
        computed_BT=computed_BTK.mean(-1),
        kept_BT=keep_BTK.mean(-1),
        reused_BT=reuse_BTK.mean(-1),
        steady_BA=choice_BTKA.detach().amin(1).mean(1),
    )


def _two_layers(point: GatePoint, hidden: int, keep: float) -> nn.Module:
    first, second = nn.Linear(2 * point.inputs, hidden), nn.Linear(hidden, 3 * point.channels)
    for layer in (first, second):
        nn.init.normal_(layer.weight, 0, _START_STD)
        nn.init.zeros_(layer.bias)
    with torch.no_grad():
        second.bias[KEEP::3] = keep
    return nn.Sequential(first, second)
