"""The queue of stage jobs, without Ray."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from explorer.run.entry import State
from explorer.run.events import Kind
from explorer.run.jobs import MAX_DEATHS, MAX_SAME_ERRORS, JobError, JobQueue
from explorer.run.recovery import Recovery
from trainables.contract import StageJob

ERROR = JobError(signature="ValueError at x.py:1", message="ValueError: no")
FINAL = JobError(signature="StageFailed at x.py:2", message="the loss is nan", final=True)


def job(key: str, **parents: str) -> StageJob:
    return StageJob(
        key=key, system="toy", stage=key.split("-")[0], config={}, seed=0, parents=parents, epochs=2, training_passes=2
    )


def epoch(number: int, epochs: int = 2) -> Mapping[str, object]:
    return {"epoch": number, "epochs": epochs, "metrics": {"loss": 1.0}, "seconds": 0.1}


WARMUP, JOINT_A, JOINT_B = job("warmup"), job("joint-a", warmup="warmup"), job("joint-b", warmup="warmup")
FINE_A = job("finetune-a", joint="joint-a")
TRIAL_A, TRIAL_B = (WARMUP, JOINT_A, FINE_A), (WARMUP, JOINT_B)


class Store(set[str]):
    def queue(self, *workers: str) -> JobQueue:
        queue = JobQueue(self.__contains__, clock=lambda: 0.0)
        for index, worker in enumerate(workers or ("w",)):
            queue.join(f"slot-{index}", worker)
        return queue

    def train(self, queue: JobQueue, worker: str = "w") -> str:
        taken = queue.take(worker).job
        assert taken is not None
        self.add(taken.key)
        queue.finish(taken.key, worker)
        return taken.key


@pytest.fixture
def store() -> Store:
    return Store()


def state(queue: JobQueue, key: str) -> State:
    return queue.outcomes([key])[key].state


def kinds(queue: JobQueue, key: str) -> list[Kind]:
    return [event.kind for event in queue.events(0) if event.key == key]


def test_equal_key_is_trained_once_for_two_trials(store: Store) -> None:
    queue = store.queue()
    queue.submit(TRIAL_A, "a", priority=0)
    queue.submit(TRIAL_B, "b", priority=1)
    assert [store.train(queue) for _ in range(4)] == ["warmup", "joint-a", "finetune-a", "joint-b"]
    assert queue.take("w").job is None


def test_child_is_not_ready_before_its_parent_is_done(store: Store) -> None:
    queue = store.queue("v", "w")
    queue.submit(TRIAL_A, "a")
    assert queue.take("w").job == WARMUP
    assert queue.take("v").job is None
    queue.finish("warmup", "w")
    assert queue.take("v").job == JOINT_A


def test_stage_in_the_store_is_reused_without_training(store: Store) -> None:
    store.add("warmup")
    queue = store.queue()
    queue.submit(TRIAL_A, "a")
    assert kinds(queue, "warmup") == [Kind.STAGE_REUSED]
    assert queue.take("w").job == JOINT_A


def test_more_urgent_trial_goes_first_and_hurries_what_it_shares(store: Store) -> None:
    queue = store.queue()
    queue.submit((job("baseline"), WARMUP), "baseline", priority=1000)
    queue.submit(TRIAL_B, "b", priority=1)
    assert [store.train(queue) for _ in range(3)] == ["warmup", "joint-b", "baseline"]


def test_same_error_three_times_fails_the_job_and_all_that_need_it(store: Store) -> None:
    queue = store.queue()
    queue.submit(TRIAL_A, "a")
    for _ in range(MAX_SAME_ERRORS):
        assert queue.take("w").job == WARMUP
        queue.fail("warmup", "w", ERROR)
    assert queue.take("w").job is None
    outcomes = queue.outcomes(["warmup", "joint-a", "finetune-a"])
    assert {outcome.state for outcome in outcomes.values()} == {State.FAILED}
    assert outcomes["finetune-a"].error == "stage warmup failed: ValueError: no; given up after 3 attempts"


def test_final_error_is_not_tried_again(store: Store) -> None:
    queue = store.queue()
    queue.submit(TRIAL_A, "a")
    queue.take("w")
    queue.fail("warmup", "w", FINAL)
    assert queue.outcomes(["warmup"])["warmup"].error == "the loss is nan"


def test_errors_with_ever_other_signatures_end_too(store: Store) -> None:
    queue = store.queue()
    queue.submit([WARMUP], "a")
    for attempt in range(2 * MAX_DEATHS):
        assert queue.take("w").job == WARMUP
        queue.fail("warmup", "w", JobError(signature=f"at 0x{attempt}", message="odd"))
    assert state(queue, "warmup") is State.FAILED


def test_trial_that_shares_a_failed_stage_fails_at_once(store: Store) -> None:
    queue = store.queue()
    queue.submit(TRIAL_A, "a")
    queue.take("w")
    queue.fail("warmup", "w", FINAL)
    queue.submit(TRIAL_B, "b")
    assert state(queue, "joint-b") is State.FAILED


def test_job_of_a_dead_worker_goes_back_to_the_queue(store: Store) -> None:
    queue = store.queue("v", "w")
    queue.submit(TRIAL_A, "a")
    queue.take("w")
    queue.lost("slot-1", "SIGKILL")
    assert queue.take("v").job == WARMUP
    assert not queue.report("warmup", "w", epoch(0)), "the dead worker's late report must not count"
    assert queue.take("w").closed, "a call of the dead worker that still waits must not get a job"


def test_worker_that_takes_over_a_slot_frees_the_job_of_the_one_before(store: Store) -> None:
    queue = store.queue()
    queue.submit(TRIAL_A, "a")
    queue.take("w")
    queue.join("slot-0", "w2")
    assert queue.take("w2").job == WARMUP


def test_job_that_kills_its_worker_again_and_again_is_given_up(store: Store) -> None:
    queue = store.queue("w0")
    queue.submit(TRIAL_A, "a")
    for death in range(MAX_DEATHS):
        assert queue.take(f"w{death}").job == WARMUP
        queue.join("slot-0", f"w{death + 1}")
    assert state(queue, "finetune-a") is State.FAILED


def test_deaths_are_forgiven_to_a_job_that_gets_on(store: Store) -> None:
    queue = store.queue("w0")
    queue.submit([WARMUP], "a")
    for death in range(3 * MAX_DEATHS):
        assert queue.take(f"w{death}").job == WARMUP
        assert queue.report("warmup", f"w{death}", epoch(death, epochs=100))
        queue.join("slot-0", f"w{death + 1}")
    assert state(queue, "warmup") is State.READY


def test_epoch_trained_again_after_a_kill_is_told_once(store: Store) -> None:
    queue = store.queue()
    queue.submit([WARMUP], "a")
    queue.take("w")
    queue.report("warmup", "w", epoch(0))
    queue.join("slot-0", "w2")
    queue.take("w2")
    queue.report("warmup", "w2", epoch(0))
    queue.report("warmup", "w2", epoch(1))
    told = [event.data["epoch"] for event in queue.events(0) if event.kind is Kind.STAGE_EPOCH]
    assert told == [0, 1]


def test_epoch_that_a_dead_queue_answered_is_told_by_the_next_report_and_one_that_was_read_is_not(store: Store) -> None:
    first = store.queue()
    first.submit([WARMUP], "a")
    first.take("w")
    recovery = Recovery()
    assert first.report("warmup", "w", epoch(0))
    for event in first.events(0):
        recovery.on_event(event)
    assert first.report("warmup", "w", epoch(0), epoch(1)), "answered, and never read"
    second = JobQueue(store.__contains__, known=recovery.known())
    second.submit([WARMUP], "a")
    assert second.report("warmup", "w", epoch(1), epoch(2))
    told = [event.data["epoch"] for event in second.events(recovery.sequence) if event.kind is Kind.STAGE_EPOCH]
    assert told == [1, 2]
    assert second.report("warmup", "w", epoch(2), epoch(3)) and second.outcomes(["warmup"])["warmup"].epochs == 4


def test_worker_that_died_after_publishing_is_not_trained_again(store: Store) -> None:
    queue = store.queue()
    queue.submit(TRIAL_A, "a")
    queue.take("w")
    store.add("warmup")
    queue.lost("slot-0", "SIGKILL")
    assert state(queue, "warmup") is State.DONE
    assert state(queue, "joint-a") is State.READY


def test_dropping_one_of_two_subscribers_keeps_the_shared_job(store: Store) -> None:
    queue = store.queue()
    queue.submit(TRIAL_A, "a")
    queue.submit(TRIAL_B, "b")
    queue.take("w")
    queue.drop("a")
    assert queue.report("warmup", "w", epoch(0))
    assert state(queue, "joint-a") is State.CANCELLED


def test_running_job_without_subscribers_is_stopped_and_can_be_asked_for_again(store: Store) -> None:
    queue = store.queue()
    queue.submit(TRIAL_A, "a")
    queue.take("w")
    queue.drop("a")
    assert not queue.report("warmup", "w", epoch(0))
    queue.submit(TRIAL_B, "b")
    queue.cancelled("warmup", "w")
    assert queue.take("w").job == WARMUP


def test_parent_that_vanished_from_the_store_is_trained_again(store: Store) -> None:
    queue = store.queue()
    queue.submit(TRIAL_A, "a")
    store.train(queue)
    assert queue.take("w").job == JOINT_A
    store.remove("warmup")  # its checksum was wrong
    queue.fail("joint-a", "w", JobError(signature="CheckpointMissing", message="gone"))
    assert [store.train(queue) for _ in range(3)] == ["warmup", "joint-a", "finetune-a"]


def test_closed_queue_sends_workers_home_and_stops_running_jobs(store: Store) -> None:
    queue = store.queue("v", "w")
    queue.submit(TRIAL_A, "a")
    queue.take("w")
    queue.close()
    assert queue.take("v").closed
    assert not queue.report("warmup", "w", epoch(0))


def test_what_ended_is_told_as_reused_or_tried_anew_when_another_sweep_asks_for_it(store: Store) -> None:
    queue = store.queue()
    queue.submit((WARMUP, JOINT_A), "chain:one")
    store.train(queue)
    queue.take("w")
    queue.fail("joint-a", "w", FINAL)
    queue.forget_ended()
    queue.submit((WARMUP, JOINT_A), "chain:one")
    assert kinds(queue, "warmup")[-1] is Kind.STAGE_REUSED and state(queue, "warmup") is State.DONE
    assert state(queue, "joint-a") is State.READY
    assert queue.take("w").job == JOINT_A
    queue.forget_ended()
    assert state(queue, "joint-a") is State.RUNNING, "what still runs is known as before"


def test_events_are_numbered_without_gaps_and_forgotten_once_read(store: Store) -> None:
    queue = store.queue()
    queue.submit(TRIAL_A, "a")
    queue.note(Kind.TRIAL_STARTED, trial=7, data={"params": {}})
    first = queue.events(0)
    assert [event.sequence for event in first] == list(range(1, len(first) + 1))
    assert first[-1].trial == 7
    store.train(queue)
    later = queue.events(first[-1].sequence)
    assert [event.kind for event in later] == [Kind.STAGE_STARTED, Kind.STAGE_FINISHED]
    assert queue.events(0) == later


def test_slot_whose_processes_never_come_up_is_counted(store: Store) -> None:
    queue = store.queue()
    for _ in range(3):
        queue.lost("slot-0", "ImportError")
    lost = [event.data["failed_starts"] for event in queue.events(0) if event.kind is Kind.GROUP_LOST]
    assert lost == [0, 1, 2]


def test_a_job_pauses_where_nobody_wants_more_and_goes_on_when_somebody_does(store: Store) -> None:
    queue = store.queue()
    queue.submit((WARMUP, JOINT_A), "a", until={"joint-a": 1})
    store.train(queue)
    assert queue.take("w").job == JOINT_A
    assert not queue.report("joint-a", "w", epoch(0)), "that is all for now"
    queue.cancelled("joint-a", "w")
    assert state(queue, "joint-a") is State.PAUSED
    assert queue.metrics("joint-a", 0) == {"loss": 1.0}
    assert queue.take("w").job is None
    queue.submit(TRIAL_A, "a")
    assert queue.take("w").job == JOINT_A
    assert queue.resumed("joint-a", "w", [{"loss": 1.0}])
    assert queue.report("joint-a", "w", epoch(1))
    told = [kind for kind in kinds(queue, "joint-a") if kind is not Kind.STAGE_EPOCH]
    assert told == [Kind.STAGE_SUBMITTED, Kind.STAGE_STARTED, Kind.STAGE_PAUSED, Kind.STAGE_STARTED]


def test_another_trial_that_wants_all_of_a_job_keeps_it_running(store: Store) -> None:
    queue = store.queue("v", "w")
    queue.submit((WARMUP, JOINT_A), "a", until={"joint-a": 1})
    queue.submit((WARMUP, JOINT_A), "b")
    store.train(queue)
    queue.take("w")
    assert queue.report("joint-a", "w", epoch(0))
    assert queue.outcomes(["joint-a"])["joint-a"].reached(1), "the first trial need not wait for the rest"
    queue.drop("b")
    assert not queue.report("joint-a", "w", epoch(0))
    queue.cancelled("joint-a", "w")
    assert state(queue, "joint-a") is State.PAUSED
    queue.drop("a")
    assert state(queue, "joint-a") is State.CANCELLED


def test_a_job_that_an_earlier_sweep_trained_far_enough_pauses_as_soon_as_its_worker_says_so(store: Store) -> None:
    queue = store.queue()
    queue.submit((WARMUP, JOINT_A), "a", until={"joint-a": 1})
    store.train(queue)
    queue.take("w")
    assert not queue.resumed("joint-a", "w", [{"loss": 3.0}])
    queue.cancelled("joint-a", "w")
    assert state(queue, "joint-a") is State.PAUSED
    assert queue.metrics("joint-a", 0) == {"loss": 3.0}
    assert Kind.STAGE_EPOCH not in kinds(queue, "joint-a"), "its epoch was told by the run that trained it"
