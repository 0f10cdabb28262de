"""Pareto early stopping: which trials go on, decided from what has been measured at equal progress. Pure: no Ray, no clock.

Successive halving with several objectives. A *rung* is a place in a trial's training (two epochs of the joint stage, say). A trial
that reaches one is compared with all that have been there, and with nobody else; the best ``1 / reduction_factor`` of them by
:func:`explorer.fronts.ranking.pareto_order` go on, the others pause.

*Asynchronous* (``cohort`` None; Li et al. 2020, Schmucker et al. 2021): whoever is among the best so far is promoted at once, also
when it paused long ago. When no further trial is begun, the share is rounded up, so that somebody always reaches the end; who is
still paused when nobody is left to be waited for is pruned.

*Synchronous* (``cohort`` n): trials 0 to n - 1, n to 2n - 1, ... decide among themselves, when all of them that are still in the
race have arrived. What is decided then does not depend on who came first.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from explorer.fronts.ranking import pareto_order
from explorer.spec.rungs import Rung

# How a trial stands at a rung. ``passed``: it was not compared, because its selection rates had not settled.
Standing = Literal["paused", "promoted", "passed"]


@dataclass(frozen=True, kw_only=True)
class Arrival:
    """A trial at a rung. ``values``: in the order of the objectives. ``passes``: that the rung's stage took as far as there."""

    values: tuple[float, ...]
    standing: Standing
    passes: int = 0

    def to_json(self) -> dict[str, Any]:
        return {"values": list(self.values), "standing": self.standing, "passes": self.passes}

    @classmethod
    def of(cls, raw: Mapping[str, Any]) -> Arrival:
        return cls(values=tuple(raw["values"]), standing=raw["standing"], passes=raw["passes"])


@dataclass(kw_only=True)
class Climber:
    """A trial. ``arrivals``: rung name -> how it stands there, in the order in which it came; ``state``: of the study.

    ``reason``: why it was pruned.
    """

    state: str = "RUNNING"
    reason: str = ""
    arrivals: dict[str, Arrival] = field(default_factory=dict)

    @property
    def paused_at(self) -> str | None:
        """The rung at which it waits; None while it trains, and when it has ended."""
        last = next(reversed(self.arrivals), None)
        waits = self.state == "RUNNING" and last is not None and self.arrivals[last].standing == "paused"
        return last if waits else None

    @property
    def on_its_way(self) -> bool:
        return self.state == "RUNNING" and self.paused_at is None


class Ladder:
    """All trials and where they stand. ``logarithmic``: which objectives are compared on a logarithmic axis (costs)."""

    def __init__(
        self,
        *,
        maximise: Sequence[bool],
        reduction_factor: int,
        logarithmic: Sequence[bool] | None = None,
        cohort: int | None = None,
        trials: Mapping[int, Climber] | None = None,
    ) -> None:
        self._maximise = tuple(maximise)
        self._logarithmic = tuple(logarithmic or (False,) * len(self._maximise))
        self._factor = reduction_factor
        self._cohort = cohort
        self.trials: dict[int, Climber] = dict(trials or {})
        self._decided: dict[bool, list[_Group]] = {}  # asked many times between two changes

    # --- what happens to trials ---------------------------------------------------------------------------------------

    def begin(self, number: int) -> None:
        """A trial is handed out, for the first time or again."""
        self.trials.setdefault(number, Climber())
        self._decided.clear()

    def arrive(
        self, number: int, rung: Rung, values: Sequence[float], *, settled: bool = True, passes: int = 0
    ) -> Standing:
        """A trial has reached ``rung``; how it stands there. One that was there before stands as it did."""
        arrivals = self.trials[number].arrivals
        if rung.name not in arrivals:
            standing: Standing = "paused" if settled else "passed"
            arrivals[rung.name] = Arrival(values=tuple(map(float, values)), standing=standing, passes=passes)
            self._decided.clear()
        return arrivals[rung.name].standing

    def promote(self, number: int) -> str:
        """A paused trial goes on; the rung that it leaves."""
        climber = self.trials[number]
        rung = climber.paused_at
        assert rung is not None, f"trial {number} is not paused"
        climber.arrivals[rung] = replace(climber.arrivals[rung], standing="promoted")
        self._decided.clear()
        return rung

    def end(self, number: int, state: str, reason: str = "") -> None:
        """A trial has ended in ``state`` of the study."""
        self.trials[number].state, self.trials[number].reason = state, reason
        self._decided.clear()

    # --- decisions ----------------------------------------------------------------------------------------------------

    def next_promotion(self, *, asking: bool) -> int | None:
        """The trial to go on next, of the highest rung first; None where none is entitled to.

        ``asking``: whether further trials may be begun.
        """
        for group in self._groups(asking=asking):
            waiting = [n for n in group.best if self.trials[n].paused_at == group.rung]
            if waiting:
                return waiting[0]
        return None

    def to_prune(self, *, asking: bool) -> list[int]:
        """Paused trials that cannot be promoted any more."""
        if self._cohort is not None:
            return [
                n
                for group in self._groups(asking=asking)
                for n in group.members
                if self.trials[n].paused_at == group.rung and n not in group.best
            ]
        if asking or any(c.on_its_way for c in self.trials.values()) or self.next_promotion(asking=False) is not None:
            return []
        return [n for n, climber in self.trials.items() if climber.paused_at is not None]

    def why(self, number: int) -> str:
        """Why a paused trial is pruned, in words."""
        name = self.trials[number].paused_at
        assert name is not None
        met = self._ranked(name, self._mates(number))
        place = met.index(number) + 1
        return f"stopped early at {Rung.parse(name)}: place {place} of the {len(met)} trials compared there"

    def _groups(self, *, asking: bool) -> list[_Group]:
        """Who is compared with whom and decided now, highest rungs first."""
        if asking not in self._decided:
            self._decided[asking] = self._decide(asking=asking)
        return self._decided[asking]

    def _decide(self, *, asking: bool) -> list[_Group]:
        groups = []
        for name in self._rungs():
            for members in self._companies(asking=asking):
                ranked = self._ranked(name, members)
                if ranked and (self._cohort is None or self._all_there(name, members)):
                    exact = len(ranked) / self._factor
                    final = self._cohort is not None or not asking
                    count = math.ceil(exact) if final else math.floor(exact)
                    groups.append(_Group(rung=name, members=ranked, best=ranked[:count]))
        return groups

    def _rungs(self) -> list[str]:
        """Names of the rungs that were reached, highest first: every trial reaches them in the same order."""
        order: dict[str, int] = {}
        for climber in self.trials.values():
            for place, name in enumerate(climber.arrivals):
                order[name] = max(order.get(name, 0), place)
        return sorted(order, key=lambda name: -order[name])

    def _companies(self, *, asking: bool) -> list[list[int]]:
        """Trials that are compared with each other: all of them, or each cohort whose trials have all been begun."""
        numbers = sorted(self.trials)
        if self._cohort is None:
            return [numbers]
        found: dict[int, list[int]] = {}
        for number in numbers:
            found.setdefault(number // self._cohort, []).append(number)
        return [members for members in found.values() if len(members) == self._cohort or not asking]

    def _mates(self, number: int) -> list[int]:
        if self._cohort is None:
            return sorted(self.trials)
        return [n for n in sorted(self.trials) if n // self._cohort == number // self._cohort]

    def _all_there(self, name: str, members: Sequence[int]) -> bool:
        """Whether nobody of ``members`` may still arrive at the rung: each has been there, has passed it by, or has ended."""
        return all(name in self.trials[n].arrivals or self.trials[n].state != "RUNNING" for n in members)

    def _ranked(self, name: str, members: Sequence[int]) -> list[int]:
        """Of ``members``, those that were compared at a rung, best first. A failed trial's measurement counts for nothing."""
        met = [
            n
            for n in members
            if name in self.trials[n].arrivals
            and self.trials[n].arrivals[name].standing != "passed"
            and self.trials[n].state != "FAIL"
        ]
        rows = [self._comparable(self.trials[n].arrivals[name].values) for n in met]
        return [met[position] for position in pareto_order(rows, self._maximise)]

    def _comparable(self, values: Sequence[float]) -> list[float]:
        return [
            math.log(max(value, _TINY)) if logarithmic else value
            for value, logarithmic in zip(values, self._logarithmic, strict=True)
        ]


_TINY = 1e-12  # a cost of nothing


@dataclass(frozen=True, kw_only=True)
class _Group:
    """Trials compared at a rung: ``members`` best first, ``best``: those that go on."""

    rung: str
    members: list[int]
    best: list[int]
