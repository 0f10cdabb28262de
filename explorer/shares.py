"""Who of a portfolio gets the next trials: whoever's last ones added most to the common front for what they took.

Everything follows from the members' fronts on validation, so a portfolio that was killed goes on as it would have.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from explorer.browse import Front
from explorer.merged import common_hypervolume
from explorer.records import SweepRecord
from explorer.search.plateau import trials_without_gain

_DIRECTION = {"max": "maximize", "min": "minimize"}


@dataclass(frozen=True, kw_only=True)
class Standing:
    """What a member has. ``trials``: begun. ``gain``: hypervolume that the common front owes to its last share alone.

    ``passes``: over the training videos, that those trials took for themselves.
    """

    member: str
    trials: int
    gain: float
    passes: int

    @property
    def rate(self) -> float:
        """Gain a pass."""
        return self.gain / max(1, self.passes)


def standings(fronts: Mapping[str, Front], share: int) -> list[Standing]:
    """Of every member, whose last ``share`` trials are judged. ``fronts``: by member, of those that have begun."""
    whole = common_hypervolume(list(fronts.values()))
    found = []
    for member, front in fronts.items():
        begun = begun_trials(front.record)
        last = set(begun[-share:])
        others = [other for name, other in fronts.items() if name != member]
        left = common_hypervolume([*others, front], without=(front, last))
        passes = _passes(front.record, last)
        found.append(Standing(member=member, trials=len(begun), gain=max(0.0, whole - left), passes=passes))
    return found


def begun_trials(record: SweepRecord) -> list[int]:
    """Numbers of the trials that were handed out, lowest first; points that wait for their turn are none yet."""
    return sorted(trial.number for trial in record.trials if trial.state != "WAITING")


def next_of(ranked: Sequence[Standing]) -> Standing | None:
    """Who goes on: the highest rate; of equal ones whoever has the fewest trials, then the first. None of none."""
    return min(ranked, key=lambda one: (-one.rate, one.trials), default=None)


def passes_taken(records: Iterable[SweepRecord]) -> int:
    """Over the training videos, by the trials of all; what several share counts once, baselines not at all."""
    taken = {
        stage.key: stage.training_passes
        for record in records
        for trial in record.trials
        for stage in record.stages_of(trial.chain)
    }
    return sum(taken.values())


def trials_without_gain_of(records: Sequence[SweepRecord]) -> int:
    """How many of the last complete trials of all, in the order in which they ended, added nothing to the front of all."""
    complete = [trial for record in records for trial in record.trials if trial.values is not None]
    complete.sort(key=lambda trial: trial.ended or 0.0)
    objectives: Mapping[str, str] = records[0].space["objectives"] if records else {}
    return trials_without_gain([t.values for t in complete if t.values], [_DIRECTION[way] for way in objectives.values()])


def _passes(record: SweepRecord, trials: set[int]) -> int:
    """What only these trials needed."""
    others = {key for trial in record.trials if trial.number not in trials for key in trial.chain.values()}
    others |= {key for chain in record.baselines.values() for key in chain.values()}
    own = {key for trial in record.trials if trial.number in trials for key in trial.chain.values()} - others
    return sum(record.stages[key].training_passes for key in own if key in record.stages)
