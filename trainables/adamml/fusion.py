"""How the modalities' segment logits become one (paper, section 3 and Table 7).

Axes: ``B`` video, ``S`` segment, ``M`` modality, ``C`` class, ``D`` feature.

A fusion of an adaptive network is a sum over modalities, so that a skipped one is left out of it: such a fusion gives every
modality's *contribution*. ``max`` and ``fc2`` mix all modalities and serve as baselines with everything used.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class WeightedFusion(nn.Module):
    """M-1 learnable scalars initialised at 1/M; the last weight is one minus their sum (no softmax)."""

    def __init__(self, modalities: int, classes: int) -> None:
        super().__init__()
        self.free_weights = nn.Parameter(torch.full((modalities - 1,), 1 / modalities))

    def forward(self, logits_BSMC: Tensor) -> Tensor:
        """``contribution_BSMC``: each modality's logits times its weight."""
        weight_M = torch.cat([self.free_weights, 1 - self.free_weights.sum(0, keepdim=True)])
        return logits_BSMC * weight_M[:, None]


class ClassWiseFusion(nn.Module):
    """As :class:`WeightedFusion`, with a weight of its own for each class."""

    def __init__(self, modalities: int, classes: int) -> None:
        super().__init__()
        self.free_weights_MC = nn.Parameter(torch.full((modalities - 1, classes), 1 / modalities))

    def forward(self, logits_BSMC: Tensor) -> Tensor:
        """``contribution_BSMC``."""
        return logits_BSMC * torch.cat([self.free_weights_MC, 1 - self.free_weights_MC.sum(0, keepdim=True)])


class AverageFusion(nn.Module):
    """The mean over all modalities, skipped ones included as zeros."""

    def __init__(self, modalities: int, classes: int) -> None:
        super().__init__()
        self.modalities = modalities

    def forward(self, logits_BSMC: Tensor) -> Tensor:
        """``contribution_BSMC``."""
        return logits_BSMC / self.modalities


CONTRIBUTIONS: dict[str, type[nn.Module]] = {
    "weighted": WeightedFusion,
    "average": AverageFusion,
    "class_wise": ClassWiseFusion,
}


class FC2Fusion(nn.Module):
    """The modalities' features one after the other, then two linear layers with a ReLU between them."""

    def __init__(self, dims: Sequence[int], hidden: int, classes: int) -> None:
        super().__init__()
        self.dims = tuple(dims)
        self.hidden = nn.Linear(sum(dims), hidden)
        self.head = nn.Linear(hidden, classes)

    def forward(self, feature_BSD: Tensor) -> Tensor:
        """``logits_BSC``."""
        return self.head(self.hidden(feature_BSD).relu())


def max_of_present(logits_BSMC: Tensor, present_BSM: Tensor) -> Tensor:
    """``logits_BSC``: for each class the largest of the modalities that are there; zeros where none is."""
    there_BSM1 = present_BSM.bool()[..., None]
    largest_BSC = logits_BSMC.masked_fill(~there_BSM1, -torch.inf).amax(2)
    return torch.where(there_BSM1.any(2), largest_BSC, 0.0)


def shared_out(logits_BSC: Tensor, present_BSM: Tensor) -> Tensor:
    """``contribution_BSMC`` whose sum over the modalities that are there is ``logits_BSC``: each gets an equal part.

    So the replay table of a fusion that is no sum holds the same as the others, for the one setting that it has.
    """
    there_BSM = present_BSM.to(logits_BSC.dtype)
    return logits_BSC[:, :, None] * (there_BSM / there_BSM.sum(-1, keepdim=True).clamp(min=1))[..., None]
