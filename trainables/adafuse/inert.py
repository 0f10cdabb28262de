"""Which searched fields cannot change anything that is trained, and why: what ``explorer plan`` warns of."""

from __future__ import annotations

from collections.abc import Sequence

from trainables.adafuse.config import AdaFuseConfig


def inert_warnings(config: AdaFuseConfig, searched: Sequence[str]) -> tuple[str, ...]:
    """A sentence for each searched field without effect under ``config`` and the other searched fields."""
    free = set(searched)
    reasons: dict[str, str] = {
        "knobs": "knobs are set after training; list their values, and drop it from the search",
        "stages.baseline": "baselines are trained with the configuration's own values; drop it from the search",
        "fixed": "baselines are trained with the configuration's own values; drop it from the search",
        "network.lstm": "only the LSTM baseline has one; drop it from the search",
        "network.temporal_pool": "frames are never pooled; drop it from the search",
    }
    if config.lambda_ == 0 and "lambda" not in free:
        reasons |= dict.fromkeys(("price", "saving"), "lambda is 0; drop it from the search")
    if config.gates.hidden is not None and "gates.hidden" not in free:
        reasons["gates.quota"] = "gates.hidden gives the width; set it to null or drop it from the search"
    if config.stages.warmup.epochs == 0 and "stages.warmup.epochs" not in free:
        reasons["stages.warmup"] = "there is no warm-up (0 epochs); drop it from the search"
    if config.temperature.anneal.rule == "constant" and "temperature.anneal.rule" not in free:
        reasons |= dict.fromkeys(
            ("temperature.anneal.decay", "temperature.anneal.floor"), "anneal.rule: constant does not fall; drop it"
        )
    return tuple(
        f"{path} is searched but cannot change anything: {reason}"
        for path in searched
        for prefix, reason in reasons.items()
        if path == prefix or path.startswith(prefix + ".")
    )
