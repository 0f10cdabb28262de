"""Two halves of a split: thresholds are chosen on one, valued on the other.

Axes: ``B`` video.
"""

from __future__ import annotations

import numpy as np


def halves(label_B: np.ndarray, seed: int) -> np.ndarray:
    """Assign every video to one of two halves: (B,) bool, stratified by class and drawn from ``seed``.

    Both halves hold as many videos of each class as possible, and differ by at most one video in all: the odd video
    of one class and the odd video of the next go to different halves. A single video leaves the other half empty.
    """
    label_B = np.asarray(label_B)
    if label_B.ndim != 1:
        raise ValueError(f"halves need one label a video, an array of shape (B,); got shape {label_B.shape}")
    order_B = np.random.default_rng(seed).permutation(len(label_B))
    by_class_B = order_B[np.argsort(label_B[order_B], kind="stable")]
    first_B = np.zeros(len(label_B), dtype=bool)
    first_B[by_class_B[::2]] = True
    return first_B
