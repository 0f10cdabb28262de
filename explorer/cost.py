"""What a configuration costs, before anything is trained: ``explorer cost``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from explorer.errors import UserError
from explorer.spec import SearchSpace
from trainables.contract import CONVENTIONS, Json

_CLASSES_UNKNOWN = (
    31  # Kinetics-Sounds; the linear heads are all that depends on it, far below 0.01 % of a paper-size net
)


def cost_info(space: SearchSpace, rates: Mapping[str, float] | None = None) -> dict[str, Json]:
    """Costs of the base configuration, as in the output contract of ``cost``; GFLOPs are multiply-accumulates / 1e9.

    ``rates``: mean selection rate of each site, in [0, 1]; without them ``at_rates_gflops`` is null.

    Raises:
        UserError: a rate is missing, unknown or outside [0, 1].
    """
    config: Any = space.base_config()
    system = space.load_system()
    table = system.cost(config, _CLASSES_UNKNOWN)
    if rates is not None:
        _check_rates(rates, tuple(table.per_segment_macs["full"]))
    return {
        "segments": table.segments,
        "conventions": {
            convention: {
                "counts": system.counts[convention],
                "per_segment_macs": {
                    "recognition": dict(table.per_segment_macs[convention]),
                    "policy": table.always_macs[convention],
                    **({"plain": table.plain_macs[convention]} if table.plain_macs else {}),
                },
                "all_on_gflops": table.all_on_gmacs(convention),
                "at_rates_gflops": None if rates is None else table.at_rates_gmacs(convention, rates),
            }
            for convention in CONVENTIONS
        },
    }


def parse_rates(text: str) -> dict[str, float]:
    """``rgb=0.46,audio=0.94`` as a mapping. Raises UserError where it is not of that form."""
    rates = {}
    for part in text.split(","):
        name, _, value = part.partition("=")
        try:
            rates[name.strip()] = float(value)
        except ValueError as error:
            raise UserError(f"--rates must look like rgb=0.46,audio=0.94, got {text!r}") from error
    return rates


def _check_rates(rates: Mapping[str, float], sites: tuple[str, ...]) -> None:
    if set(rates) != set(sites):
        raise UserError(f"--rates must name each of {', '.join(sites)} once, got {', '.join(rates) or 'none'}")
    outside = [f"{name}={rate}" for name, rate in rates.items() if not 0 <= rate <= 1]
    if outside:
        raise UserError(f"a selection rate must lie in [0, 1], got {', '.join(outside)}")
