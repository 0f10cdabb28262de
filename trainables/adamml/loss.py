"""AdaMML's efficiency loss (paper, Eq. 4)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from trainables.adamml.config import AdaMMLConfig
from trainables.kit.nets.classify import hits


def efficiency_loss(
    config: AdaMMLConfig, use_BSM: Tensor, logits_BC: Tensor, truth_BC: Tensor, lambda_BM: Tensor | None = None
) -> Tensor:
    """Eq. 4, or its variants, as a scalar. ``lambda_BM``: each video's own weights; those of the configuration by default.

    With s_BM the share of segments that use m: sum over m of lambda_m * mean_b(correct_b * s_bm^2 + (1 - correct_b) *
    gamma). ``correctness: soft``: correct_b becomes the probability of the true classes, without gradient in the first
    term and with it in the second, so that gamma acts and no setting rewards being wrong. ``penalty: mean``: sum over
    m of lambda_m * mean(use), whatever is correct. ``penalty: none``: zero.
    """
    if config.penalty == "none":
        return use_BSM.new_zeros(())
    if lambda_BM is None:
        lambda_M = torch.tensor([getattr(config.lambda_, m) for m in config.data.modalities], device=use_BSM.device)
        lambda_BM = lambda_M.expand(len(use_BSM), -1)
    share_BM = use_BSM.mean(1)
    if config.penalty == "mean":
        return (lambda_BM * share_BM).mean(0).sum()
    if config.correctness == "hard":
        right_B = hits(logits_BC, truth_BC)
        wrong_B = 1 - right_B
    else:
        probability_B = (F.softmax(logits_BC, -1) * truth_BC).sum(1)
        right_B, wrong_B = probability_B.detach(), 1 - probability_B
    used = (lambda_BM * right_B[:, None] * share_BM**2).mean(0).sum()
    if config.gamma_scale == "once":
        return used + config.gamma * wrong_B.mean()
    return used + config.gamma * (lambda_BM.sum(1) * wrong_B).mean()
