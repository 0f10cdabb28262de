"""AR-Net's stages and baselines, declared. No torch.

What depends on what: the warm-up of a resolution on its own network, the data and the recipe; the joint stage on all networks
and on the losses; the fine-tuning on nothing that is not already in the checkpoint that it starts from. So the warm-ups are trained
once for all trials, and each of them is a baseline: the network of one resolution on every frame.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trainables.arnet.config import LEVELS, LOWEST, ArNetConfig, StageConfig
from trainables.contract import Json, Pass, Stage
from trainables.kit.nets.config import net_settings

WARMUP, FRAMES = "warmup.", "frames."
FIGURE_FRAMES = (4, 8, 16, 25, 32)  # numbers of frames of one trained model (the paper's Figure 3)


def main_stages(config: ArNetConfig) -> tuple[Stage, ...]:
    """A warm-up for each resolution, joint, finetune."""
    warm = tuple(warmup_stage(config, level) for level in (*config.levels, LOWEST)) if config.warm_up else ()
    return (*warm, _joint(config, tuple(stage.name for stage in warm)), _finetune(config))


def warmup_stage(config: ArNetConfig, level: str) -> Stage:
    """One resolution by itself, on every frame. The lowest is the policy's network with its LSTM and class head."""
    trains = tuple(f"policy.{part}" for part in ("net", "lstm", "head")) if level == LOWEST else (f"backbones.{level}",)
    net = config.policy if level == LOWEST else getattr(config.backbones, level)
    return _stage(
        config,
        WARMUP + level,
        config.stages.warmup,
        trains=trains,
        depends=_one(config, net_settings(net)),
        candidates="last",
        mode=f"only.{level}",
        baseline=f"single.{config.share_of(level)}",
    )


def baseline_stages(config: ArNetConfig) -> Mapping[str, tuple[Stage, ...]]:
    """``single``: each resolution as its warm-up leaves it. ``uniform``, ``lstm``: the highest one, trained on.

    ``random``: frames get an action each with equal probability, in training and in test; ``multi_scale``: every frame at
    all resolutions. ``frames``: the finished network on other numbers of frames.
    """
    warm = {level: warmup_stage(config, level) for level in (*config.levels, LOWEST)} if config.warm_up else {}
    highest = tuple(warm[level] for level in LEVELS[:1] if level in warm)
    every = tuple(warm.values())
    high = _one(config, net_settings(config.backbones.high))
    backbones = tuple(f"backbones.{level}" for level in config.levels)

    def ends_as(name: str, after: tuple[Stage, ...], trains: tuple[str, ...], mode: str, depends: Any) -> Stage:
        return _stage(
            config,
            name,
            config.stages.baseline,
            after=tuple(stage.name for stage in after),
            trains=trains,
            depends=depends,
            candidates="last",
            mode=mode,
            baseline=name,
        )

    lstm = {**high, "lstm": config.policy.lstm}
    main = main_stages(config)
    return {
        "single": every,
        "uniform": (*highest, ends_as("uniform", highest, backbones[:1], "all_on", high)),
        "lstm": (*highest, ends_as("lstm", highest, (*backbones[:1], "lstm"), "lstm", lstm)),
        "random": (*every, ends_as("random", every, backbones, "random", _nets(config))),
        "multi_scale": (
            *every,
            ends_as("multi_scale", every, (*backbones, "policy"), "multi_scale", _nets(config)),
        ),
        "frames": (*main, *(_at_frames(config, count) for count in FIGURE_FRAMES)),
    }


def _joint(config: ArNetConfig, after: tuple[str, ...]) -> Stage:
    joint = config.stages.joint
    backbones, policy = tuple(f"backbones.{level}" for level in config.levels), ("policy",)
    passes: tuple[Pass, ...]
    if joint.policy is None:
        passes = (_pass(config, "joint", (*backbones, *policy), joint.recognition),)
    else:
        passes = (
            _pass(config, "recognition", backbones, joint.recognition),
            _pass(config, "policy", policy, joint.policy),
        )
    return _stage(
        config,
        "joint",
        joint,
        after=after,
        passes=passes,
        depends={
            **_measured(config),
            "alpha": config.alpha,
            "beta": config.beta,
            "price": [config.price, config.literature_costs if config.price == "gflops" else None],
            "uniform": config.uniform,
            "temperature": config.temperature.model_dump(),
        },
        candidates="every",
        forkable=True,
        mode=_policy_mode(config),
        select=joint.select,
    )


def _finetune(config: ArNetConfig) -> Stage:
    return _stage(
        config,
        "finetune",
        config.stages.finetune,
        after=("joint",),
        trains=tuple(f"backbones.{level}" for level in config.levels),
        depends=_measured(config),
        candidates="last",
        mode=_policy_mode(config),
    )


def _at_frames(config: ArNetConfig, count: int) -> Stage:
    name = f"{FRAMES}{count}"
    return _stage(
        config,
        name,
        config.stages.finetune,
        epochs=0,
        after=("finetune",),
        trains=tuple(f"backbones.{level}" for level in config.levels),
        depends=_nets(config),
        candidates="last",
        mode=name,
        baseline=name,
    )


def _stage(
    config: ArNetConfig,
    name: str,
    recipe: StageConfig,
    *,
    epochs: int | None = None,
    trains: tuple[str, ...] = (),
    passes: tuple[Pass, ...] = (),
    depends: Mapping[str, Json],
    **declared: Any,
) -> Stage:
    return Stage(
        name=name,
        epochs=recipe.epochs if epochs is None else epochs,
        passes=passes or (_pass(config, "recognition", trains, recipe.recognition),),
        batch_size=recipe.batch_size,
        segments=config.data.segments.train,
        modalities=config.data.modalities,
        accumulate=config.compute.accumulate,
        precision=config.compute.precision,
        depends=depends,
        **declared,
    )


def _pass(config: ArNetConfig, name: str, trains: tuple[str, ...], optimiser: Any) -> Pass:
    return Pass(name=name, trains=trains, optimiser=optimiser.declared(), frozen_mode=config.frozen_mode)


def _policy_mode(config: ArNetConfig) -> str:
    return "sampled" if config.test_decisions == "sample" else "policy"


def _one(config: ArNetConfig, net: Json) -> dict[str, Json]:
    """What a stage of a single network depends on."""
    return {
        "data": config.data.settings_of(config.data.modalities),
        "net": net,
        "resize": config.resize,
        "dropout": config.backbones.dropout,
    }


def _nets(config: ArNetConfig) -> dict[str, Json]:
    """What a stage of all networks depends on."""
    nets = {level: net_settings(getattr(config.backbones, level)) for level in config.levels}
    return {
        **_one(config, {**nets, LOWEST: net_settings(config.policy)}),
        "actions": config.actions,
        "skips": list(config.skips) if config.actions != "resolutions" else None,
    }


def _measured(config: ArNetConfig) -> dict[str, Json]:
    """Of a stage whose tables hold the knobs' settings."""
    return {**_nets(config), "knobs": config.knobs.model_dump(mode="json")}
