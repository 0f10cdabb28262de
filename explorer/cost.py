"""What a configuration costs, before anything is trained: ``explorer cost``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from explorer.errors import UserError
from explorer.spec import SearchSpace
from trainables.contract import CONVENTIONS, Json

_ASSUMED = 31  # Kinetics-Sounds; the linear heads are all that depends on it, at most 1 % of a paper-size net


@dataclass(frozen=True, kw_only=True)
class ClassCount:
    """How many classes are counted with, and who says so."""

    count: int
    source: str


def class_count(space: SearchSpace, given: int | None = None) -> ClassCount:
    """What was given, else what the data have where they are here, else what the search space says, else an assumption."""
    if given is not None:
        return ClassCount(count=given, source="as given")
    config: Any = space.base_config()
    if (counted := space.load_system().class_count(config)) is not None:
        return ClassCount(count=counted, source="of the data")
    if space.classes is not None:
        return ClassCount(count=space.classes, source="as the search space says")
    return ClassCount(
        count=_ASSUMED, source="assumed, as the data are not here; set classes in the search space or give --classes"
    )


def cost_info(
    space: SearchSpace, rates: Mapping[str, float] | None = None, *, classes: int | None = None
) -> dict[str, Json]:
    """Costs of the base configuration, as in the output contract of ``cost``; GFLOPs are multiply-accumulates / 1e9.

    ``rates``: mean selection rate of each site, in [0, 1]; without them ``at_rates_gflops`` is null. ``classes``: see
    :func:`class_count`.

    Raises:
        UserError: a rate is missing, unknown or outside [0, 1].
    """
    config: Any = space.base_config()
    system = space.load_system()
    counted_with = class_count(space, classes)
    table = system.cost(config, counted_with.count)
    if rates is not None:
        _check_rates(rates, tuple(table.per_segment_macs["full"]))
    return {
        "segments": table.segments,
        "classes": counted_with.count,
        "classes_source": counted_with.source,
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
