"""``explorer headroom``: whether skipping can pay at all on this data, before any policy is trained.

The stages that every trial shares are trained (or taken from the store), one inference pass with everything on is made over
validation, and the system says what random, ideal and all-seeing selections of what was computed would reach.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from explorer.errors import UserError
from explorer.fronts import halves
from explorer.fronts.points import Measured, best_within, measure
from explorer.spec import SearchSpace
from explorer.spec.plan import stage_chain
from explorer.store import Store
from explorer.train import Trained, train_jobs
from trainables.contract import Convention, Json, Replay, Scored, StageJob

if TYPE_CHECKING:
    from trainables.kit.engine.train import EpochReport

SHARES = (0.05, 0.1, 0.2, 0.4, 0.7, 1.0)  # budgets, as shares of everything on
LABEL_SEEING = ("oracle",)  # rules that are judged on the videos on which they chose: they see the labels anyway


@dataclass(frozen=True, kw_only=True)
class Headroom:
    """``by_rule``: rule -> the best of its settings within each of ``SHARES`` of everything on; None: none is so cheap.

    ``everything``: all units used, no policy. Everything is on validation.
    """

    sweep: str
    stage: str
    convention: Convention
    all_on_gflops: float
    policy_gflops: float
    everything: Measured
    by_rule: Mapping[str, tuple[Measured | None, ...]]

    def to_json(self) -> dict[str, Json]:
        """The output of ``explorer headroom --json``."""

        def value(measured: Measured | None) -> Json:
            if measured is None:
                return None
            return {
                "accuracy": measured.accuracy,
                "standard_error": measured.standard_error,
                "gflops": measured.gflops[self.convention],
                "rates": dict(measured.rates),
            }

        return {
            "sweep": self.sweep,
            "stage": self.stage,
            "split": "val",
            "videos": self.everything.videos,
            "convention": self.convention,
            "all_on_gflops": self.all_on_gflops,
            "policy_gflops": self.policy_gflops,
            "everything_on": value(self.everything),
            "shares": list(SHARES),
            "rules": {rule: [value(m) for m in found] for rule, found in self.by_rule.items()},
        }


def headroom(
    space: SearchSpace,
    *,
    convention: Convention = "full",
    on_epoch: Callable[[EpochReport], None] = lambda report: None,
    on_stage: Callable[[Trained], None] = lambda stage: None,
) -> Headroom:
    """Train what comes before any decision (or take it from the store), in this process, and measure its headroom.

    Settings of rules that see no label are chosen on one half of validation and valued on the other, halves swapped.

    Raises:
        UserError: the system of ``space`` has no such stage.
        StageFailed: a loss is not finite.
    """
    system, config = space.load_system(), space.base_config()
    stages = system.headroom_stages(config)
    if not stages:
        raise UserError(
            f"the headroom of system {space.system} cannot be told with this configuration: nothing is trained before its decisions"
        )
    chains = [stage_chain(space, {}, stage=stage, seed=space.seed) for stage in stages]
    jobs = tuple({job.key: job for chain in chains for job in chain}.values())
    store = train_jobs(space, jobs, on_epoch=on_epoch, on_stage=on_stage)
    ends = [chain[-1] for chain in chains]
    table = _measured(space, store, ends, system.headroom_mode)
    classes = len(store.stage_info(ends[0].key)["classes"])
    all_on_gmacs = system.cost(config, classes).all_on_gmacs(convention)
    rules = system.headroom(config, table, classes)
    policy_gmacs = float(
        rules["oracle"].gmacs_PB[convention].mean(1).min()
    )  # of the setting that computes nothing else
    return Headroom(
        sweep=space.name,
        stage=", ".join(stages),
        convention=convention,
        all_on_gflops=all_on_gmacs,
        policy_gflops=policy_gmacs,
        everything=_first(table.score([{}])),
        by_rule={
            rule: tuple(
                _within(scored, table, share * all_on_gmacs, convention, sees_labels=rule in LABEL_SEEING)
                for share in SHARES
            )
            for rule, scored in rules.items()
        },
    )


def _measured(space: SearchSpace, store: Store, ends: Sequence[StageJob], mode: str) -> Replay:
    """One pass over validation of the networks that these stages end with, together."""
    from trainables.kit.engine.train import replay_result

    results = [store.path(job.key) for job in ends]
    return replay_result(ends[0], results, split="val", mode=mode, cache=space.cache_folder)


def _within(
    scored: Scored, table: Replay, budget_gmacs: float, convention: Convention, *, sees_labels: bool
) -> Measured | None:
    if scored.gmacs_PB[convention].mean(1).min() > budget_gmacs * (1 + 1e-9):
        return None
    return best_within(scored, None if sees_labels else halves(table.label_B, 0), budget_gmacs, convention)


def _first(scored: Scored) -> Measured:
    return measure(scored, np.zeros(scored.correct_PB.shape[1], dtype=int))
