"""Presets: the same classes at two sizes. ``paper`` is AdaMML as published; ``tiny`` learns on a small set in minutes.

``tiny`` has a recipe of its own: the paper's stays at chance on about a thousand short videos, because one clip
rarely holds what the label names. It trains the unimodal nets on several segments of each video with AdamW and a
one-cycle rate instead.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trainables.kit.data.config import DATA_PRESETS

_UNIMODAL_TINY = {"name": "adamw", "lr": 4e-3, "momentum": 0.0, "weight_decay": 1e-3, "schedule": "one_cycle"}
_RECOGNITION_TINY = {"lr": 5e-3, "weight_decay": 1e-4}
_FINETUNE_TINY = {"lr": 2e-3, "weight_decay": 1e-4}
_POLICY_TINY = {"name": "adam", "lr": 2e-3, "momentum": 0.0, "weight_decay": 1e-4}


def _small_conv(*widths: int) -> dict[str, Any]:
    return {"backbone": "small_conv", "widths": widths}


PRESETS: Mapping[str, Mapping[str, Any]] = {
    "paper": {"data": DATA_PRESETS["paper"]},
    "tiny": {
        "data": DATA_PRESETS["tiny"],
        "lambda": {"rgb": 1.0, "audio": 0.25},
        "recognition": {
            "rgb": _small_conv(24, 48, 96, 96),
            "audio": _small_conv(12, 24, 48, 64),
            "dropout": 0.3,
        },
        "policy": {
            "rgb": _small_conv(8, 16, 24),
            "audio": _small_conv(8, 16, 24, 32),
            "rgb_size": 24,
            "rgb_every": 1,
            "audio_pool": [2, 2],
            "hidden": [128],
            "lstm": 64,
        },
        "stages": {
            "unimodal": {"epochs": 50, "batch_size": 48, "segments": None, "recognition": _UNIMODAL_TINY},
            "warmup": {"epochs": 5, "batch_size": 48, "recognition": _RECOGNITION_TINY},
            "joint": {"epochs": 20, "batch_size": 48, "recognition": _RECOGNITION_TINY, "policy": _POLICY_TINY},
            "finetune": {"epochs": 10, "batch_size": 48, "recognition": _FINETUNE_TINY},
            "weighted_fusion": {"epochs": 35, "batch_size": 48, "recognition": _RECOGNITION_TINY},
            "random_policy": {"epochs": 35, "batch_size": 48, "recognition": _RECOGNITION_TINY},
        },
    },
}
