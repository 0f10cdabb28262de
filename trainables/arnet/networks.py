"""AR-Net's parts as modules of plain tensors: what can be exported. Every part takes frames at its own size.

Axes: ``N`` frame or video, ``A`` action, ``C`` class.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from trainables.arnet.config import LOWEST, ArNetConfig
from trainables.arnet.model import ArNet
from trainables.arnet.policy import Policy
from trainables.contract import Network

STATE = ("hidden", "cell")


class PolicyStep(nn.Module):
    """One frame of each video: ``(x_NCHW, hidden, cell) -> (actions_NA, logits_NC, hidden, cell)``; the state begins as zeros."""

    def __init__(self, policy: Policy) -> None:
        super().__init__()
        self.policy = policy

    def forward(self, x: Tensor, hidden: Tensor, cell: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Logits of the actions, class logits of the lowest resolution, and the state."""
        raw_NA, state = self.policy.look(self.policy.features(x), (hidden, cell))
        return raw_NA, self.policy.head(state[0]), *state


def networks(model: ArNet, config: ArNetConfig) -> Mapping[str, Network]:
    """``recognition.LEVEL`` (``x -> logits``) for every resolution with a backbone of its own, and ``policy``."""
    found = {
        f"recognition.{level}": Network(
            module=model.backbones[level],
            inputs={"x": _example(model, config.size_of(level))},
            outputs=("logits",),
            site=config.share_of(level),
        )
        for level in config.levels
    }
    x = _example(model, config.size_of(LOWEST))
    zeros = x.new_zeros(2, config.policy.lstm)
    found["policy"] = Network(
        module=PolicyStep(model.policy).eval(),
        inputs={"x": x, **{name: zeros.clone() for name in STATE}},
        outputs=("actions", "logits", *STATE),
        state=STATE,
    )
    return found


def _example(model: ArNet, size: int) -> Tensor:
    """``x_NCHW`` of two frames, seeded noise."""
    generator = torch.Generator().manual_seed(0)
    return torch.randn(2, 3, size, size, generator=generator).to(next(model.parameters()).device)
