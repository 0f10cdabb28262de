"""AdaMML's stages and baselines, declared. No torch.

What depends on what: a unimodal net on its own net, data and recipe; the warm-up on the nets and its recipe, not on
lambda, gamma or temperature; the joint stage on those too; the fine-tuning on nothing that is not already in the
checkpoint that it starts from. Hence unimodal nets and warm-up are trained once for all trials that share them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from trainables.adamml.config import FUSION_BASELINES, AdaMMLConfig, StageConfig
from trainables.contract import PREVIEW, PREVIEW_TABLE, Json, Pass, Stage
from trainables.kit.nets.config import net_settings
from trainables.kit.recipes import OptimiserConfig

FUSION_SUFFIX = "_fusion"
PREVIEW_VIEWS = 4  # drawings of each training video's segments that a preview's table holds
RANDOM_TRAINING = frozenset(
    {"random_both", "random_train.joint", "random_train"}
)  # stages whose recognition sees a coin


def gamma_acts(config: AdaMMLConfig) -> bool:
    """Whether gamma can change anything that is trained: in Eq. 4 as printed it has no gradient."""
    return config.correctness == "soft" and config.penalty == "eq4"


def fusion_of(stage: str) -> str | None:
    """The fusion that a baseline's stage trains with everything used; None for other stages."""
    name = stage.removesuffix(FUSION_SUFFIX)
    return name if name != stage and name in FUSION_BASELINES else None


def main_stages(config: AdaMMLConfig) -> tuple[Stage, ...]:
    """unimodal (one a modality), warmup, joint, finetune."""
    unimodal = unimodal_stages(config)
    return (
        *unimodal,
        _stage(config, "warmup", config.stages.warmup, after=_names(unimodal), depends=_nets(config)),
        joint_stage(config),
        _stage(
            config,
            "finetune",
            config.stages.finetune,
            after=("joint",),
            depends=_nets(config),
            candidates="last",
            mode=_policy_mode(config),
        ),
    )


def unimodal_stages(config: AdaMMLConfig) -> tuple[Stage, ...]:
    """One recognition net by itself: the start of everything else, and a baseline.

    With a checkpoint from elsewhere there is nothing to train: it is read and measured.
    """
    return tuple(
        _stage(
            config,
            f"unimodal.{name}",
            config.stages.unimodal,
            epochs=0 if getattr(config.recognition, name).checkpoint else None,
            passes=(_pass(config, "recognition", (f"recognition.{name}",), config.stages.unimodal.recognition),),
            modalities=(name,),
            depends={
                "data": _data(config, (name,)),
                "net": net_settings(getattr(config.recognition, name)),
                "dropout": config.recognition.dropout,
            },
            candidates="last",
            mode=f"only.{name}",
            baseline=f"unimodal.{name}",
        )
        for name in config.data.modalities
    )


def baseline_stages(config: AdaMMLConfig) -> Mapping[str, tuple[Stage, ...]]:
    """Baselines by name, each from the same unimodal nets, with the same total of 35 epochs as AdaMML's stages.

    Fusions use every modality (Table 7). ``random_*`` replace the policy by a coin in training, in test or in both (Table
    8): ``random_train`` trains recognition under the coin, beside a policy that is used in test; ``random_test`` is the
    trained network of the sweep's own configuration under the coin.
    """
    unimodal = unimodal_stages(config)
    starts = _names(unimodal)

    def ends_as(name: str, recipe: StageConfig, *, after: Sequence[str] = starts, **more: Any) -> Stage:
        declared = {"depends": _nets(config), "candidates": "last", "baseline": name, **more}
        return _stage(config, name, recipe, after=tuple(after), **declared)

    def fusion(name: str) -> Stage:
        recipe = config.stages.fusion
        groups = ("recognition", f"fusion.{name}")
        stage = name + FUSION_SUFFIX
        passes = (_pass(config, "recognition", groups, recipe.recognition),)
        depends = _nets(config) | ({"hidden": config.recognition.fc2_hidden} if name == "fc2" else {})
        return ends_as(stage, recipe, mode=f"fused.{name}", passes=passes, depends=depends)

    *_, warmup, joint, finetune = main_stages(config)
    in_test = _policy_mode(config)
    random_joint = _joint(config, "random_train.joint", after="warmup", candidates="none")
    return {
        "unimodal": unimodal,
        **{name + FUSION_SUFFIX: (*unimodal, fusion(name)) for name in FUSION_BASELINES},
        "random_train": (
            *unimodal,
            warmup,
            random_joint,
            ends_as("random_train", config.stages.finetune, after=[random_joint.name], mode=in_test),
        ),
        "random_test": (
            *unimodal,
            warmup,
            joint,
            finetune,
            ends_as("random_test", config.stages.finetune, after=["finetune"], epochs=0, mode="random"),
        ),
        "random_both": (*unimodal, ends_as("random_both", config.stages.random, mode="random")),
    }


def joint_stage(config: AdaMMLConfig) -> Stage:
    """The joint stage of a trial."""
    return _joint(config, "joint", after="warmup")


def preview_stages(config: AdaMMLConfig) -> tuple[Stage, ...]:
    """A table after the warm-up, of what its networks make of the joint stage's inputs; and a policy trained on that.

    The table depends on the shape of the joint stage's passes, not on what acts in the policy's half.
    """
    joint = joint_stage(config)
    nets = _nets(config)
    inputs = {"segments": joint.segments, "batch_size": joint.batch_size, "views": PREVIEW_VIEWS, "keeps": config.policy.preview}
    shape: dict[str, Any] = {
        "epochs": 0,
        "batch_size": joint.batch_size,
        "segments": joint.segments,
        "modalities": joint.modalities,
    }
    return (
        Stage(name=PREVIEW_TABLE, after=("warmup",), passes=(), depends={**nets, **inputs}, **shape),
        Stage(
            name=PREVIEW,
            after=(PREVIEW_TABLE,),
            passes=(),
            depends={
                **joint.depends,
                "epochs": joint.epochs,
                "optimiser": asdict(joint.passes[-1].optimiser),
                "test": config.test_decisions,
            },
            mode=joint.mode,
            **shape,
        ),
    )


def _joint(config: AdaMMLConfig, name: str, *, after: str, candidates: str = "every") -> Stage:
    joint = config.stages.joint
    return _stage(
        config,
        name,
        joint,
        after=(after,),
        passes=(
            _pass(config, "recognition", _recognition_groups(config), joint.recognition),
            _pass(config, "policy", ("policy",), joint.policy),
        ),
        depends={
            **_nets(config),
            "lambda": _lambda(config),
            "gamma": [config.gamma, config.gamma_scale] if gamma_acts(config) else None,
            "correctness": config.correctness,
            "penalty": config.penalty,
            "temperature": config.temperature.model_dump(),
        },
        candidates=candidates,
        forkable=not config.conditioned,  # a conditioned policy has every weight already
        mode=_policy_mode(config),
        select=joint.select if candidates == "every" else "last",
    )


def _lambda(config: AdaMMLConfig) -> Json:
    """The efficiency weights, or what they are drawn from."""
    modalities = config.data.modalities
    if config.penalty == "none":
        return None
    if not config.conditioned:
        return {m: getattr(config.lambda_, m) for m in modalities}
    draws = config.policy.draws
    return {
        "ranges": {m: list(config.lambda_range(m)) for m in modalities},
        "corners": draws.corners,
        "recognition": draws.recognition,
        "conditioning": config.policy.conditioning_mode,
    }


def _stage(
    config: AdaMMLConfig,
    name: str,
    recipe: StageConfig,
    *,
    epochs: int | None = None,
    passes: tuple[Pass, ...] | None = None,
    modalities: tuple[str, ...] | None = None,
    depends: Mapping[str, Json],
    **declared: Any,
) -> Stage:
    return Stage(
        name=name,
        epochs=recipe.epochs if epochs is None else epochs,
        passes=passes or (_pass(config, "recognition", _recognition_groups(config), recipe.recognition),),
        batch_size=recipe.batch_size,
        segments=recipe.segments or config.data.segments.train,
        modalities=modalities or (*config.data.modalities, *config.data.also),
        accumulate=config.compute.accumulate,
        precision=config.compute.precision,
        depends={**depends, "compute": config.compute.mode} if _skips_segments(name) else depends,
        **declared,
    )


def _skips_segments(name: str) -> bool:
    """Whether the stage's recognition trains on what was chosen, so that sparse and dense differ in batch statistics."""
    return not name.startswith("unimodal.") and fusion_of(name) is None


def _policy_mode(config: AdaMMLConfig) -> str:
    return "sampled" if config.test_decisions == "sample" else "policy"


def _recognition_groups(config: AdaMMLConfig) -> tuple[str, ...]:
    return ("recognition", f"fusion.{config.fusion}")


def _names(stages: Sequence[Stage]) -> tuple[str, ...]:
    return tuple(stage.name for stage in stages)


def _pass(config: AdaMMLConfig, name: str, trains: tuple[str, ...], optimiser: OptimiserConfig) -> Pass:
    return Pass(name=name, trains=trains, optimiser=optimiser.declared(), frozen_mode=config.frozen_mode)


def _data(config: AdaMMLConfig, modalities: Sequence[str]) -> Json:
    """Settings of the data that can change these inputs; its content is in the fingerprint."""
    return config.data.settings_of(modalities)


def _nets(config: AdaMMLConfig) -> dict[str, Json]:
    modalities = config.data.modalities
    later = {"conditioning", "conditioning_mode", "draws", "preview"}
    exclude = {*type(config.lambda_).model_fields, "sees", *later}
    policy = config.policy.model_dump(mode="json", exclude=exclude)
    if config.conditioned and config.policy.conditioning_mode == "concat":
        policy["concat"] = True  # a wider LSTM starts from other weights; film begins as a policy without conditioning
    return {
        "data": _data(config, (*modalities, *config.data.also)),
        "recognition": {m: net_settings(getattr(config.recognition, m)) for m in modalities},
        "dropout": config.recognition.dropout,
        "fusion": config.fusion,
        "policy": {**policy, **{m: net_settings(getattr(config.policy, m)) for m in modalities}},
        "sees": {m: config.seen_by_policy(m) for m in modalities},
    }
