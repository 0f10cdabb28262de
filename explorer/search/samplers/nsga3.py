"""NSGA-III: NSGA-II with reference points, for three objectives and more. It wants more trials than the others."""

from __future__ import annotations

import warnings

from optuna.exceptions import ExperimentalWarning
from optuna.samplers import NSGAIIISampler

from explorer.search.known import Known, Proposal
from explorer.search.samplers.nsga2 import POPULATION
from explorer.search.scratch import ask_in_scratch


def propose(known: Known) -> Proposal:
    """A child of the best trials of the generations so far (its generation is kept in the trial)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        sampler = NSGAIIISampler(population_size=POPULATION, seed=known.draw_seed)
    return ask_in_scratch(sampler, known)
