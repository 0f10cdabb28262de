"""Metrics over unique videos."""

from __future__ import annotations

import numpy as np
import torch


def mean_average_precision(logits_BC: np.ndarray, label_B: np.ndarray) -> float:
    """Macro mean average precision of the softmax over the classes that occur (the papers' mAP), in [0, 1]."""
    from torchmetrics.functional.classification import multiclass_average_precision  # half a second to import

    probability_BC = torch.from_numpy(np.asarray(logits_BC, np.float32)).softmax(-1)
    label = torch.from_numpy(np.asarray(label_B, np.int64))
    by_class = multiclass_average_precision(probability_BC, label, num_classes=probability_BC.shape[1], average=None)
    assert by_class is not None
    occurs = torch.bincount(label, minlength=probability_BC.shape[1]) > 0
    return float(by_class[occurs].mean())
