"""How sure the front is: the trade-offs that it attains in how many draws of the validation videos, or of repeated sweeps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from explorer.browse import Front
from explorer.fronts.attainment import over_repeats
from explorer.report.page.decimals import short
from trainables.contract import Convention, Json


def attainment_by_convention(views: Mapping[Convention, Front]) -> dict[str, Json]:
    """Of one sweep; empty while its front is."""
    found = {}
    for convention, view in views.items():
        attained = view.attainment
        if attained is not None:
            rows = [
                {"share": s.share, "cost": [short(v) for v in s.cost_P], "accuracy": [short(v) for v in s.accuracy_P]}
                for s in attained.surfaces
            ]
            found[str(convention)] = {"sets": attained.sets, "surfaces": rows}
    return found


def attainment_of_repeats(fronts: Sequence[Front], groups: Sequence[int | None]) -> list[dict[str, Json]]:
    """Of several sweeps: one entry for each experiment of which there are repeats. ``groups``: see ``repeat_groups``."""
    found = []
    for group in sorted({g for g in groups if g is not None}):
        own = [front for g, front in zip(groups, fronts, strict=True) if g == group]
        attained = over_repeats([front.points for front in own], convention=own[0].convention)
        if attained is not None:
            found.append({"sweeps": [front.name for front in own], **attained.to_json()})
    return found
