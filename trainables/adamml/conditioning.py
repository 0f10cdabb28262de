"""One policy for all efficiency weights: they are drawn in training, enter the policy, and are set after it.

Loss-conditional training (Dosovitskiy and Djolonga, You Only Train Once, ICLR 2020; COSMOS, Ruchte and Grabocka, ICDM 2021). In
AdaMML the weights lambda of Eq. 4 touch the policy's loss alone, so nothing else has to know them.

Axes: ``B`` video, ``S`` segment, ``M`` modality, ``L`` setting of the weights.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from trainables.adamml.config import AdaMMLConfig
from trainables.adamml.knobs import lambda_knob, lambda_values, middle
from trainables.kit import noise

_LAMBDA = 3  # purpose of the noise, beside the policy's draws and the coin
_HIDDEN = 16


def draw_lambda(config: AdaMMLConfig, key_B: Tensor) -> Tensor:
    """``lambda_BM``: log-uniform over each modality's range, or one of its ends for the share ``policy.draws.corners``."""
    count = len(config.data.modalities)
    uniform = noise.uniform(noise.keys(_LAMBDA, key_B), 2 * count + 1)
    place_BM, end_BM = uniform[:, :count], (uniform[:, count:-1] < 0.5).float()
    at_corner_B1 = uniform[:, -1:] < config.policy.draws.corners
    return _between(config, torch.where(at_corner_B1, end_BM, place_BM))


def lambda_code(config: AdaMMLConfig, like_BSD: Tensor, lambda_BM: Tensor | None) -> Tensor:
    """``code_BM`` in [-1, 1]: the weights' logarithm over their range; zeros (the middle) where none are given."""
    videos, count = like_BSD.shape[0], len(config.data.modalities)
    if lambda_BM is None:
        return like_BSD.new_zeros(videos, count)
    lowest_M, highest_M = _ends(config, lambda_BM.device)
    return (2 * (lambda_BM.log() - lowest_M) / (highest_M - lowest_M) - 1).to(like_BSD)


def lambda_grid(config: AdaMMLConfig) -> Tensor:
    """``lambda_LM``: every combination of the values of the knobs ``lambda.NAME``."""
    return torch.tensor(list(itertools.product(*(lambda_values(config, m) for m in config.data.modalities))))


def lambda_of(config: AdaMMLConfig, knobs: Mapping[str, float]) -> Tensor | None:
    """``lambda_BM`` of one video under ``knobs``; None for a policy without conditioning."""
    if not config.conditioned:
        return None
    found = [knobs.get(lambda_knob(m), middle(config, m)) for m in config.data.modalities]
    return torch.tensor([found])


class Film(nn.Module):
    """Feature-wise linear modulation (Perez et al., AAAI 2018) of features of ``dims``; at first it changes nothing."""

    def __init__(self, codes: int, *dims: int) -> None:
        super().__init__()
        self.dims = dims
        self.hidden = nn.Linear(codes, _HIDDEN)
        self.out = nn.Linear(_HIDDEN, 2 * sum(dims))
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, code_BM: Tensor) -> list[_Modulation]:
        """One modulation for each of ``dims``."""
        parts = self.out(torch.relu(self.hidden(code_BM))).split([2 * dim for dim in self.dims], -1)
        return [_Modulation(*part.chunk(2, -1)) for part in parts]


class _Modulation:
    def __init__(self, scale_BD: Tensor, shift_BD: Tensor) -> None:
        self._scale_BD, self._shift_BD = scale_BD, shift_BD

    def __call__(self, x: Tensor) -> Tensor:
        """``x`` of shape BD or BSD, scaled and shifted."""
        if x.dim() == 3:
            return x * (1 + self._scale_BD[:, None]) + self._shift_BD[:, None]
        return x * (1 + self._scale_BD) + self._shift_BD


def _between(config: AdaMMLConfig, place_BM: Tensor) -> Tensor:
    """``lambda_BM`` at a place in [0, 1] of each range's logarithm."""
    lowest_M, highest_M = _ends(config, place_BM.device)
    return (lowest_M + place_BM * (highest_M - lowest_M)).exp()


def _ends(config: AdaMMLConfig, device: torch.device) -> tuple[Tensor, Tensor]:
    """Logarithm of the lowest and the highest weights."""
    ends = [[math.log(end) for end in config.lambda_range(m)] for m in config.data.modalities]
    lowest_M, highest_M = torch.tensor(ends, device=device).T
    return lowest_M, highest_M
