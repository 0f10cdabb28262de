"""Presets: the same classes at two sizes.

``paper`` is AR-Net as published. ``tiny`` learns on a small set in minutes without a GPU: frames of 64 pixels, four strided
convolutions a backbone, a policy that costs a thirtieth of the highest resolution, and a warm-up long enough (one-cycle AdamW) that
every resolution recognises what it can show, the policy's own included: small networks have no ImageNet weights to start from.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trainables.kit.data.config import DATA_PRESETS

_WARMUP_TINY = {"name": "adamw", "lr": 4e-3, "momentum": 0.0, "weight_decay": 1e-3, "schedule": "one_cycle"}
_RECOGNITION_TINY = {"lr": 5e-3, "weight_decay": 1e-4}
_POLICY_TINY = {"name": "adam", "lr": 2e-3, "momentum": 0.0, "weight_decay": 1e-4}


def _small_conv(size: int, *widths: int) -> dict[str, Any]:
    return {"size": size, "backbone": "small_conv", "widths": widths}


_DATA_PAPER = {
    **DATA_PRESETS["paper"],
    "segments": {"span_frames": 1, "frames": 1, "stride": 1, "train": 16, "test": 16},
    "augment": {"resize": [256, 341], "flip": 0.5},  # crops of 1, .875, .75 and .66 of the frame, in the release
}
_DATA_TINY = {
    **DATA_PRESETS["tiny"],
    "frame_size": 64,
    "crop_size": 64,
    "segments": {**DATA_PRESETS["tiny"]["segments"], "train": 10, "test": 10},
    "augment": {"resize": None, "flip": 0.0, "shift_pixels": 4, "shift_steps": 0},
}

# In the authors' release; the paper does not say.
_RELEASED = {"bias_times": 2.0, "linear_times": 5.0, "decay_biases": False, "clip_norm": 20.0}

PRESETS: Mapping[str, Mapping[str, Any]] = {
    "paper": {
        "data": _DATA_PAPER,
        "backbones": {level: {"weights": "imagenet"} for level in ("high", "medium", "low")},
        "policy": {"weights": "imagenet"},
        "stages": {
            "warmup": {"recognition": {"lr": 0.02, **_RELEASED}},
            "joint": {"recognition": _RELEASED},
            "finetune": {"recognition": {"lr": 0.0005, **_RELEASED}},
            "baseline": {"recognition": _RELEASED},
        },
    },
    "tiny": {
        "data": _DATA_TINY,
        "price": "relative",
        "resize": "smooth",
        "backbones": {
            "high": _small_conv(64, 16, 32, 64, 64),
            "medium": _small_conv(48, 12, 24, 48, 48),
            "low": _small_conv(32, 12, 24, 32),
            "dropout": 0.3,
        },
        "policy": {**_small_conv(24, 8, 16, 32), "lstm": 48},
        "stages": {
            "warmup": {"epochs": 40, "batch_size": 24, "recognition": _WARMUP_TINY},
            "joint": {
                "epochs": 15,
                "batch_size": 24,
                "recognition": _RECOGNITION_TINY,
                "policy": _POLICY_TINY,
            },
            "finetune": {"epochs": 5, "batch_size": 24, "recognition": {**_RECOGNITION_TINY, "lr": 2e-3}},
            "baseline": {"epochs": 20, "batch_size": 24, "recognition": _RECOGNITION_TINY},
        },
    },
}
