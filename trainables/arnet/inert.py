"""Which searched fields cannot change anything that is trained, and why: what ``explorer plan`` warns of."""

from __future__ import annotations

from collections.abc import Sequence

from trainables.arnet.config import ArNetConfig


def inert_warnings(config: ArNetConfig, searched: Sequence[str]) -> tuple[str, ...]:
    """A sentence for each searched field without effect under ``config`` and the other searched fields."""
    free = set(searched)
    reasons: dict[str, str] = {
        "knobs": "knobs are set after training; list their values, and drop it from the search",
        "stages.baseline": "baselines are trained with the configuration's own values; drop it from the search",
        "literature_costs": "it changes how cost is told, not the network; drop it from the search",
    }
    if config.actions == "resolutions" and "actions" not in free:
        reasons["skips"] = "actions: resolutions skips no frame; use actions: all or drop it from the search"
    if config.actions == "skips" and "actions" not in free:
        reasons |= {
            f"backbones.{level}": "actions: skips computes the highest resolution alone; use actions: all or drop it"
            for level in ("medium", "low")
        }
    if config.alpha == 0 and "alpha" not in free:
        reasons["price"] = "alpha is 0; drop it from the search"
    if config.beta == 0 and "beta" not in free:
        reasons["uniform"] = "beta is 0; drop it from the search"
    if not config.warm_up and "warm_up" not in free:
        reasons["stages.warmup"] = "warm_up is false; drop it from the search"
    if config.temperature.anneal.rule == "constant" and "temperature.anneal.rule" not in free:
        reasons["temperature.anneal.decay"] = "anneal.rule: constant does not fall; use exponential or drop it"
    return tuple(
        f"{path} is searched but cannot change anything: {reason}"
        for path in searched
        for prefix, reason in reasons.items()
        if path == prefix or path.startswith(prefix + ".")
    )
