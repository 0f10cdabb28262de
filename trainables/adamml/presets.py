"""Presets: the same classes at three sizes.

``paper`` is AdaMML as published. ``base`` is where people start: ResNet-18 and MobileNetV2 from ImageNet weights at 160
pixels, sized so that 2,000 videos of RGB and sound train in about an hour on one GPU. ``tiny`` learns on a small set in
minutes without a GPU, with a recipe of its own: the paper's stays at chance on about a thousand short videos, because one
clip rarely holds what the label names. It trains the unimodal nets on several segments of each video with AdamW and a
one-cycle rate instead.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trainables.kit.data.config import DATA_PRESETS
from trainables.kit.data.modalities import MODALITIES

_UNIMODAL_TINY = {"name": "adamw", "lr": 4e-3, "momentum": 0.0, "weight_decay": 1e-3, "schedule": "one_cycle"}
_RECOGNITION_TINY = {"lr": 5e-3, "weight_decay": 1e-4}
_FINETUNE_TINY = {"lr": 2e-3, "weight_decay": 1e-4}
_POLICY_TINY = {"name": "adam", "lr": 2e-3, "momentum": 0.0, "weight_decay": 1e-4}


def _small_conv(*widths: int) -> dict[str, Any]:
    return {"backbone": "small_conv", "widths": widths}


def _each(video: Mapping[str, Any], sound: Mapping[str, Any]) -> dict[str, Any]:
    """One net's settings for every modality, by its kind."""
    return {name: dict(video if modality.kind == "video" else sound) for name, modality in MODALITIES.items()}


_RESNET18 = {"backbone": "resnet18", "weights": "imagenet"}
_MOBILENET = {"backbone": "mobilenet_v2", "weights": "imagenet"}

PRESETS: Mapping[str, Mapping[str, Any]] = {
    "paper": {
        "data": DATA_PRESETS["paper"],
        "recognition": _each({"weights": "imagenet"}, {"weights": "imagenet"}),
        "policy": _each({"weights": "imagenet"}, {"weights": "imagenet"}),
    },
    "base": {
        "data": {
            **DATA_PRESETS["paper"],
            "frame_size": 184,
            "crop_size": 160,
            "augment": {"resize": [184, 230]},
            "segments": {"test": 10},
        },
        "recognition": _each(_RESNET18, _MOBILENET),
        "policy": {**_each(_MOBILENET, _MOBILENET), "frame_size": 112, "sound_pool": [2, 2], "hidden": [512, 512]},
        "stages": {
            "unimodal": {
                "epochs": 10,
                "recognition": {"lr": 0.01, "schedule": "multistep", "milestones": [4, 7, 9]},
                "segments": 3,
            },
        },
        "compute": {"precision": "bfloat16"},
    },
    "tiny": {
        "data": DATA_PRESETS["tiny"],
        "lambda": {"rgb": 1.0, "audio": 0.25},
        "recognition": {
            **_each(_small_conv(24, 48, 96, 96), _small_conv(12, 24, 48, 64)),
            "dropout": 0.3,
            "fc2_hidden": 128,
        },
        "policy": {
            **_each(_small_conv(8, 16, 24), _small_conv(8, 16, 24, 32)),
            "frame_size": 24,
            "frame_every": 1,
            "sound_pool": [2, 2],
            "hidden": [128],
            "lstm": 64,
        },
        "stages": {
            "unimodal": {"epochs": 50, "batch_size": 48, "segments": None, "recognition": _UNIMODAL_TINY},
            "warmup": {"epochs": 5, "batch_size": 48, "recognition": _RECOGNITION_TINY},
            "joint": {"epochs": 20, "batch_size": 48, "recognition": _RECOGNITION_TINY, "policy": _POLICY_TINY},
            "finetune": {"epochs": 10, "batch_size": 48, "recognition": _FINETUNE_TINY},
            "fusion": {"epochs": 35, "batch_size": 48, "recognition": _RECOGNITION_TINY},
            "random": {"epochs": 35, "batch_size": 48, "recognition": _RECOGNITION_TINY},
        },
    },
}
