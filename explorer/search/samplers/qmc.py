"""Points that fill the space evenly: a scrambled Sobol sequence, the trial's number being the place in it."""

from __future__ import annotations

from explorer.search.known import Known, Proposal

_NEXT_ATTEMPT = 2**20  # places to move on when a point repeats an earlier one: further than any sweep reaches


def propose(known: Known) -> Proposal:
    """Point ``number`` of the sequence of this seed; measured values do not matter."""
    from scipy.stats import qmc  # 0.3 s to import

    if not known.search:
        return Proposal(params={})
    engine = qmc.Sobol(len(known.search), scramble=True, rng=known.seed)
    place = known.number + _NEXT_ATTEMPT * known.attempt
    if place:
        engine.fast_forward(place)
    point = engine.random(1)[0]
    return Proposal(params={path: d.at(float(u)) for (path, d), u in zip(known.search.items(), point, strict=True)})
