from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ray import cloudpickle

from explorer.search.book import REASON
from explorer.search.reader import read_study
from explorer.search.searcher import TRIAL_ATTRS, TRIAL_STATE, StudySearcher
from tests.search.spaces import CHEAP, FIRST, book


def searcher(folder: Path, *, limit: int = 2, is_spent: Any = lambda: False, **changed: Any) -> StudySearcher:
    return StudySearcher(book(folder, **changed), limit=limit, is_spent=is_spent)


def test_a_trial_is_given_its_number_and_parameters(tmp_path: Path) -> None:
    assert searcher(tmp_path, first_points=[FIRST]).suggest("a") == {"number": 0, "params": FIRST}


def test_at_the_limit_nothing_is_suggested_and_a_paused_trial_does_not_count(tmp_path: Path) -> None:
    search = searcher(tmp_path, limit=1)
    assert isinstance(search.suggest("a"), dict)
    assert search.suggest("b") is None
    search.on_pause("a")
    assert isinstance(search.suggest("b"), dict)
    search.on_unpause("a")
    assert search.suggest("c") is None
    search.on_trial_complete("a", {TRIAL_STATE: "PRUNED"})
    assert search.suggest("c") is None
    search.on_trial_complete("b", {TRIAL_STATE: "PRUNED"})
    assert isinstance(search.suggest("c"), dict)


def test_the_end_of_either_budget_is_finished(tmp_path: Path) -> None:
    search = searcher(tmp_path, trials=1)
    search.suggest("a")
    assert search.suggest("b") == search.FINISHED
    spent = False
    (tmp_path / "b").mkdir()
    search = searcher(tmp_path / "b", is_spent=lambda: spent)
    assert isinstance(search.suggest("a"), dict)
    spent = True
    assert search.suggest("b") == search.FINISHED


FULL = {"accuracy": 0.5, "gflops": 2.0}


@pytest.mark.parametrize(
    ("result", "error", "state"),
    [
        ({**FULL, TRIAL_STATE: "COMPLETE"}, False, "COMPLETE"),
        ({**FULL, TRIAL_STATE: "PRUNED"}, False, "PRUNED"),
        ({**FULL}, False, "PRUNED"),  # stopped by a scheduler before it said that it was complete
        ({**FULL, TRIAL_STATE: "FAIL"}, False, "FAIL"),
        ({"accuracy": float("nan"), "gflops": 2.0, TRIAL_STATE: "COMPLETE"}, False, "FAIL"),
        ({"accuracy": 0.5, TRIAL_STATE: "COMPLETE"}, False, "FAIL"),
        ({**FULL, TRIAL_STATE: "COMPLETE"}, True, "FAIL"),
        (None, True, "FAIL"),
        (None, False, "FAIL"),
    ],
)
def test_a_trial_is_complete_only_if_it_says_so(tmp_path: Path, result: Any, error: bool, state: str) -> None:
    search = searcher(tmp_path)
    search.suggest("a")
    search.on_trial_complete("a", result, error)
    search.on_trial_complete("a", result, error)  # Tune may tell twice
    (record,) = read_study(search.book.path)
    assert record.state == state
    assert (record.values == (0.5, 2.0)) == (state == "COMPLETE")
    assert state != "FAIL" or TRIAL_STATE in (result or {}) or record.attrs[REASON]


def test_a_paused_trial_that_is_stopped_is_pruned_though_tune_tells_no_result(tmp_path: Path) -> None:
    search = searcher(tmp_path)
    search.suggest("a")
    search.on_pause("a")
    search.on_trial_complete("a", None, False)
    assert read_study(search.book.path)[0].state == "PRUNED"


def test_notes_of_the_trial_are_kept(tmp_path: Path) -> None:
    search = searcher(tmp_path, constraints=[CHEAP])
    search.suggest("a")
    search.on_trial_complete("a", {**FULL, TRIAL_STATE: "COMPLETE", TRIAL_ATTRS: json.dumps({"epochs": {"joint": 4}})})
    assert read_study(search.book.path)[0].attrs["epochs"] == {"joint": 4}


def test_tune_can_save_and_pickle_it(tmp_path: Path) -> None:
    search = searcher(tmp_path)
    search.save_to_dir(str(tmp_path), "session")
    assert (tmp_path / "searcher-state-session.pkl").exists()
    cloudpickle.dumps(search)


def trainable(config: dict[str, Any]) -> None:
    """Reports three times; a dear one keeps on until it is stopped, one fails, one gives NaN."""
    from ray import tune

    number = config["number"]
    if number == 2:
        raise ValueError("planned")
    for step in range(3):
        done = {TRIAL_STATE: "COMPLETE"} if step == 2 else {}
        accuracy = float("nan") if number == 3 else 0.1 * (step + 1)
        tune.report({"accuracy": accuracy, "gflops": 1.0, "step": step, "stop_now": number == 1, **done})


@pytest.mark.ray
def test_a_real_tuner_runs_the_study_to_its_budget(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    import ray
    from ray import tune

    # local: without an address Ray joins whatever cluster another test has begun on this machine
    ray.init("local", num_cpus=2, include_dashboard=False, configure_logging=False)
    try:
        search = searcher(tmp_path, trials=6, limit=2)
        tuner = tune.Tuner(
            trainable,
            tune_config=tune.TuneConfig(search_alg=search, num_samples=-1, reuse_actors=True),
            run_config=tune.RunConfig(
                storage_path=str(tmp_path / "tune"), stop=lambda _, result: bool(result["stop_now"]), verbose=0
            ),
        )
        tuner.fit()
    finally:
        ray.shutdown()
    states = {record.number: record.state for record in read_study(search.book.path)}
    assert states == {0: "COMPLETE", 1: "PRUNED", 2: "FAIL", 3: "FAIL", 4: "COMPLETE", 5: "COMPLETE"}
    assert read_study(search.book.path)[0].values == (pytest.approx(0.3), 1.0)
