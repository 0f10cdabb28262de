"""The policy: looks at a frame at the lowest resolution and says what is done with it (paper, section 3.2).

Axes: ``B`` video, ``T`` frame, ``A`` action, ``C`` class, ``D`` feature, ``N`` frame of any video.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from trainables.arnet.actions import actions
from trainables.arnet.config import ArNetConfig
from trainables.kit.nets.backbones import build_backbone
from trainables.kit.noise import KeyedDropout

Choose = Callable[[Tensor, int], Tensor]


@dataclass(frozen=True, kw_only=True)
class Rollout:
    """What the policy did, frame by frame. ``action_BTA``: one-hot; a skip of several frames is copied to those it covers.

    ``looked_BT``: where the policy looked; elsewhere its state stands still. ``logits_BTC``: the class logits of the lowest
    resolution. ``raw_BTA``: the policy's logits.
    """

    action_BTA: Tensor
    looked_BT: Tensor
    logits_BTC: Tensor
    raw_BTA: Tensor


class Policy(nn.Module):
    """``net``, ``lstm``, ``actions`` (7 logits in the paper) and ``head`` (class logits: the lowest resolution's prediction)."""

    frames_A: Tensor

    def __init__(self, config: ArNetConfig, classes: int) -> None:
        super().__init__()
        policy = config.policy
        self.net = build_backbone(
            policy.backbone, 3, frames=1, size=policy.size, weights=policy.weights, widths=policy.widths
        )
        self.lstm = nn.LSTMCell(self.net.dim, policy.lstm)
        found = actions(config)
        self.actions = nn.Linear(policy.lstm, len(found))
        self.dropout = KeyedDropout(config.backbones.dropout)
        self.head = nn.Linear(policy.lstm, classes)
        self.register_buffer("frames_A", torch.tensor([action.frames for action in found]), persistent=False)

    def features(self, x_NCHW: Tensor) -> Tensor:
        """``feature_ND`` of frames at the lowest resolution."""
        return self.net(x_NCHW[:, None])[:, 0]

    def initial_state(self, like_BD: Tensor) -> tuple[Tensor, Tensor]:
        """Zeros."""
        zeros = like_BD.new_zeros(like_BD.shape[0], self.lstm.hidden_size)
        return zeros, zeros

    def look(self, feature_BD: Tensor, state: tuple[Tensor, Tensor]) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """``logits_BA`` and the next state, whose first part is what the class head reads."""
        state = self.lstm(feature_BD, state)
        return self.actions(state[0]), state

    def roll(self, feature_BTD: Tensor, choose: Choose, key_BT: Tensor | None = None) -> Rollout:
        """Go through the frames in order. ``choose(logits_BA, t)`` gives one-hot ``action_BA``, with its gradient."""
        state = self.initial_state(feature_BTD[:, 0])
        left_B = torch.zeros(feature_BTD.shape[0], dtype=torch.long, device=feature_BTD.device)
        action_BA = feature_BTD.new_zeros(feature_BTD.shape[0], len(self.frames_A))
        steps: list[tuple[Tensor, Tensor, Tensor, Tensor]] = []
        for t in range(feature_BTD.shape[1]):
            looks_B = left_B == 0
            looks_B1 = looks_B[:, None]
            raw_BA, after = self.look(feature_BTD[:, t], state)
            # Where it does not look, hidden state, cell and action stay: those frames could as well not be there.
            state = (torch.where(looks_B1, after[0], state[0]), torch.where(looks_B1, after[1], state[1]))
            action_BA = torch.where(looks_B1, choose(raw_BA, t), action_BA)
            taken_B = self.frames_A[action_BA.detach().argmax(-1)]
            left_B = torch.where(looks_B, taken_B, left_B) - 1
            hidden_BD = self.dropout(state[0], None if key_BT is None else key_BT[:, t])
            steps.append((action_BA, looks_B, self.head(hidden_BD), raw_BA))
        action_BTA, looked_BT, logits_BTC, raw_BTA = (torch.stack(each, 1) for each in zip(*steps, strict=True))
        return Rollout(action_BTA=action_BTA, looked_BT=looked_BT, logits_BTC=logits_BTC, raw_BTA=raw_BTA)


def gumbel_onehot(logits_BA: Tensor, uniform_BA: Tensor, temperature: float) -> Tensor:
    """One-hot draws with the gradient of the soft sample (Eq. 6 to 8); the draw does not depend on the temperature."""
    gumbel_BA = -torch.log(-torch.log(uniform_BA))
    perturbed_BA = F.log_softmax(logits_BA.float(), -1) + gumbel_BA
    soft_BA = (perturbed_BA / temperature).softmax(-1)
    hard_BA = onehot(perturbed_BA)
    return hard_BA - soft_BA.detach() + soft_BA


def onehot(score_BA: Tensor) -> Tensor:
    """One-hot of the largest, float."""
    return F.one_hot(score_BA.argmax(-1), score_BA.shape[-1]).to(torch.float32)
