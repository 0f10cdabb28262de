"""The study as Ray Tune sees it: a ``Searcher`` that hands out trials and is told how they ended.

Ray's own OptunaSearch tells a stopped trial as complete, never tells constraints and ignores its seed when given a
sampler. This one owns ask and tell.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from numbers import Real
from pathlib import Path
from typing import Any

from ray.tune.search import Searcher

from explorer.search.book import REASON, ChainOf, Ended, StudyBook
from explorer.search.ladder import Ladder
from explorer.search.rung0 import NOT_YET, RungZero
from explorer.spec.fork import FORK

TRIAL_STATE = "trial_state"  # key of a result: COMPLETE with its full-fidelity values, PRUNED, or FAIL
TRIAL_ATTRS = "trial_attrs"  # key of a result: notes to keep with the trial, as JSON text (Tune flattens mappings)


class StudySearcher(Searcher):
    """Hands each Tune trial ``{"number": n, "params": {dotted path: value}}``, and ``fork`` where it is one.

    ``limit``: trials running at a time (paused ones not counted). ``is_spent``: a budget other than the number of
    trials (passes, hours); asked before each suggestion. ``chain_of``: stage keys to be written beside a trial. ``ladder``: of
    early stopping; while it wants a paused trial to go on, no new one is begun. ``rung0``: chooses among several proposals.

    A trial is COMPLETE only if its last result says so (``TRIAL_STATE``): a trial that a scheduler stops reports
    partial values and is PRUNED, whether or not it had a chance to say anything.
    """

    interrupted = False  # nothing more is suggested, and trials that are cut short stay RUNNING in the study

    def __init__(
        self,
        book: StudyBook,
        *,
        limit: int,
        chain_of: ChainOf | None = None,
        is_spent: Callable[[], bool] = lambda: False,
        ladder: Ladder | None = None,
        rung0: RungZero | None = None,
    ) -> None:
        super().__init__()
        assert limit >= 1
        self.book = book
        self.limit = limit  # may be changed while it runs
        self._chain_of = chain_of
        self._is_spent = is_spent
        self.ladder = ladder
        self._rung0 = rung0
        self.exhausted = False  # it has said that there will be no further trial
        self._numbers: dict[str, int] = {}  # Tune's trial id -> number, of trials that have not ended
        self._paused: set[str] = set()

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:  # type: ignore[override]
        """The next trial; None = not now; ``FINISHED`` = no more."""
        if self.running >= self.limit:
            return None
        if self.ladder is not None and self.ladder.next_promotion(asking=True) is not None:
            return None
        if self._is_spent() and not self.book.has_unfinished:
            return self._no_more()
        if self.book.must_wait and not self.book.budget_is_used_up():
            return None
        chosen = None if self._rung0 is None else self._rung0.next(self.book)
        if chosen == NOT_YET:
            return None
        asked = self.book.ask(self._chain_of, chosen)
        if asked is None:
            return self._no_more()
        self._numbers[trial_id] = asked.number
        if self.ladder is not None:
            self.ladder.begin(asked.number)
        fork = {} if asked.fork is None else {FORK: asked.fork.to_json()}
        return {"number": asked.number, "params": dict(asked.params), **fork}

    @property
    def running(self) -> int:
        """Trials handed out that have not ended, paused ones not counted."""
        return len(self._numbers.keys() - self._paused)

    def _no_more(self) -> str:
        self.exhausted = True
        return self.FINISHED

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Tell the study. Tune may call it twice for a trial; the second call is ignored."""
        number = self._numbers.pop(trial_id, None)
        if number is None:
            return
        was_paused = trial_id in self._paused
        self._paused.discard(trial_id)
        result = result or {}
        attrs: dict[str, Any] = json.loads(result.get(TRIAL_ATTRS) or "{}")
        state: Ended = result.get(TRIAL_STATE, "PRUNED")
        if error or (not result and not was_paused):  # Tune tells of a stopped paused trial without a result
            state = "FAIL"
            attrs.setdefault(REASON, "the trial's function raised" if error else "the trial ended without a result")
        values = {metric: float(result[metric]) for metric in self._metrics() if isinstance(result.get(metric), Real)}
        if state == "PRUNED" and self.ladder is not None and self.ladder.trials[number].paused_at is not None:
            attrs.setdefault(REASON, self.ladder.why(number))
        told = self.book.tell(number, values, state, attrs)
        if self.ladder is not None:
            self.ladder.end(number, told, attrs.get(REASON, ""))

    def _metrics(self) -> list[str]:
        search = self.book.search
        return [*search.objectives, *(constraint.metric for constraint in search.constraints)]

    def on_pause(self, trial_id: str) -> None:
        """To be called by the scheduler when it pauses a trial: its place is free."""
        if trial_id in self._numbers:
            self._paused.add(trial_id)

    def on_unpause(self, trial_id: str) -> None:
        """To be called by the scheduler when it lets a trial go on."""
        self._paused.discard(trial_id)

    def save(self, checkpoint_path: str) -> None:
        """Tune saves its searchers now and then. The study is the only state; this notes where it lies."""
        Path(checkpoint_path).write_text(json.dumps({"study": str(self.book.path)}))

    def restore(self, checkpoint_path: str) -> None:
        """Nothing to restore: a resumed sweep opens the same study."""

    def __getstate__(self) -> dict[str, Any]:
        # Tune pickles its arguments for Tuner.restore, which this program does not use; the open study stays here.
        return {"study": str(self.book.path)}
