"""NSGA-II: a population of points, crossed and mutated. It wants more trials than the others."""

from __future__ import annotations

from optuna.samplers import NSGAIISampler

from explorer.search.known import Known, Proposal
from explorer.search.scratch import ask_in_scratch

POPULATION = 12  # Optuna's default of 50 would spend a whole sweep on the first, random generation


def propose(known: Known) -> Proposal:
    """A child of the best trials of the generations so far (its generation is kept in the trial)."""
    return ask_in_scratch(NSGAIISampler(population_size=POPULATION, seed=known.draw_seed), known)
