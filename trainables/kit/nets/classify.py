"""What a video's classes are, as numbers: the classification loss and what was right, for one label a video or several.

Axes: ``B`` video, ``C`` class.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from trainables.contract import Batch


def truth_of(batch: Batch, classes: int) -> Tensor:
    """``truth_BC``, float: multi-hot true classes."""
    if batch.labels_BC is not None:
        return batch.labels_BC.float()
    return F.one_hot(batch.label_B, classes).float()


def classification_loss(logits_BC: Tensor, truth_BC: Tensor) -> Tensor:
    """Cross-entropy to a video's classes, each weighing the same (``truth_BC``: multi-hot, one of them as a rule)."""
    return F.cross_entropy(logits_BC, truth_BC / truth_BC.sum(1, keepdim=True))


def hits(logits_BC: Tensor, truth_BC: Tensor) -> Tensor:
    """``right_B`` as 0 and 1: whether the class with the largest logit is one of the video's own."""
    return truth_BC.gather(1, logits_BC.detach().argmax(-1, keepdim=True))[:, 0]
