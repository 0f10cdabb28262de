"""AdaMML's stages and baselines, declared. No torch.

What depends on what: a unimodal net on its own net, data and recipe; the warm-up on the nets and its recipe, not on
lambda, gamma or temperature; the joint stage on those too; the fine-tuning on nothing that is not already in the
checkpoint that it starts from. Hence unimodal nets and warm-up are trained once for all trials that share them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from trainables.adamml.config import AdaMMLConfig, NetConfig, OptimiserConfig, StageConfig
from trainables.contract import Json, Pass, Stage

RECOGNITION_GROUPS = ("recognition", "fusion")


def gamma_acts(config: AdaMMLConfig) -> bool:
    """Whether gamma can change anything that is trained: in Eq. 4 as printed it has no gradient."""
    return config.correctness == "soft" and config.penalty == "eq4"


def main_stages(config: AdaMMLConfig) -> tuple[Stage, ...]:
    """unimodal (one a modality), warmup, joint, finetune."""
    nets = _nets(config)
    joint = config.stages.joint
    unimodal = unimodal_stages(config)
    return (
        *unimodal,
        _stage(config, "warmup", config.stages.warmup, after=tuple(s.name for s in unimodal), depends=nets),
        _stage(
            config,
            "joint",
            joint,
            after=("warmup",),
            passes=(
                _pass(config, "recognition", RECOGNITION_GROUPS, joint.recognition),
                _pass(config, "policy", ("policy",), joint.policy),
            ),
            depends={
                **nets,
                "lambda": {m: getattr(config.lambda_, m) for m in config.data.modalities},
                "gamma": [config.gamma, config.gamma_scale] if gamma_acts(config) else None,
                "correctness": config.correctness,
                "penalty": config.penalty,
                "temperature": config.temperature.model_dump(),
            },
            candidates="every",
            select=joint.select,
        ),
        _stage(config, "finetune", config.stages.finetune, after=("joint",), depends=nets, candidates="last"),
    )


def unimodal_stages(config: AdaMMLConfig) -> tuple[Stage, ...]:
    """One recognition net by itself: the start of everything else, and a baseline."""
    return tuple(
        _stage(
            config,
            f"unimodal.{name}",
            config.stages.unimodal,
            passes=(_pass(config, "recognition", (f"recognition.{name}",), config.stages.unimodal.recognition),),
            modalities=(name,),
            depends={
                "data": _data(config),
                "net": _net(getattr(config.recognition, name)),
                "dropout": config.recognition.dropout,
            },
            candidates="last",
            mode=f"only.{name}",
            baseline=f"unimodal.{name}",
        )
        for name in config.data.modalities
    )


def baseline_stages(config: AdaMMLConfig) -> Mapping[str, tuple[Stage, ...]]:
    """Baselines by name, each from the same unimodal nets, with the same total of 35 epochs as AdaMML's stages."""
    unimodal = unimodal_stages(config)
    starts = tuple(stage.name for stage in unimodal)

    def trained(name: str, recipe: StageConfig, mode: str) -> tuple[Stage, ...]:
        stage = _stage(
            config, name, recipe, after=starts, depends=_nets(config), candidates="last", mode=mode, baseline=name
        )
        return (*unimodal, stage)

    return {
        "unimodal": unimodal,
        "weighted_fusion": trained("weighted_fusion", config.stages.weighted_fusion, "all_on"),
        "random_policy": trained("random_policy", config.stages.random_policy, "random"),
    }


def _stage(
    config: AdaMMLConfig,
    name: str,
    recipe: StageConfig,
    *,
    passes: tuple[Pass, ...] | None = None,
    modalities: tuple[str, ...] | None = None,
    **declared: Any,
) -> Stage:
    return Stage(
        name=name,
        epochs=recipe.epochs,
        passes=passes or (_pass(config, "recognition", RECOGNITION_GROUPS, recipe.recognition),),
        batch_size=recipe.batch_size,
        segments=recipe.segments or config.data.segments.train,
        modalities=modalities or config.data.modalities,
        **declared,
    )


def _pass(config: AdaMMLConfig, name: str, trains: tuple[str, ...], optimiser: OptimiserConfig) -> Pass:
    return Pass(name=name, trains=trains, optimiser=optimiser.declared(), frozen_mode=config.frozen_mode)


def _data(config: AdaMMLConfig) -> Json:
    """Settings of the data; its content is in the fingerprint, and where it lies changes nothing."""
    return config.data.model_dump(mode="json", exclude={"manifest"})


def _nets(config: AdaMMLConfig) -> dict[str, Json]:
    policy = config.policy.model_dump(mode="json")
    return {
        "data": _data(config),
        "recognition": {m: _net(getattr(config.recognition, m)) for m in config.data.modalities},
        "dropout": config.recognition.dropout,
        "policy": {**policy, **{m: _net(getattr(config.policy, m)) for m in config.data.modalities}},
    }


def _net(net: NetConfig) -> Json:
    """A net's settings, with the content of an initial weights file in place of its path."""
    settings = net.model_dump(mode="json")
    if net.weights is not None and Path(net.weights).is_file():
        settings["weights"] = hashlib.sha256(Path(net.weights).read_bytes()).hexdigest()
    return settings
