"""AR-Net: a backbone a resolution and a policy that chooses (Meng et al., ECCV 2020, section 3).

Axes: ``B`` video, ``T`` frame, ``N`` frame of any video, ``A`` action, ``V`` resolution in the order of ``levels`` and then the
policy's own, ``C`` class.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from trainables.arnet.actions import Action, actions
from trainables.arnet.config import LEVELS, LOWEST, ArNetConfig, FrameNetConfig
from trainables.arnet.policy import Policy, Rollout
from trainables.kit import noise
from trainables.kit.nets.backbones import build_backbone
from trainables.kit.nets.seeds import own_seed
from trainables.kit.noise import KeyedDropout

_DROPOUT = 16  # purposes of the noise: above the policy's


class Recogniser(nn.Module):
    """Backbone, dropout, linear to classes."""

    def __init__(self, net: FrameNetConfig, dropout: float, classes: int) -> None:
        super().__init__()
        self.backbone = build_backbone(net.backbone, 3, frames=1, size=net.size, weights=net.weights, widths=net.widths)
        self.dropout = KeyedDropout(dropout)
        self.head = nn.Linear(self.backbone.dim, classes)

    def forward(self, x_NCHW: Tensor, key_N: Tensor | None = None) -> Tensor:
        """``logits_NC``."""
        return self.head(self.dropout(self.features(x_NCHW), key_N))

    def features(self, x_NCHW: Tensor) -> Tensor:
        """``feature_ND``."""
        return self.backbone(x_NCHW[:, None])[:, 0]


class LstmHead(nn.Module):
    """The LSTM baseline: the highest resolution's features through an LSTM, its state to classes, mean over frames."""

    def __init__(self, dim: int, hidden: int, classes: int) -> None:
        super().__init__()
        self.lstm = nn.LSTMCell(dim, hidden)
        self.head = nn.Linear(hidden, classes)

    def forward(self, feature_BTD: Tensor) -> Tensor:
        """``logits_BTC``."""
        zeros = feature_BTD.new_zeros(feature_BTD.shape[0], self.lstm.hidden_size)
        state, logits = (zeros, zeros), []
        for t in range(feature_BTD.shape[1]):
            state = self.lstm(feature_BTD[:, t], state)
            logits.append(self.head(state[0]))
        return torch.stack(logits, 1)


class ArNet(nn.Module):
    """``backbones`` and ``policy`` are the groups that train; ``lstm`` belongs to the baseline of that name."""

    def __init__(self, config: ArNetConfig, classes: int) -> None:
        super().__init__()
        self.config, self.classes = config, classes
        self.actions: tuple[Action, ...] = actions(config)
        nets: dict[str, Recogniser] = {}
        for level in config.levels:
            with own_seed(f"backbones.{level}"):
                nets[level] = Recogniser(getattr(config.backbones, level), config.backbones.dropout, classes)
        self.backbones = nn.ModuleDict(nets)
        with own_seed("policy"):
            self.policy = Policy(config, classes)
        with own_seed("lstm"):
            self.lstm = LstmHead(nets[LEVELS[0]].backbone.dim, config.policy.lstm, classes)

    def net(self, level: str) -> Recogniser:
        """The network of a resolution."""
        net = self.backbones[level]
        assert isinstance(net, Recogniser)
        return net

    def at(self, level: str, x_NCHW: Tensor) -> Tensor:
        """Frames at the size of ``level``."""
        return resized(x_NCHW, self.config.size_of(level), self.config.resize)

    def recognise(self, level: str, x_NCHW: Tensor, key_N: Tensor | None = None) -> Tensor:
        """``logits_NC`` of frames (at full size) by the backbone of ``level``."""
        keys = None if key_N is None else noise.keys(_DROPOUT + LEVELS.index(level), key_N)
        return self.net(level)(self.at(level, x_NCHW), keys)

    def policy_features(self, x_BTCHW: Tensor) -> Tensor:
        """``feature_BTD`` of all frames."""
        feature_ND = self.policy.features(self.at(LOWEST, x_BTCHW.flatten(0, 1)))
        return feature_ND.view(*x_BTCHW.shape[:2], -1)

    def all_logits(self, x_BTCHW: Tensor, key_BT: Tensor | None = None) -> dict[str, Tensor]:
        """``logits_BTC`` of every frame by every backbone: the dense computation."""
        x_NCHW, key_N = x_BTCHW.flatten(0, 1), None if key_BT is None else key_BT.flatten()
        found = {level: self.recognise(level, x_NCHW, key_N) for level in self.config.levels}
        return {level: logits_NC.view(*x_BTCHW.shape[:2], -1) for level, logits_NC in found.items()}

    def chosen_logits(self, x_BTCHW: Tensor, use: Mapping[str, Tensor], key_BT: Tensor | None) -> dict[str, Tensor]:
        """As :meth:`all_logits`, computed where ``use[level]`` (BT) and zeros elsewhere.

        Where nothing is chosen a net runs on an empty batch: every rank calls every net, as synchronised batch norm requires.
        """
        found = {}
        for level in self.config.levels:
            chosen_BT = use[level].bool()
            key_N = None if key_BT is None else key_BT[chosen_BT]
            logits_NC = self.recognise(level, x_BTCHW[chosen_BT], key_N)
            empty_BTC = logits_NC.new_zeros(*chosen_BT.shape, self.classes)
            found[level] = empty_BTC.index_put((chosen_BT,), logits_NC)
        return found

    def use(self, action_BTA: Tensor) -> dict[str, Tensor]:
        """``use_BT`` of every resolution that can be chosen, as floats with the actions' gradient."""
        return {a.level: action_BTA[..., i] for i, a in enumerate(self.actions) if a.level is not None}


def video_logits(logits: Mapping[str, Tensor], use: Mapping[str, Tensor]) -> Tensor:
    """``logits_BC``: mean over the computed frames; of none, zeros."""
    total_BC = torch.stack([(logits[level] * use_BT[..., None]).sum(1) for level, use_BT in use.items()]).sum(0)
    count_B = torch.stack([use_BT.sum(1) for use_BT in use.values()]).sum(0)
    return total_BC / count_B.clamp(min=1)[:, None]


def with_lowest(logits: Mapping[str, Tensor], rollout: Rollout) -> dict[str, Tensor]:
    """The backbones' logits and those of the policy's own resolution."""
    return {**logits, LOWEST: rollout.logits_BTC}


def resized(x_NCHW: Tensor, size: int, how: str) -> Tensor:
    """Frames of another size: nearest neighbour, as the release does, or smooth."""
    if x_NCHW.shape[-1] == size or x_NCHW.shape[0] == 0:
        return x_NCHW[..., :size, :size]
    if how == "nearest":
        return F.interpolate(x_NCHW, size=(size, size), mode="nearest")
    return F.interpolate(x_NCHW, size=(size, size), mode="bilinear", align_corners=False, antialias=True)
