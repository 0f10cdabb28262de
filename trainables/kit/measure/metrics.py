"""Metrics over unique videos.

Written out because both libraries that have it cost each worker of a sweep more than all else that it measures: importing
torchmetrics takes 2.6 s of CPU (it brings torchvision), scikit-learn 1.5 s. A test holds this to scikit-learn's values.
"""

from __future__ import annotations

import numpy as np


def mean_average_precision(logits_BC: np.ndarray, truth_BC: np.ndarray) -> float:
    """Macro mean average precision of the softmax over the classes that occur (the papers' mAP), in [0, 1].

    ``truth_BC``: multi-hot true classes.
    """
    shifted_BC = np.asarray(logits_BC, np.float64) - np.max(logits_BC, axis=1, keepdims=True)
    probability_BC = np.exp(shifted_BC) / np.exp(shifted_BC).sum(1, keepdims=True)
    classes = np.flatnonzero(truth_BC.any(0))
    return float(np.mean([average_precision(probability_BC[:, c], truth_BC[:, c]) for c in classes]))


def average_precision(score_B: np.ndarray, positive_B: np.ndarray) -> float:
    """Sum over distinct scores, highest first, of (gain in recall) x precision; equal scores count together."""
    order = np.argsort(-score_B, kind="stable")
    last_of_ties = np.flatnonzero(np.append(np.diff(score_B[order]) != 0, True))
    found = np.cumsum(positive_B[order])[last_of_ties]
    precision = found / (last_of_ties + 1)
    gained = np.diff(found, prepend=0) / positive_B.sum()
    return float((gained * precision).sum())
