"""Independent random points."""

from __future__ import annotations

from explorer.search.known import Known, Proposal
from explorer.spec.draws import random_point


def propose(known: Known) -> Proposal:
    """A point that depends on (seed, number, attempt) and on nothing that was measured."""
    return Proposal(params=random_point(known.search, known.draw))
