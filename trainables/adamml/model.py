"""AdaMML's networks (Panda et al., ICCV 2021, section 3).

Axes: ``B`` video, ``S`` segment, ``M`` modality in the order of ``data.modalities``, ``T`` frame, ``C`` class.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from trainables.adamml.config import AdaMMLConfig, NetConfig
from trainables.kit.nets.backbones import Backbone, build_backbone

CHANNELS = {"rgb": 3, "audio": 1}
VIDEO_MODALITIES = frozenset({"rgb"})


@dataclass(frozen=True, kw_only=True)
class Output:
    """``segment_logits_BSMC`` already times the fusion weight; ``policy_logits_BSM2`` None where no policy ran."""

    logits_BC: Tensor
    segment_logits_BSMC: Tensor
    use_BSM: Tensor
    policy_logits_BSM2: Tensor | None


class RecognitionNet(nn.Module):
    """Backbone, dropout, linear to classes, mean over the frames that are left."""

    def __init__(self, net: NetConfig, in_channels: int, classes: int, dropout: float) -> None:
        super().__init__()
        self.backbone: Backbone = _backbone(net, in_channels)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(self.backbone.dim, classes)

    def forward(self, x_NTCHW: Tensor) -> Tensor:
        """``logits_NC`` of N segments."""
        return self.head(self.dropout(self.backbone(x_NTCHW))).mean(1)


class Policy(nn.Module):
    """Light nets, joint feature, LSTM over segments, one two-way head a modality (Eq. 1)."""

    def __init__(self, config: AdaMMLConfig) -> None:
        super().__init__()
        policy = config.policy
        self.modalities = config.data.modalities
        self.rgb_size, self.rgb_every, self.audio_pool = policy.rgb_size, policy.rgb_every, policy.audio_pool
        self.feedback = policy.feedback == "logits"
        nets: dict[str, Backbone] = {m: _backbone(getattr(policy, m), CHANNELS[m]) for m in self.modalities}
        self.nets = nn.ModuleDict(nets)
        dim = sum(net.dim for net in nets.values())
        layers: list[nn.Module] = []
        for width in policy.hidden:
            layers += [nn.Linear(dim, width), nn.ReLU(inplace=True)]
            dim = width
        self.joint = nn.Sequential(*layers)
        feedback_dim = 2 * len(self.modalities) if self.feedback else 0
        self.lstm = nn.LSTMCell(dim + feedback_dim, policy.lstm)
        self.heads = nn.ModuleDict({m: nn.Linear(policy.lstm, 2) for m in self.modalities})

    def look(self, modality: str, x_BSTCHW: Tensor) -> Tensor:
        """What the policy sees of a modality: fewer and smaller frames, or a pooled spectrogram."""
        if modality in VIDEO_MODALITIES:
            x_BSTCHW = x_BSTCHW[:, :, :: self.rgb_every]
            return _each_picture(x_BSTCHW, lambda x: _resize(x, self.rgb_size))
        return _each_picture(x_BSTCHW, lambda x: F.avg_pool2d(x, self.audio_pool))

    def forward(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """``policy_logits_BSM2`` (index 1 = use), causal over segments."""
        features = []
        for modality in self.modalities:
            x_BSTCHW = self.look(modality, with_frames(inputs[modality]))
            videos, segments = x_BSTCHW.shape[:2]
            feature = self.nets[modality](x_BSTCHW.flatten(0, 1)).mean(1)
            features.append(feature.view(videos, segments, -1))
        joint_BSD = self.joint(torch.cat(features, -1))
        return self.decide(joint_BSD)

    def decide(self, joint_BSD: Tensor, state: PolicyState | None = None) -> Tensor:
        """Run LSTM and heads over the segments of a joint feature."""
        return self.decide_from(joint_BSD, state).logits_BSM2

    def decide_from(self, joint_BSD: Tensor, state: PolicyState | None) -> Decided:
        """As :meth:`decide`, starting from ``state``, and with the state after the last segment (for streams)."""
        state = state or self.initial_state(joint_BSD)
        hidden, cell, previous = state.hidden, state.cell, state.logits
        steps = []
        for segment in range(joint_BSD.shape[1]):
            x = torch.cat([joint_BSD[:, segment], previous], -1) if self.feedback else joint_BSD[:, segment]
            hidden, cell = self.lstm(x, (hidden, cell))
            logits_BM2 = torch.stack([self.heads[m](hidden) for m in self.modalities], 1)
            previous = logits_BM2.flatten(1)
            steps.append(logits_BM2)
        return Decided(logits_BSM2=torch.stack(steps, 1), state=PolicyState(hidden=hidden, cell=cell, logits=previous))

    def initial_state(self, like_BSD: Tensor) -> PolicyState:
        """Zeros."""
        videos, size = like_BSD.shape[0], self.lstm.hidden_size
        zeros = like_BSD.new_zeros(videos, size)
        return PolicyState(hidden=zeros, cell=zeros, logits=like_BSD.new_zeros(videos, 2 * len(self.modalities)))


@dataclass(frozen=True, kw_only=True)
class PolicyState:
    """What the policy carries from one segment to the next."""

    hidden: Tensor
    cell: Tensor
    logits: Tensor


@dataclass(frozen=True, kw_only=True)
class Decided:
    """Policy logits of the segments seen, and the state after them."""

    logits_BSM2: Tensor
    state: PolicyState


class WeightedFusion(nn.Module):
    """M-1 learnable scalars initialised at 1/M; the last weight is one minus their sum (no softmax)."""

    def __init__(self, modalities: int) -> None:
        super().__init__()
        self.free_weights = nn.Parameter(torch.full((modalities - 1,), 1 / modalities))

    def forward(self, logits_BSMC: Tensor) -> Tensor:
        """Each modality's logits times its weight."""
        weight_M = torch.cat([self.free_weights, 1 - self.free_weights.sum(0, keepdim=True)])
        return logits_BSMC * weight_M[:, None]


class AdaMML(nn.Module):
    """Recognition nets, policy and fusion. ``recognition``, ``policy`` and ``fusion`` are the groups that train."""

    def __init__(self, config: AdaMMLConfig, classes: int) -> None:
        super().__init__()
        self.modalities = config.data.modalities
        self.classes = classes
        self.recognition = nn.ModuleDict()
        for m in self.modalities:
            with own_seed(f"recognition.{m}"):
                net = getattr(config.recognition, m)
                self.recognition[m] = RecognitionNet(net, CHANNELS[m], classes, config.recognition.dropout)
        with own_seed("policy"):
            self.policy = Policy(config)
        self.fusion = WeightedFusion(len(self.modalities))

    def recognise(self, modality: str, x_BSTCHW: Tensor) -> Tensor:
        """``logits_BSC`` of one modality, not weighted."""
        x_BSTCHW = with_frames(x_BSTCHW)
        videos, segments = x_BSTCHW.shape[:2]
        return self.recognition[modality](x_BSTCHW.flatten(0, 1)).view(videos, segments, self.classes)

    def segment_logits(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """``logits_BSMC`` of every segment, times the fusion weights: the dense computation of training and replay."""
        return self.fusion(torch.stack([self.recognise(m, inputs[m]) for m in self.modalities], 2))

    def chosen_logits(self, inputs: Mapping[str, Tensor], use_BSM: Tensor) -> Tensor:
        """As :meth:`segment_logits`, but a net runs only on the segments that use it; zeros elsewhere."""
        per_modality = []
        for m, modality in enumerate(self.modalities):
            x_BSTCHW, use_BS = with_frames(inputs[modality]), use_BSM[:, :, m].bool()
            logits_BSC = x_BSTCHW.new_zeros(*use_BS.shape, self.classes)
            if use_BS.any():
                logits_BSC[use_BS] = self.recognition[modality](x_BSTCHW[use_BS])
            per_modality.append(logits_BSC)
        return self.fusion(torch.stack(per_modality, 2))


def fuse(segment_logits_BSMC: Tensor, use_BSM: Tensor) -> Tensor:
    """``logits_BC``: sum over the used modalities, mean over all segments; nothing used counts as zeros."""
    return (segment_logits_BSMC * use_BSM[..., None]).sum(2).mean(1)


def draw(policy_logits_BSM2: Tensor, *, temperature: float, generator: torch.Generator) -> Tensor:
    """Hard Gumbel-softmax with straight-through gradient: ``use_BSM`` is 0 or 1, its gradient the soft sample's."""
    uniform = torch.rand(policy_logits_BSM2.shape, generator=generator, device=policy_logits_BSM2.device)
    gumbel = -torch.log(-torch.log(uniform.clamp(1e-20, 1 - 1e-7)))
    soft = F.softmax((policy_logits_BSM2 + gumbel) / temperature, -1)[..., 1]
    hard = (soft > 0.5).to(soft.dtype)
    return hard - soft.detach() + soft


def with_frames(x: Tensor) -> Tensor:
    """A spectrogram (B, S, 1, bands, steps) becomes one frame of one channel; frames stay as they are."""
    return x.unsqueeze(2) if x.dim() == 5 else x


def _each_picture(x_BSTCHW: Tensor, function: Callable[[Tensor], Tensor]) -> Tensor:
    y = function(x_BSTCHW.flatten(0, 2))
    return y.view(*x_BSTCHW.shape[:3], *y.shape[1:])


def _resize(x_NCHW: Tensor, size: int) -> Tensor:
    if x_NCHW.shape[-1] == size:
        return x_NCHW
    return F.interpolate(x_NCHW, size=(size, size), mode="bilinear", align_corners=False, antialias=True)


@contextmanager
def own_seed(part: str) -> Iterator[None]:
    """Initial weights of a part from (seed, name of the part): they do not depend on what was built before it.

    A unimodal checkpoint's key names its own net only, so its start must not change with another modality's net.
    """
    seed = torch.initial_seed()
    digest = int.from_bytes(hashlib.sha256(f"{seed}:{part}".encode()).digest()[:8], "big") >> 1
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(digest)
        yield


def _backbone(net: NetConfig, in_channels: int) -> Backbone:
    return build_backbone(
        net.backbone, in_channels, temporal_pool=net.temporal_pool, weights=net.weights, widths=net.widths
    )
