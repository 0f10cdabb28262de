"""Presets: the same classes at two sizes.

``paper`` is AdaFuse as published: ImageNet weights, no warm-up, one stage. ``tiny`` learns on a small set in minutes without a GPU:
a convolution and three residual blocks, which a warm-up teaches what a picture shows before decisions are learnt. Its policies
begin by keeping most channels, and are small: the paper's rule would make them larger than the network.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trainables.kit.data.config import DATA_PRESETS

_DATA_PAPER = {
    **DATA_PRESETS["paper"],
    "segments": {"span_frames": 1, "frames": 1, "stride": 1, "train": 8, "test": 8},
    "augment": {"resize": [256, 341], "flip": 0.0},  # a mirrored action is another one on Something and Jester
}
_DATA_TINY = {
    **DATA_PRESETS["tiny"],
    "segments": {**DATA_PRESETS["tiny"]["segments"], "train": 8, "test": 8},
    "augment": {"resize": None, "flip": 0.0, "shift_pixels": 2, "shift_steps": 0},
}
_RELEASED = {
    "bias_times": 2.0,
    "decay_biases": False,
    "clip_norm": 20.0,
}  # the authors' release; the paper does not say
_PAPER_SGD = {
    "name": "sgd",
    "lr": 0.002,
    "weight_decay": 5e-4,
    "schedule": "multistep",
    "milestones": [20, 40],
    **_RELEASED,
}
_WARMUP_TINY = {"name": "adamw", "lr": 4e-3, "momentum": 0.0, "weight_decay": 1e-3, "schedule": "one_cycle"}
_JOINT_TINY = {"name": "adamw", "lr": 3e-3, "momentum": 0.0, "weight_decay": 1e-3}

PRESETS: Mapping[str, Mapping[str, Any]] = {
    "paper": {
        "data": _DATA_PAPER,
        "network": {"weights": "imagenet"},
        "stages": {"joint": {"optimiser": _PAPER_SGD}, "baseline": {"optimiser": _PAPER_SGD}},
    },
    "tiny": {
        "data": _DATA_TINY,
        "lambda": 1.0,
        "price": "relative",
        "network": {"backbone": "small_resnet", "widths": [16, 32, 48, 64], "dropout": 0.3, "lstm": 32},
        "gates": {"hidden": 32, "keep": 2.0},
        "knobs": {"keep": [-1, 0, 1, 2], "skip": [-1, 0]},
        "stages": {
            "warmup": {"epochs": 40, "batch_size": 24, "optimiser": _WARMUP_TINY},
            "joint": {"epochs": 20, "batch_size": 24, "optimiser": _JOINT_TINY},
            "baseline": {"epochs": 20, "batch_size": 24, "optimiser": {**_JOINT_TINY, "lr": 2e-3}},
        },
    },
}
