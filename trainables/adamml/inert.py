"""Which searched fields cannot change anything that is trained, and why: what ``explorer plan`` warns of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from trainables.adamml.config import AdaMMLConfig
from trainables.adamml.stages import gamma_acts
from trainables.kit.data.modalities import MODALITIES


def inert_warnings(config: AdaMMLConfig, searched: Sequence[str]) -> tuple[str, ...]:
    """A sentence for each searched field without effect under ``config`` and the other searched fields."""
    reasons = _reasons(config, searched)
    found = []
    for path in searched:
        prefixes = [path[:end] for end in _dots(path)]
        reason = next((reasons[prefix] for prefix in prefixes if prefix in reasons), None)
        if reason is not None:
            found.append(f"{path} is searched but cannot change anything: {reason}")
    return tuple(found)


def _reasons(config: AdaMMLConfig, searched: Sequence[str]) -> Mapping[str, str]:
    """Dotted path (or the beginning of one) -> why it has no effect. What a searched field may switch on is left out."""
    free = set(searched)
    reasons: dict[str, str] = {}
    if not gamma_acts(config) and not free & {"correctness", "penalty"}:
        remedy = "use correctness: soft with penalty: eq4, or drop it from the search"
        why = f"gamma has no gradient with correctness: {config.correctness}, penalty: {config.penalty}; {remedy}"
        reasons |= {"gamma": why, "gamma_scale": why}
    if config.gamma == 0 and "gamma" not in free:
        reasons["gamma_scale"] = "gamma is 0; drop it from the search"
    if config.penalty != "eq4" and "penalty" not in free:
        reasons["correctness"] = f"penalty: {config.penalty} does not look at what is correct; drop it from the search"
    if config.penalty == "none" and "penalty" not in free:
        reasons["lambda"] = "penalty: none leaves the efficiency loss out; use penalty: eq4 or drop it from the search"
    reasons |= {**_of_conditioning(config, free), **_of_temperature(config, free)}
    if config.policy.lstm is None and "policy.lstm" not in free:
        reasons["policy.feedback"] = "policy.lstm is null, and the feedback enters the LSTM; drop it from the search"
    for baseline in ("stages.fusion", "stages.random", "recognition.fc2_hidden"):
        reasons[baseline] = "baselines are trained with the configuration's own values; drop it from the search"
    reasons["compute.compile"] = "it changes how fast a network runs, not what it learns; drop it from the search"
    for name in {"flow", "audio"} - set(config.data.inputs):
        reasons[f"data.{name}"] = f"nothing reads {name} here; drop it or add the modality"
    for name in set(MODALITIES) - set(config.data.modalities):
        why = f"{name} is not one of data.modalities ({', '.join(config.data.modalities)}); drop it or add the modality"
        parts = ("lambda", "recognition", "policy", "policy.sees")
        reasons |= {f"{part}.{name}": why for part in parts}
    return reasons


def _of_conditioning(config: AdaMMLConfig, free: set[str]) -> Mapping[str, str]:
    if "policy.conditioning" in free:
        return {}
    if not config.conditioned:
        why = "policy.conditioning is none; use conditioning: lambda or drop it from the search"
        return {"policy.conditioning_mode": why, "policy.draws": why}
    given = [m for m in config.data.modalities if getattr(config.policy.draws, m) and f"policy.draws.{m}" not in free]
    why = (
        "policy.conditioning: lambda trains for all of policy.draws, and it is set afterwards; drop it from the search"
    )
    return {f"lambda.{m}": why for m in given}


def _of_temperature(config: AdaMMLConfig, free: set[str]) -> Mapping[str, str]:
    rule, epochs = config.temperature.anneal.rule, config.stages.joint.epochs
    reasons: dict[str, str] = {}
    if "stages.joint.epochs" not in free and epochs == 1:
        reasons["temperature.anneal"] = "the joint stage has one epoch, which trains at the initial temperature"
    if "temperature.anneal.rule" in free:
        return reasons
    if rule != "exponential":
        reasons["temperature.anneal.decay"] = f"anneal.rule: {rule} does not use it; use rule: exponential or drop it"
    if rule == "constant":
        reasons["temperature.anneal.floor"] = "anneal.rule: constant never falls; drop it from the search"
    return reasons


def _dots(path: str) -> list[int]:
    return [*(i for i, c in enumerate(path) if c == "."), len(path)]
