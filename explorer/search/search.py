"""What is searched, and how."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from explorer.search.focus import Focus
from explorer.spec.constraint import Constraint
from explorer.spec.dimension import Choice, Dimension, Int, Value

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

Params = Mapping[str, Value]


@dataclass(frozen=True, kw_only=True)
class Search:
    """What is searched, and how. ``objectives``: metric -> ``max`` or ``min``, in the order of a trial's values.

    ``earlier``: finished trials of other sweeps for the sampler to know, ``{"params": {...}, "values": [...]}`` each, which
    are kept with the study, so that it stays what it was when they change. ``identity``: what must be the same when the sweep
    is resumed; a change of it is refused by name. ``canonical`` maps points that give the same trial to one of them: only that
    one is tried.

    ``focus``: what is settled for the next trial, best first, from the complete trials that it may know, in order of number, the
    parameters of those that run or were stopped early, and its number; each gives way where all in its focus has been tried.

    ``lag``: trial n is proposed from the trials up to n - lag, exactly: it waits until all of them have ended, and whether
    a later one has ended makes no difference. None = from whatever is known. ``cohort``: so many trials are begun from the same
    knowledge instead, that of all cohorts before, because they decide among themselves which of them go on.
    """

    name: str
    search: Mapping[str, Dimension]
    objectives: Mapping[str, str]
    constraints: Sequence[Constraint] = ()
    sampler: str = "tpe"
    seed: int = 0
    first_points: Sequence[Params] = ()
    earlier: Callable[[], Sequence[Mapping[str, Any]]] = tuple  # called once, when the study is made
    identity: Mapping[str, Any] | None = None
    canonical: Callable[[Params], Params] = dict
    focus: Callable[[Sequence[FrozenTrial], Sequence[Params], int], Sequence[Focus]] = lambda complete, begun, number: ()
    lag: int | None = None
    cohort: int | None = None

    @property
    def directions(self) -> tuple[str, ...]:
        """The objectives' directions in Optuna's words."""
        return tuple({"max": "maximize", "min": "minimize"}[way] for way in self.objectives.values())

    @property
    def size(self) -> int | None:
        """How many points it holds; None = a continuum."""
        size = 1
        for dimension in self.search.values():
            if isinstance(dimension, Choice):
                size *= len(dimension.values)
            elif isinstance(dimension, Int):
                size *= dimension.high - dimension.low + 1
            else:
                return None
        return size

    def known_to(self, number: int) -> int | None:
        """Trial ``number`` knows the trials before this one to their end, and of the others only that they run.

        None: whatever has ended is known.
        """
        if self.cohort is not None:
            return number // self.cohort * self.cohort
        return None if self.lag is None else max(0, number - self.lag + 1)
