"""Progress is a function of the events; the display's lines and the status are made of it."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

from explorer.cli.live import PlainLines, duration, news
from explorer.run.events import Event, Kind
from explorer.run.progress import PROGRESS_FILE, Progress, elapsed_before

START = 1000.0


class Script:
    """Events as the queue numbers them."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def add(self, kind: Kind, at: float, key: str | None = None, trial: int | None = None, **data: Any) -> None:
        number = len(self.events) + 1
        stage = key.split("-")[0] if key else None
        self.events.append(
            Event(sequence=number, time=START + at, kind=kind, key=key, stage=stage, trial=trial, data=data)
        )


def begun(**changes: Any) -> Script:
    script = Script()
    plan = {
        "name": "s",
        "slots": 2,
        "trials": 3,
        "ended": {},
        "done": {},
        "own_epochs": {"joint": 4.0},
        "elapsed_s": 0.0,
    }
    script.add(Kind.SWEEP_STARTED, 0, **{**plan, **changes})
    return script


def told(script: Script) -> Progress:
    progress = Progress()
    for event in script.events:
        progress.on_event(event)
    return progress


def with_one_trial(script: Script) -> Script:
    script.add(Kind.TRIAL_STARTED, 1, trial=0, params={}, chain={})
    script.add(Kind.STAGE_SUBMITTED, 1, key="warmup-1", job={"epochs": 2})
    script.add(Kind.STAGE_SUBMITTED, 1, key="joint-1", job={"epochs": 4})
    script.add(Kind.STAGE_STARTED, 2, key="warmup-1", job={}, slot="slot-0")
    script.add(Kind.STAGE_EPOCH, 4, key="warmup-1", epoch=0, epochs=2, metrics={}, seconds=2.0)
    return script


def test_planned_epochs_are_those_asked_for_and_those_of_trials_to_come() -> None:
    snapshot = told(with_one_trial(begun())).snapshot(START + 4)
    assert snapshot.epochs_done == 1
    assert snapshot.epochs_planned == 2 + 4 + 2 * 4
    assert snapshot.elapsed_s == 4
    assert snapshot.remaining_s == (1 + 4 + 2 * 4) * 2.0 / 2  # epochs x seconds / groups
    assert [(r.stage, r.slot, r.done, r.epochs) for r in snapshot.running] == [("warmup", "slot-0", 1, 2)]
    assert snapshot.trials == {"running": 1}


def test_remaining_time_is_unknown_before_the_first_epoch_and_nothing_at_the_end() -> None:
    assert told(begun()).snapshot(START).remaining_s is None
    script = begun()
    script.add(Kind.SWEEP_ENDED, 9, state="finished")
    snapshot = told(script).snapshot(START + 100)
    assert (snapshot.remaining_s, snapshot.elapsed_s, snapshot.state) == (0.0, 9.0, "finished")


def test_resumed_sweep_counts_what_was_done_before() -> None:
    done = {"joint-0": {"stage": "joint", "epochs": 4}}
    script = begun(ended={"complete": 2}, done=done, elapsed_s=60.0)
    snapshot = told(script).snapshot(START + 1)
    assert (snapshot.epochs_done, snapshot.epochs_planned, snapshot.elapsed_s) == (4, 4 + 4, 61.0)
    assert snapshot.trials == {"complete": 2}


def test_failed_and_cancelled_stages_are_not_waited_for() -> None:
    script = with_one_trial(begun(trials=1))
    script.add(Kind.STAGE_FAILED, 5, key="warmup-1", error="x", trace="")
    script.add(Kind.STAGE_FAILED, 5, key="joint-1", error="x", trace="")
    script.add(Kind.TRIAL_FAILED, 5, trial=0, params={}, chain={}, error="x")
    snapshot = told(script).snapshot(START + 5)
    assert snapshot.epochs_planned == snapshot.epochs_done == 1
    assert snapshot.trials == {"running": 0, "failed": 1}
    assert snapshot.running == ()


def test_trials_that_run_when_the_sweep_is_interrupted_are_told_as_such() -> None:
    script = with_one_trial(begun())
    script.add(Kind.SWEEP_ENDED, 6, state="interrupted")
    assert told(script).snapshot(START + 6).trials == {"interrupted": 1}


def test_elapsed_time_is_carried_over_from_the_progress_file(tmp_path: Path) -> None:
    assert elapsed_before(tmp_path) == 0.0
    (tmp_path / PROGRESS_FILE).write_text(json.dumps(told(begun(elapsed_s=5.0)).snapshot(START + 7).to_json(START + 7)))
    assert elapsed_before(tmp_path) == 12.0


def test_plain_lines_tell_of_stages_and_trials_but_not_of_epochs() -> None:
    script = with_one_trial(begun())
    script.add(Kind.STAGE_FINISHED, 6, key="warmup-1", seconds=4.0)
    script.add(Kind.TRIAL_FINISHED, 9, trial=0, params={}, chain={}, values={"accuracy": 0.5, "gflops": 12.0})
    stream = io.StringIO()
    lines = PlainLines(lambda line: print(line, file=stream))
    for event in script.events:
        lines.on_event(event)
    printed = stream.getvalue().splitlines()
    assert len(printed) == 3
    assert "stage warmup finished in 4.0 s" in printed[1]
    assert "trial 0 finished: accuracy 0.5, gflops 12" in printed[2]


@pytest.mark.parametrize(("seconds", "expected"), [(0, "0:00"), (75, "1:15"), (3675, "1:01:15")])
def test_duration(seconds: float, expected: str) -> None:
    assert duration(seconds) == expected


def test_long_errors_are_one_short_line() -> None:
    event = Event(sequence=1, time=0, kind=Kind.TRIAL_FAILED, trial=3, data={"error": "a\n" * 500})
    text = news(event)
    assert text is not None
    assert len(text) < 200
    assert "\n" not in text


def test_a_paused_trial_is_neither_running_nor_ended_and_what_it_lacks_is_not_planned() -> None:
    script = with_one_trial(begun(trials=1, own_epochs={}))
    script.add(Kind.STAGE_PAUSED, 6, key="joint-1", epochs=2)
    script.add(Kind.TRIAL_PAUSED, 6, trial=0, rung="joint:2", values={"accuracy": 0.5})
    paused = told(script).snapshot(START + 6)
    assert paused.trials == {"running": 0, "paused": 1}
    assert paused.stages["paused"] == 1
    assert paused.epochs_planned == paused.epochs_done + 2 - 1, "the warm-up has an epoch left"
    script.add(Kind.TRIAL_PROMOTED, 7, trial=0, rung="joint:2", values={"accuracy": 0.5})
    assert told(script).snapshot(START + 7).trials == {"running": 1}
    script.add(Kind.TRIAL_PAUSED, 8, trial=0, rung="joint", values={"accuracy": 0.5})
    script.add(Kind.TRIAL_PRUNED, 9, trial=0, rung="joint", reason="stopped early at the end of stage joint: place 3 of 3")
    assert told(script).snapshot(START + 9).trials == {"running": 0, "pruned": 1}
    assert news(script.events[-1]) == "trial 0 pruned, stopped early at the end of stage joint: place 3 of 3"
    assert news(script.events[-2]) == "trial 0 paused at the end of stage joint: accuracy 0.5"
