"""The Optuna study of a sweep, kept by ask and tell: which trials there are, their parameters, values and states.

Together with the stage store it is all that a sweep must not lose. It lies in one journal file, one line an
operation; whoever opens it to write holds a lock, and whatever a killed writer left half done is put right then.
"""

from __future__ import annotations

import collections
import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import optuna
from optuna.samplers import RandomSampler
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState, create_trial

from explorer.errors import SweepMismatch, UserError
from explorer.search.aim import AIM
from explorer.search.distributions import to_distributions
from explorer.search.focus import Focus
from explorer.search.journal import lock_for_writing, mend
from explorer.search.known import Known, Proposal
from explorer.search.samplers import load_sampler
from explorer.search.samplers.random import propose as propose_random
from explorer.search.search import Params, Search
from explorer.spec.dimension import Value
from explorer.spec.fork import FORK, Fork

Ended = Literal["COMPLETE", "PRUNED", "FAIL"]

# User attributes of a trial, beside AIM and FORK.
CHAIN = "chain"  # {stage: key}
# {"trials": how many there were when it was asked, "running": which of them had not ended}; where it was one of several
# proposals, "drawn": of how many, "index": which
KNEW = "knew"
REASON = "reason"  # why it failed, or was pruned
REACHED = "reached"  # its own front, for ``focus`` and to judge previews
PREVIEW = "preview"  # what its preview reached, and which of how many proposals it was (explorer/search/rung0.py)
RUNGS = "rungs"  # {rung: {"values", "standing": paused, promoted or passed, "passes"}}, in the order in which it came there
# User attributes of the study.
IDENTITY = "identity"
BASELINES = "baselines"  # {name: {stage: key}}, of every named chain
REPEATS = "repeats"  # {name of a chain: {"trial": its number, "seed": another one}}
EARLIER = "earlier"  # finished trials of other sweeps that the sampler knows

_ATTEMPTS = 8  # proposals of the sampler before random ones are tried
_RANDOM_ATTEMPTS = 1000
_CONSTRAINT_ATTR = "constraints"  # Optuna's own prefix of what set_constraint stores


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A trial to run. ``fork``: of one that is not trained from scratch."""

    number: int
    params: Params
    fork: Fork | None = None


ChainOf = Callable[[Params, Fork | None], Mapping[str, str]]  # stage name -> key


@dataclass(frozen=True, kw_only=True)
class Round:
    """Proposals of which one becomes trial ``number``, and what they know.

    ``complete``: trials; ``begun``: number and parameters of each that runs or has not failed. ``knew``: see ``KNEW``.
    """

    number: int
    candidates: tuple[Proposal, ...]
    complete: tuple[FrozenTrial, ...]
    begun: tuple[tuple[int, Params], ...]
    knew: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """That trial is the proposal ``index`` of ``round``. ``note``: for ``PREVIEW``."""

    round: Round
    index: int
    note: Mapping[str, Any] | None = None


class StudyBook:
    """Asks for trials and is told how they ended. One process at a time; not for several threads.

    ``trials`` is the budget; None = no limit. A trial that was running when the last process ended is handed out again
    first, under its own number.

    Raises:
        SweepBusy: another process has the study open.
        SweepMismatch: the study was begun for another search.
    """

    def __init__(self, path: Path, search: Search, *, trials: int | None = None) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.path = path
        self.search = search
        self.trials = trials
        self._distributions = to_distributions(search.search)
        self._propose = load_sampler(search.sampler)
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = lock_for_writing(path, search.name)
        try:
            mend(path)
            self._open()
            if self._changed() and all(trial.state == TrialState.WAITING for trial in self._all()):
                path.unlink()  # it was given up before its first trial: nothing is lost
                self._open()
            self._earlier = self._known_earlier()  # first: where it is refused, the study must not remember this search
            self._check_identity()
            self._unfinished = collections.deque(t.number for t in self._all() if t.state == TrialState.RUNNING)
            if not self._all():
                for point in _distinct(search.first_points):
                    self._study.enqueue_trial(dict(point))
        except BaseException:
            self._lock.close()
            raise

    def _open(self) -> None:
        self._storage = JournalStorage(JournalFileBackend(str(self.path)))
        self._study = optuna.create_study(
            storage=self._storage,
            study_name=self.search.name,
            directions=list(self.search.directions),
            sampler=RandomSampler(seed=0),  # never asked: proposals are made in a scratch study
            load_if_exists=True,
        )
        self._id = self._storage.get_study_id_from_name(self.search.name)

    def close(self) -> None:
        """Let another process write. The book must not be used any more."""
        self._lock.close()

    # --- ask ----------------------------------------------------------------------------------------------------------

    def ask(self, chain_of: ChainOf | None = None, chosen: Chosen | None = None) -> Asked | None:
        """The next trial, or None where the budget is used up or the search holds no other point (or :attr:`must_wait`).

        Trials that a process left unfinished come first, then queued points. ``chain_of`` gives the stage keys that are
        written beside the trial; a point that it refuses with a ``UserError`` becomes a failed trial, and the next one is
        asked for. ``chosen``: of :meth:`draw`, which nothing may have been asked since.
        """
        while not self.budget_is_used_up() and not self.must_wait:
            trials = self._all()
            if self._unfinished:
                asked = self._ask_again(self._unfinished.popleft())
            elif any(trial.state == TrialState.WAITING for trial in trials):
                asked = self._ask_queued()
            else:
                chosen = chosen or self._only(trials)
                if chosen is None:
                    return None
                asked, chosen = self._begin(chosen), None
            if chain_of is None:
                return asked
            try:
                self.note(asked.number, CHAIN, dict(chain_of(asked.params, asked.fork)))
            except UserError as error:
                self.tell(asked.number, state="FAIL", attrs={REASON: str(error)})
            else:
                return asked
        return None

    @property
    def must_wait(self) -> bool:
        """Whether the next trial has to wait for others to end, because of ``lag`` or ``cohort``."""
        trials = self._all()
        number = next((trial.number for trial in trials if trial.state == TrialState.WAITING), len(trials))
        first = self.search.known_to(number)
        if first is None or self._unfinished:
            return False
        return not all(trial.state.is_finished() for trial in trials[:first])

    @property
    def has_unfinished(self) -> bool:
        """Whether trials that an earlier process left unfinished have not been handed out again yet."""
        return bool(self._unfinished)

    def _ask_again(self, number: int) -> Asked:
        trial = self._all()[number]
        params = queued_params(trial)
        running = optuna.Trial(self._study, self._trial_id(number))
        for path, distribution in self._distributions.items():  # a process may have died between two of them
            if path not in trial.params:
                running._suggest(path, distribution)
        own = {path: params[path] for path in self.search.search}
        return Asked(number=number, params=own, fork=Fork.of(trial.user_attrs))

    def _ask_queued(self) -> Asked:
        queued = self._study.ask(self._distributions)
        return Asked(number=queued.number, params={path: queued.params[path] for path in self.search.search})

    def draw(self, count: int) -> Round | None:
        """``count`` proposals for the next trial (fewer where the search holds no more); None where :meth:`ask` asks no sampler."""
        trials = self._all()
        queued = self._unfinished or any(trial.state == TrialState.WAITING for trial in trials)
        if queued or self.must_wait or self.budget_is_used_up():
            return None
        running = [trial.number for trial in trials if trial.state == TrialState.RUNNING]
        first = self.search.known_to(len(trials))
        if first is not None:
            running = [trial.number for trial in trials[first:]]
        known = self._known(trials, running=running)
        candidates = tuple(itertools.islice(self._new_points(known, trials, count), count))
        if not candidates:
            return None
        seen = [trial for trial in known.trials if trial.number >= 0]
        return Round(
            number=known.number,
            candidates=candidates,
            complete=tuple(trial for trial in seen if trial.state == TrialState.COMPLETE),
            begun=tuple(
                (trial.number, queued_params(trial))
                for trial in trials
                if trial.number in running or trial.state in (TrialState.COMPLETE, TrialState.PRUNED)
            ),
            knew={"trials": len(trials), "running": running} | ({"drawn": count} if count > 1 else {}),
        )

    def _only(self, trials: Sequence[FrozenTrial]) -> Chosen | None:
        drawn = self.draw(1)
        return None if drawn is None else Chosen(round=drawn, index=0)

    def _begin(self, chosen: Chosen) -> Asked:
        drawn = chosen.round
        proposal = drawn.candidates[chosen.index]
        # One line in the journal: a process that is killed leaves the whole trial or none of it.
        template = create_trial(
            state=TrialState.RUNNING,
            params=dict(proposal.params),
            distributions=self._distributions,
            user_attrs={
                KNEW: {**drawn.knew, **({"index": chosen.index} if chosen.index else {})},
                **proposal.notes,
                **({} if chosen.note is None else {PREVIEW: dict(chosen.note)}),
            },
            system_attrs=dict(proposal.system_attrs),
        )
        trial_id = self._storage.create_new_trial(self._id, template_trial=template)
        number = self._storage.get_trial(trial_id).number
        assert number == drawn.number, f"the study has two writers: expected trial {drawn.number}, got {number}"
        return Asked(number=number, params=proposal.params, fork=Fork.of(proposal.notes))

    def ask_again(self, number: int) -> Params | None:
        """What the sampler proposes for trial ``number`` from what it knew then; None for a queued point.

        It equals what was proposed: the whole search can be replayed from its record.
        """
        trials = self._all()
        knew = trials[number].user_attrs.get(KNEW)
        if knew is None:
            return None
        before = trials[: knew["trials"]]
        known = self._known(before, running=knew["running"])
        proposals = self._new_points(known, before, knew.get("drawn", 1))
        return next(itertools.islice(proposals, knew.get("index", 0), None)).params

    def budget_is_used_up(self) -> bool:
        """Whether as many trials were begun as the budget allows."""
        begun = sum(count for state, count in self.counts().items() if state != "WAITING")
        return self.trials is not None and begun >= self.trials and not self._unfinished

    def trials_without_gain(self) -> int:
        """How many of the last complete trials in a row (in the order in which they ended) added no hypervolume."""
        from explorer.search.plateau import trials_without_gain

        complete = [trial for trial in self._all() if trial.state == TrialState.COMPLETE]
        complete.sort(key=lambda trial: (trial.datetime_complete, trial.number))
        return trials_without_gain([trial.values for trial in complete], self.search.directions)

    def _known(self, trials: Sequence[FrozenTrial], *, running: Sequence[int]) -> Known:
        states = (TrialState.COMPLETE, TrialState.PRUNED)
        seen = tuple(
            _as_running(trial) if trial.number in running else trial
            for trial in trials
            if trial.number in running or trial.state in states
        )
        return Known(
            search=self.search.search,
            directions=self.search.directions,
            trials=(*self._earlier, *seen),
            seed=self.search.seed,
            number=len(trials),
        )

    def _new_points(self, known: Known, trials: Sequence[FrozenTrial], count: int) -> Iterator[Proposal]:
        """Proposals that no trial has had, no two equal, of which ``count`` are wanted; none where all of the search was tried."""
        tried = {_identity(queued_params(trial)) for trial in trials}
        complete = [trial for trial in known.trials if trial.state == TrialState.COMPLETE and trial.number >= 0]
        begun = [queued_params(trial) for trial in known.trials if trial.state != TrialState.COMPLETE]
        for focus in (*self.search.focus(complete, begun, known.number), Focus()):
            whole = focus.settled.keys() >= self.search.search.keys()  # nothing is left for the sampler to choose
            notes = {
                **({} if focus.aim is None else {AIM: focus.aim.to_json()}),
                **({} if focus.fork is None else {FORK: focus.fork.to_json()}),
            }
            proposals = itertools.islice(self._proposals(known, count), 1 if whole else None)
            while (self.search.size is None or len(tried) < self.search.size) and (proposal := next(proposals, None)):
                params = self.search.canonical({**proposal.params, **focus.settled})
                if _identity(params) not in tried:
                    tried.add(_identity(params))
                    yield replace(proposal, params=params, notes=notes)
                    if focus.fork is not None:
                        return  # what else could be proposed takes more training: there is nothing to choose

    def _proposals(self, known: Known, count: int) -> Iterator[Proposal]:
        attempts = _ATTEMPTS + count - 1
        for attempt in range(attempts):
            yield self._propose(replace(known, attempt=attempt))
        for attempt in range(_RANDOM_ATTEMPTS):
            yield propose_random(replace(known, attempt=attempts + attempt))

    # --- tell ---------------------------------------------------------------------------------------------------------

    def tell(
        self,
        number: int,
        values: Mapping[str, float] | None = None,
        state: Ended = "COMPLETE",
        attrs: Mapping[str, Any] | None = None,
    ) -> Ended:
        """End trial ``number``. Returns the state it was given.

        ``values``: metric -> value, of full fidelity. COMPLETE without a finite value for each objective and each
        constraint becomes FAIL; PRUNED and FAIL keep no values.
        """
        notes = dict(attrs or {})
        if state == "COMPLETE":
            wanted = dict.fromkeys([*self.search.objectives, *(c.metric for c in self.search.constraints)])
            missing = [metric for metric in wanted if not math.isfinite((values or {}).get(metric, math.nan))]
            if missing:
                state = "FAIL"
                notes.setdefault(REASON, f"no finite value of {', '.join(missing)}")
        for name, value in notes.items():
            self.note(number, name, value)
        if state == "COMPLETE":
            assert values is not None
            trial = optuna.Trial(self._study, self._trial_id(number))
            for constraint in dict.fromkeys(self.search.constraints):
                trial.set_constraint(str(constraint), constraint.excess(values))
            # The state comes last: what is written before it is taken back by nobody if the process dies here.
            self._study.tell(number, [float(values[metric]) for metric in self.search.objectives])
        else:
            self._study.tell(number, state=TrialState[state])
        return state

    def note(self, number: int, name: str, value: Any) -> None:
        """Note something about a trial, for example ``RUNGS``."""
        self._storage.set_trial_user_attr(self._trial_id(number), name, value)

    def set_attr(self, name: str, value: Any) -> None:
        """Note something about the sweep, for example ``BASELINES``."""
        self._study.set_user_attr(name, value)

    def notes(self, number: int) -> Mapping[str, Any]:
        """What is noted about a trial."""
        return dict(self._all()[number].user_attrs)

    def begun(self) -> list[tuple[int, str, Mapping[str, Any]]]:
        """Number, state and notes of every trial that was ever handed out."""
        return [(t.number, t.state.name, t.user_attrs) for t in self._all() if t.state != TrialState.WAITING]

    def counts(self) -> dict[str, int]:
        """Number of trials in each state (WAITING, RUNNING, COMPLETE, PRUNED, FAIL)."""
        states = collections.Counter(t.state.name for t in self._all())
        return {state.name: states.get(state.name, 0) for state in TrialState}

    # --- opening ------------------------------------------------------------------------------------------------------

    def _all(self) -> list[FrozenTrial]:
        return self._storage.get_all_trials(self._id, deepcopy=False)

    def _trial_id(self, number: int) -> int:
        return self._storage.get_trial_id_from_study_id_trial_number(self._id, number)

    def _changed(self) -> list[str]:
        """What is not as it was when the study was begun, one line each."""
        wanted = dict(self.search.identity or {})
        found = self._study.user_attrs.get(IDENTITY, wanted)
        changed = [name for name in {**found, **wanted} if found.get(name) != wanted.get(name)]
        return [f"  {name} was {found.get(name)!r} and is {wanted.get(name)!r}" for name in changed]

    def _check_identity(self) -> None:
        if IDENTITY not in self._study.user_attrs:
            self._study.set_user_attr(IDENTITY, dict(self.search.identity or {}))
        elif changed := self._changed():
            raise SweepMismatch(
                f"the sweep {self.search.name!r} was begun with another search space:\n{chr(10).join(changed)}\n"
                "Give the new one another name, or put the old values back to go on with the old one"
            )

    def _known_earlier(self) -> tuple[FrozenTrial, ...]:
        """Finished trials of other sweeps, as they were when this study was made."""
        if EARLIER not in self._study.user_attrs:
            self._study.set_user_attr(EARLIER, [dict(trial) for trial in self.search.earlier()])
        return tuple(
            create_trial(
                state=TrialState.COMPLETE,
                params=trial["params"],
                distributions=self._distributions,
                values=trial["values"],
                system_attrs={
                    f"{_CONSTRAINT_ATTR}:{constraint}": constraint.excess(
                        dict(zip(self.search.objectives, trial["values"], strict=True))
                    )
                    for constraint in dict.fromkeys(self.search.constraints)
                    if constraint.metric in self.search.objectives
                },
            )
            for trial in self._study.user_attrs[EARLIER]
        )


def queued_params(trial: FrozenTrial) -> dict[str, Value]:
    """The parameters of a trial, also while some or all of them are only queued."""
    return {**trial.system_attrs.get("fixed_params", {}), **trial.params}


def _as_running(trial: FrozenTrial) -> FrozenTrial:
    """``trial`` as it was before it ended."""
    attrs = {k: v for k, v in trial.system_attrs.items() if not k.startswith(_CONSTRAINT_ATTR)}
    return create_trial(
        state=TrialState.RUNNING, params=trial.params, distributions=trial.distributions, system_attrs=attrs
    )


def _identity(params: Params) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((path, repr(value)) for path, value in params.items()))


def _distinct(points: Sequence[Params]) -> Iterator[Params]:
    seen: set[tuple[tuple[str, str], ...]] = set()
    for point in points:
        if _identity(point) not in seen:
            seen.add(_identity(point))
            yield point
