"""Tree-structured Parzen estimator, for several objectives and constraints; the default."""

from __future__ import annotations

from optuna.samplers import TPESampler
from optuna.trial import TrialState

from explorer.search.known import Known, Proposal
from explorer.search.samplers import qmc
from explorer.search.scratch import ask_in_scratch

STARTUP_TRIALS = 10  # Optuna's default


def propose(known: Known) -> Proposal:
    """Evenly spread points until ``STARTUP_TRIALS`` have ended, then TPE's.

    Optuna itself begins with random points; a Sobol sequence leaves smaller holes with so few of them. Running trials
    count as bad ones (constant liar), so that workers do not crowd one place.
    """
    ended = sum(trial.state in (TrialState.COMPLETE, TrialState.PRUNED) for trial in known.trials)
    if ended < STARTUP_TRIALS:
        return qmc.propose(known)
    sampler = TPESampler(n_startup_trials=STARTUP_TRIALS, constant_liar=True, seed=known.draw_seed)
    return ask_in_scratch(sampler, known)
