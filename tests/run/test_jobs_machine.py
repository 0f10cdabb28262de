"""Whatever trials, workers, errors and kills do in whatever order: nothing hangs, nothing is trained twice at a time."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from explorer.run.entry import State
from explorer.run.events import Kind
from explorer.run.jobs import JobError, JobQueue
from trainables.contract import StageJob

TRIALS = st.integers(0, 4)
SLOTS = st.integers(0, 2)
SIGNATURES = st.sampled_from(["one", "two"])


def chain(trial: int) -> tuple[StageJob, ...]:
    """Two trials share a joint stage, all of them the warm-up."""
    keys = ["warmup", f"joint-{trial // 2}", f"finetune-{trial}"]
    return tuple(
        StageJob(
            key=key,
            system="toy",
            stage=key,
            config={},
            seed=0,
            parents={keys[i - 1]: keys[i - 1]} if i else {},
            epochs=1,
            training_passes=1,
        )
        for i, key in enumerate(keys)
    )


class QueueMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.store: set[str] = set()
        self.queue = JobQueue(self.store.__contains__, clock=lambda: 0.0)
        self.generation = dict.fromkeys(range(3), 0)
        self.held: dict[int, str] = {}
        self.asked: set[int] = set()
        self.seen = 0
        for slot in self.generation:
            self._join(slot)

    def _worker(self, slot: int) -> str:
        return f"{slot}.{self.generation[slot]}"

    def _join(self, slot: int) -> None:
        self.generation[slot] += 1
        self.held.pop(slot, None)
        self.queue.join(str(slot), self._worker(slot))

    @rule(trial=TRIALS)
    def ask(self, trial: int) -> None:
        self.queue.submit(chain(trial), f"trial-{trial}", priority=trial)
        self.asked.add(trial)

    @rule(trial=TRIALS)
    def drop(self, trial: int) -> None:
        self.queue.drop(f"trial-{trial}")
        self.asked.discard(trial)

    @rule(slot=SLOTS)
    def take(self, slot: int) -> None:
        if slot in self.held:
            return
        job = self.queue.take(self._worker(slot)).job
        if job is not None:
            assert job.key not in self.held.values(), "trained twice at a time"
            assert all(parent in self.store for parent in job.parents.values()), "taken before its parent was done"
            self.held[slot] = job.key

    @rule(slot=SLOTS, published=st.booleans())
    def finish(self, slot: int, published: bool) -> None:
        if slot in self.held:
            self.store.add(self.held[slot])
            if published:
                self.queue.finish(self.held.pop(slot), self._worker(slot))
            else:
                self._join(slot)  # killed between publishing and telling

    @rule(slot=SLOTS)
    def report(self, slot: int) -> None:
        if slot not in self.held:
            return
        report = {"epoch": 0, "epochs": 1, "metrics": {}, "seconds": 0.0}
        if not self.queue.report(self.held[slot], self._worker(slot), report):
            self.queue.cancelled(self.held.pop(slot), self._worker(slot))

    @rule(slot=SLOTS, signature=SIGNATURES)
    def fail(self, slot: int, signature: str) -> None:
        if slot in self.held:
            self.queue.fail(self.held.pop(slot), self._worker(slot), JobError(signature=signature, message=signature))

    @rule(slot=SLOTS)
    def kill(self, slot: int) -> None:
        self._join(slot)

    @invariant()
    def every_wanted_job_ends_or_can_go_on(self) -> None:
        for trial in self.asked:
            keys = [job.key for job in chain(trial)]
            states = [self.queue.outcomes([key])[key].state for key in keys]
            assert State.CANCELLED not in states
            if State.FAILED in states:
                assert set(states[states.index(State.FAILED) :]) == {State.FAILED}
            elif set(states) != {State.DONE}:
                unfinished = states[[s is State.DONE for s in states].index(False)]
                assert unfinished in (State.READY, State.RUNNING), f"hangs: {states}"

    @invariant()
    def what_runs_is_held_by_a_living_worker(self) -> None:
        keys = {job.key for trial in range(5) for job in chain(trial)}
        running = {key for key, outcome in self.queue.outcomes(sorted(keys)).items() if outcome.state is State.RUNNING}
        assert running == set(self.held.values())

    @invariant()
    def no_stage_finishes_twice(self) -> None:
        finished = [event.key for event in self.queue.events(0) if event.kind is Kind.STAGE_FINISHED]
        assert len(finished) == len(set(finished))


QueueMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestQueueMachine = QueueMachine.TestCase
