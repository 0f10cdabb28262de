"""How the channels' choices come about in each mode: by the policies, at random, by norms.

Axes: ``B`` video, ``T`` frame, ``N`` frame of any video, ``K`` gated channel, ``A`` choice.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from trainables.adafuse.config import AdaFuseConfig
from trainables.adafuse.gates import gumbel_onehot, onehot
from trainables.adafuse.knobs import KEEP_BIAS, SKIP_BIAS
from trainables.adafuse.model import AdaFuse, Choose
from trainables.adafuse.names import CHOICES, KEEP, REUSE, SKIP
from trainables.kit import noise
from trainables.kit.frames.knobs import DRAW, SAMPLED

_GUMBEL, _COIN = 64, 128  # purposes of the noise: one a block from here on
_NEVER = -1e9  # a logit
ADA_SKIP, ADA_REUSE, RANDOM, THRESHOLD, CGNET, LSTM, ALL_ON = (
    "ada_skip",
    "ada_reuse",
    "random",
    "threshold",
    "cgnet",
    "lstm",
    "all_on",
)
LACKING: Mapping[str, int] = {ADA_SKIP: REUSE, ADA_REUSE: SKIP}  # baselines whose policies lack a choice


def bias_of(setting: Mapping[str, float], mode: str) -> Tensor:
    """``bias_A``: what a setting of the knobs adds to the policies' logits, and which choice a mode lacks."""
    bias_A = torch.zeros(len(CHOICES))
    bias_A[KEEP], bias_A[SKIP] = setting.get(KEEP_BIAS, 0.0), setting.get(SKIP_BIAS, 0.0)
    if mode in LACKING:
        bias_A[LACKING[mode]] = _NEVER
    return bias_A


def draw_of(setting: Mapping[str, float], mode: str) -> int | None:
    """The number of the draw under a setting; None where the likeliest choice is taken."""
    if mode == "sampled":
        return int(setting.get(DRAW, 0))
    return 0 if setting.get(SAMPLED, 0) > 0.5 else None


def by_policy(model: AdaFuse, bias_A: Tensor, key_BT: Tensor, *, draw: int | None, temperature: float = 1.0) -> Choose:
    """The likeliest choice, or the ``draw``-th draw, whose gradient has the ``temperature``."""
    number_of = {point.name: i for i, point in enumerate(model.points)}

    def choose(name: str, x_NCHW: Tensor, y_NKHW: Tensor) -> Tensor:
        logits_BTKA = model.policy(name, x_NCHW, key_BT.shape[1]) + bias_A.to(x_NCHW.device)
        if draw is None:
            return onehot(logits_BTKA)
        keys_BT = noise.keys(noise.mix(_GUMBEL + number_of[name], draw), key_BT)
        return gumbel_onehot(logits_BTKA, noise.uniform(keys_BT, *logits_BTKA.shape[2:]), temperature)

    return choose


def at_random(model: AdaFuse, chances: tuple[float, float, float], key_BT: Tensor) -> Choose:
    """Every channel of every frame by itself, with these chances of skip, reuse and keep."""
    number_of = {point.name: i for i, point in enumerate(model.points)}
    bounds = torch.tensor(chances).cumsum(0)[:-1]

    def choose(name: str, x_NCHW: Tensor, y_NKHW: Tensor) -> Tensor:
        uniform_BTK = noise.uniform(noise.keys(_COIN + number_of[name], key_BT), y_NKHW.shape[1])
        choice_BTK = torch.bucketize(uniform_BTK, bounds.to(uniform_BTK.device))
        return torch.nn.functional.one_hot(choice_BTK, len(CHOICES)).to(y_NKHW.dtype)

    return choose


def by_norm(frames: int, portion: float) -> Choose:
    """Kept is this portion of a frame's channels, those with the largest L1 norms; the others are skipped."""

    def choose(name: str, x_NCHW: Tensor, y_NKHW: Tensor) -> Tensor:
        norm_NK = y_NKHW.detach().abs().mean((2, 3))
        count = max(1, round(portion * norm_NK.shape[1]))
        keep_NK = torch.zeros_like(norm_NK).scatter(1, norm_NK.topk(count, dim=1).indices, 1.0)
        choice_NKA = torch.stack([1 - keep_NK, torch.zeros_like(keep_NK), keep_NK], -1)
        return choice_NKA.unflatten(0, (-1, frames))

    return choose


def blind(model: AdaFuse, config: AdaFuseConfig, mode: str, key_BT: Tensor) -> Choose:
    """Of the baselines that have no policy: ``random`` and ``threshold``."""
    if mode == RANDOM:
        return at_random(model, config.fixed.random, key_BT)
    return by_norm(key_BT.shape[1], config.fixed.threshold)
