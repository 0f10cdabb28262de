"""AdaFuse's stages and baselines, declared. No torch.

The warm-up trains the plain network and depends on nothing that is decided, so that all trials share it; the joint stage trains
network and policies together, and each of its epochs is a candidate.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trainables.adafuse.config import AdaFuseConfig, StageConfig
from trainables.contract import Json, Pass, Stage
from trainables.kit.nets.config import net_settings

WARMUP, JOINT = "warmup", "joint"
NETWORK = ("backbone", "head")


def main_stages(config: AdaFuseConfig) -> tuple[Stage, ...]:
    """A warm-up, unless it has no epochs, and joint."""
    return (*_warm(config), _deciding(config, JOINT, _mode(config), None))


def baseline_stages(config: AdaFuseConfig) -> Mapping[str, tuple[Stage, ...]]:
    """``plain`` (TSN, with ``network.shift`` TSM) and ``lstm``; ``threshold``, ``cgnet`` and ``random``, which decide without a
    policy; ``ada_skip`` and ``ada_reuse``, whose policies cannot reuse, or skip.
    """
    warm = _warm(config)

    def trained(name: str, mode: str, trains: tuple[str, ...] = NETWORK, **more: Json) -> tuple[Stage, ...]:
        return (
            *warm,
            _stage(
                config,
                name,
                config.stages.baseline,
                after=tuple(stage.name for stage in warm),
                trains=trains,
                depends={**_network(config), **more},
                candidates="last",
                mode=mode,
                baseline=name,
            ),
        )

    blocks = config.gates.blocks
    return {
        "plain": trained("plain", "all_on"),
        "lstm": trained("lstm", "lstm", ("backbone", "lstm"), lstm=config.network.lstm),
        "threshold": trained("threshold", "threshold", blocks=blocks, portion=config.fixed.threshold),
        "cgnet": trained(
            "cgnet", "cgnet", (*NETWORK, "gating"), blocks=blocks, gating=config.fixed.cgnet.model_dump(mode="json")
        ),
        "random": trained("random", "random", blocks=blocks, chances=list(config.fixed.random)),
        **{name: (*warm, _deciding(config, name, name, name)) for name in ("ada_skip", "ada_reuse")},
    }


def _warm(config: AdaFuseConfig) -> tuple[Stage, ...]:
    recipe = config.stages.warmup
    if recipe.epochs == 0:
        return ()
    stage = _stage(
        config,
        WARMUP,
        recipe,
        trains=NETWORK,
        depends=_network(config),
        candidates="last",
        mode="all_on",
        baseline="warmup",
    )
    return (stage,)


def _deciding(config: AdaFuseConfig, name: str, mode: str, baseline: str | None) -> Stage:
    joint = config.stages.joint
    knobs = config.knobs.model_dump(mode="json") if baseline is None else None
    return _stage(
        config,
        name,
        joint,
        after=tuple(stage.name for stage in _warm(config)),
        trains=(*NETWORK, "policy"),
        depends={
            **_network(config),
            "gates": _gates(config),
            "lambda": config.lambda_,
            "price": config.price,
            "saving": config.saving,
            "temperature": config.temperature.model_dump(),
            "knobs": knobs,
        },
        forkable=True,
        candidates="every" if baseline is None else "last",
        mode=mode,
        select=joint.select if baseline is None else "last",
        baseline=baseline,
    )


def _stage(
    config: AdaFuseConfig,
    name: str,
    recipe: StageConfig,
    *,
    trains: tuple[str, ...],
    depends: Mapping[str, Json],
    **declared: Any,
) -> Stage:
    return Stage(
        name=name,
        epochs=recipe.epochs,
        passes=(
            Pass(
                name=JOINT if "policy" in trains else "recognition",
                trains=trains,
                optimiser=recipe.optimiser.declared(),
            ),
        ),
        batch_size=recipe.batch_size,
        segments=config.data.segments.train,
        modalities=config.data.modalities,
        accumulate=config.compute.accumulate,
        precision=config.compute.precision,
        depends=depends,
        **declared,
    )


def _mode(config: AdaFuseConfig) -> str:
    return "sampled" if config.test_decisions == "sample" else "policy"


def _network(config: AdaFuseConfig) -> dict[str, Json]:
    """What every stage depends on: data and network."""
    beside = ("lstm", "temporal_pool")
    network = {name: value for name, value in net_settings(config.network).items() if name not in beside}
    return {"data": config.data.settings_of(config.data.modalities), "network": network}


def _gates(config: AdaFuseConfig) -> dict[str, Json]:
    gates = config.gates.model_dump(mode="json")
    return gates if config.gates.hidden is None else {**gates, "quota": None}
