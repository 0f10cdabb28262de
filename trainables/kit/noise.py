"""Random numbers that are a function of what they are for: (seed, epoch, pass), video, segment, purpose.

A generator gives the n-th number to whoever asks n-th, so what a video gets depends on its neighbours, on the rank that
holds it and on what was skipped before it. Here every number is a hash of its key (splitmix64): one rank or eight, dense or
sparse, resumed or not, a video sees the same noise, on any device.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

_GOLDEN = -7046029254386353131  # 0x9E3779B97F4A7C15 as a signed number
_MIX_1 = -4658895280553007687  # 0xBF58476D1CE4E5B9
_MIX_2 = -7723592293110705685  # 0x94D049BB133111EB


def mix(*numbers: int) -> int:
    """One 63-bit seed from several numbers (splitmix64 steps)."""
    state = 0
    for number in numbers:
        state = (state ^ (number & 0xFFFFFFFFFFFFFFFF)) + 0x9E3779B97F4A7C15 & 0xFFFFFFFFFFFFFFFF
        state = (state ^ (state >> 30)) * 0xBF58476D1CE4E5B9 & 0xFFFFFFFFFFFFFFFF
        state = (state ^ (state >> 27)) * 0x94D049BB133111EB & 0xFFFFFFFFFFFFFFFF
        state ^= state >> 31
    return state >> 1


def keys(noise: int, *parts: Tensor | int) -> Tensor:
    """A 64-bit key for each element of the (broadcast) ``parts``, for example the videos and the segments of a batch."""
    key = torch.tensor(noise, dtype=torch.int64)
    for part in parts:
        part = torch.as_tensor(part, dtype=torch.int64)
        key = _hash((key.to(part.device) ^ part) + _GOLDEN)
    return key


def uniform(key: Tensor, *shape: int) -> Tensor:
    """Uniform float32 in (0, 1), ``[*key.shape, *shape]``: so many numbers a key. 23 bits, never 0 and never 1."""
    count = 1
    for size in shape:
        count *= size
    place = torch.arange(1, count + 1, device=key.device, dtype=torch.int64) * _GOLDEN
    bits = _shift_right(_hash(key[..., None] + place), 41)  # 23 bits: exact in float32 also after adding a half
    return ((bits.float() + 0.5) / 2**23).view(*key.shape, *shape)


class KeyedDropout(nn.Module):
    """Dropout whose mask is a function of a key a row, so that a row's mask does not depend on the other rows."""

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, x: Tensor, key_N: Tensor | None) -> Tensor:
        """``x`` with leading axis N; in training about ``p`` of its numbers are 0 and the others are scaled up.

        Without keys (or in eval mode, or with p = 0) ``x`` passes unchanged.
        """
        if not self.training or self.p == 0 or key_N is None:
            return x
        keep = uniform(key_N, *x.shape[1:]) >= self.p
        return x * keep.to(x.dtype) / (1 - self.p)


def _hash(state: Tensor) -> Tensor:
    state = (state ^ _shift_right(state, 30)) * _MIX_1
    state = (state ^ _shift_right(state, 27)) * _MIX_2
    return state ^ _shift_right(state, 31)


def _shift_right(x: Tensor, bits: int) -> Tensor:
    """Logical shift: torch's own keeps the sign."""
    return (x >> bits) & ((1 << (64 - bits)) - 1)
