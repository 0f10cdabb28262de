"""The policy network: which modalities of which segments are worth computing (paper, section 3.2, Eq. 1 to 3).

Axes: ``B`` video, ``S`` segment, ``M`` modality, ``D`` decision (one a modality, or a single one for all), ``T`` frame.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from trainables.adamml.conditioning import Film, lambda_code
from trainables.adamml.config import AdaMMLConfig
from trainables.kit import noise
from trainables.kit.data.modalities import MODALITIES
from trainables.kit.nets.backbones import build_backbone

JOINT = "joint"  # the one head of a joint decision
_GUMBEL = 1  # purpose of the noise, beside the recognition nets' dropout


@dataclass(frozen=True, kw_only=True)
class PolicyState:
    """What the policy carries from one segment to the next."""

    hidden: Tensor
    cell: Tensor
    logits: Tensor


@dataclass(frozen=True, kw_only=True)
class Decided:
    """Policy logits of the segments seen, and the state after them."""

    logits_BSD2: Tensor
    state: PolicyState


class Policy(nn.Module):
    """Light nets, joint feature, LSTM over segments, one two-way head a decision (Eq. 1)."""

    def __init__(self, config: AdaMMLConfig) -> None:
        super().__init__()
        policy = config.policy
        self.modalities = config.data.modalities
        self.sees = {m: config.seen_by_policy(m) for m in self.modalities}
        self.frame_size, self.frame_every, self.sound_pool = policy.frame_size, policy.frame_every, policy.sound_pool
        self.decisions = (JOINT,) if policy.decision == "joint" else self.modalities
        self.nets = nn.ModuleDict(
            {m: policy_net(config, m, policy_shape(config, self.sees[m])) for m in self.modalities}
        )
        dim = sum(_dim(net) for net in self.nets.values())
        layers: list[nn.Module] = []
        for width in policy.hidden:
            layers += [nn.Linear(dim, width), nn.ReLU(inplace=True)]
            dim = width
        self.joint = nn.Sequential(*layers)
        self.feedback = policy.feedback == "logits" and policy.lstm is not None
        fed_back = 2 * len(self.decisions) if self.feedback else 0
        self.config = config
        self.concatenates = config.conditioned and policy.conditioning_mode == "concat"
        dim += len(self.modalities) if self.concatenates else 0
        self.lstm = nn.LSTMCell(dim + fed_back, policy.lstm) if policy.lstm is not None else None
        self.heads = nn.ModuleDict({d: nn.Linear(policy.lstm or dim, 2) for d in self.decisions})
        # Last, so that the initial weights above are those of a policy without conditioning.
        self.film = None
        if config.conditioned and not self.concatenates:
            self.film = Film(len(self.modalities), *((dim,) if policy.lstm is None else (dim, policy.lstm)))

    def look(self, seen: str, x_BSTCHW: Tensor) -> Tensor:
        """What the policy sees of an input: fewer and smaller frames, or a pooled spectrogram."""
        if MODALITIES[seen].kind == "video":
            return _each_picture(x_BSTCHW[:, :, :: self.frame_every], lambda x: _resize(x, self.frame_size))
        return _each_picture(x_BSTCHW, lambda x: F.avg_pool2d(x, self.sound_pool))

    def forward(self, inputs: Mapping[str, Tensor], lambda_BM: Tensor | None = None) -> Tensor:
        """``logits_BSD2`` (index 1 = use), causal over segments. ``lambda_BM``: of a conditioned policy."""
        return self.decide(self.features(inputs), lambda_BM)

    def features(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """``joint_BSD``: all of the policy before its LSTM; here D is the joint feature's width."""
        return self.joint(self.net_features(self.looked_at(inputs)))

    def looked_at(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """By modality, what the policy's net for it gets, ``[B, S, T, C, H, W]``."""
        return {modality: self.look(seen, inputs[seen]) for modality, seen in self.sees.items()}

    def net_features(self, looked_at: Mapping[str, Tensor]) -> Tensor:
        """``feature_BSD``: the light nets' features one after the other."""
        features = []
        for modality in self.modalities:
            x_BSTCHW = looked_at[modality]
            videos, segments = x_BSTCHW.shape[:2]
            feature = self.nets[modality](x_BSTCHW.flatten(0, 1)).mean(1)
            features.append(feature.view(videos, segments, -1))
        return torch.cat(features, -1)

    def decide(self, joint_BSD: Tensor, lambda_BM: Tensor | None = None) -> Tensor:
        """``logits_BSD2`` from the joint feature of all segments."""
        return self.decide_from(joint_BSD, None, lambda_BM).logits_BSD2

    def decide_from(self, joint_BSD: Tensor, state: PolicyState | None, lambda_BM: Tensor | None = None) -> Decided:
        """As :meth:`decide`, starting from ``state``, and with the state after the last segment (for streams)."""
        state = state or self.initial_state(joint_BSD)
        joint_BSD, after_lstm = self._condition(joint_BSD, lambda_BM)
        steps = []
        for segment in range(joint_BSD.shape[1]):
            x = joint_BSD[:, segment]
            hidden, cell = x, state.cell
            if self.lstm is not None:
                x = torch.cat([x, state.logits], -1) if self.feedback else x
                hidden, cell = self.lstm(x, (state.hidden, state.cell))
            seen = hidden if after_lstm is None else after_lstm(hidden)
            logits_BD2 = torch.stack([self.heads[d](seen) for d in self.decisions], 1)
            state = PolicyState(hidden=hidden, cell=cell, logits=logits_BD2.flatten(1))
            steps.append(logits_BD2)
        return Decided(logits_BSD2=torch.stack(steps, 1), state=state)

    def _condition(
        self, joint_BSD: Tensor, lambda_BM: Tensor | None
    ) -> tuple[Tensor, Callable[[Tensor], Tensor] | None]:
        """The joint feature that knows the weights, and what is to be done with the LSTM's output."""
        if self.film is None and not self.concatenates:
            return joint_BSD, None
        code_BM = lambda_code(self.config, joint_BSD, lambda_BM)
        if self.film is None:
            return torch.cat([joint_BSD, code_BM[:, None].expand(-1, joint_BSD.shape[1], -1)], -1), None
        on_joint, *on_hidden = self.film(code_BM)
        return on_joint(joint_BSD), (on_hidden[0] if on_hidden else None)

    def initial_state(self, like_BSD: Tensor) -> PolicyState:
        """Zeros."""
        videos = like_BSD.shape[0]
        zeros = like_BSD.new_zeros(videos, self.lstm.hidden_size if self.lstm is not None else 0)
        return PolicyState(hidden=zeros, cell=zeros, logits=like_BSD.new_zeros(videos, 2 * len(self.decisions)))

    def for_each_modality(self, x_BSD: Tensor) -> Tensor:
        """``x_BSM``: a joint decision stands for every modality."""
        return x_BSD.expand(-1, -1, len(self.modalities)) if self.decisions == (JOINT,) else x_BSD

    def probability(self, logits_BSD2: Tensor) -> Tensor:
        """``probability_BSM`` of use."""
        return self.for_each_modality(logits_BSD2.softmax(-1)[..., 1])

    def draw(self, logits_BSD2: Tensor, *, temperature: float, key_BS: Tensor) -> Tensor:
        """``use_BSM`` drawn by a hard Gumbel-softmax with straight-through gradient (Eq. 2 and 3)."""
        uniform = noise.uniform(noise.keys(_GUMBEL, key_BS), *logits_BSD2.shape[2:])
        return self.for_each_modality(gumbel_softmax(logits_BSD2, uniform, temperature))


def gumbel_softmax(logits_2: Tensor, uniform_2: Tensor, temperature: float) -> Tensor:
    """Draws over the last axis (skip, use): 1 for use, 0 for skip, with the gradient of the soft sample.

    The hard draw is the larger of the two perturbed logits whatever the temperature, which shapes the gradient only.
    """
    gumbel = -torch.log(-torch.log(uniform_2))
    soft = F.softmax((logits_2.float() + gumbel) / temperature, -1)[..., 1]
    hard = (soft > 0.5).to(soft.dtype)
    return hard - soft.detach() + soft


def policy_shape(config: AdaMMLConfig, seen: str) -> tuple[int, int, int, int]:
    """TCHW of one segment of an input as the policy's net gets it."""
    frames, channels, height, width = MODALITIES[seen].shape(config.data)
    if MODALITIES[seen].kind == "video":
        return (-(-frames // config.policy.frame_every), channels, config.policy.frame_size, config.policy.frame_size)
    pool_height, pool_width = config.policy.sound_pool
    return (frames, channels, height // pool_height, width // pool_width)


def policy_net(config: AdaMMLConfig, modality: str, shape: tuple[int, int, int, int]) -> nn.Module:
    """The policy's net for ``modality``, made for an input of ``shape`` TCHW."""
    net = getattr(config.policy, modality)
    return build_backbone(
        net.backbone,
        shape[1],
        frames=shape[0],
        size=shape[2],
        temporal_pool=net.temporal_pool,
        weights=net.weights,
        widths=net.widths,
    )


def _dim(net: nn.Module) -> int:
    dim = net.dim
    assert isinstance(dim, int)
    return dim


def _each_picture(x_BSTCHW: Tensor, function: Callable[[Tensor], Tensor]) -> Tensor:
    y = function(x_BSTCHW.flatten(0, 2))
    return y.view(*x_BSTCHW.shape[:3], *y.shape[1:])


def _resize(x_NCHW: Tensor, size: int) -> Tensor:
    if x_NCHW.shape[-1] == size:
        return x_NCHW
    return F.interpolate(x_NCHW, size=(size, size), mode="bilinear", align_corners=False, antialias=True)
