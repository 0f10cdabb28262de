"""Starting from an earlier sweep: its finished trials are known to the sampler, and nothing else changes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from explorer.errors import NotFound, UserError
from explorer.search.earlier import earlier_trials
from explorer.spec.dimension import Choice, Log
from tests.search.spaces import CHEAP, DIMENSIONS, OBJECTIVES, book, measured

TRIALS = 12  # enough for TPE to leave its start-up


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    old = tmp_path / "old"
    old.mkdir()
    (old / "space.yaml").write_text(yaml.safe_dump({"objectives": OBJECTIVES, "gamma": 2, "price": {"rgb": 9.0}}))
    study = book(old, trials=TRIALS)
    while (asked := study.ask()) is not None:
        study.tell(asked.number, measured(asked.params), "COMPLETE" if asked.number else "FAIL")
    study.close()
    return tmp_path


def found(runs: Path, search: dict[str, Any]) -> list[dict[str, Any]]:
    return earlier_trials("old", search, OBJECTIVES, runs=runs)


def test_complete_trials_come_with_their_values_and_failed_ones_not(runs: Path) -> None:
    trials = found(runs, DIMENSIONS)
    assert len(trials) == TRIALS - 1
    for trial in trials:
        assert dict(zip(OBJECTIVES, trial["values"], strict=True)) == pytest.approx(measured(trial["params"]))


def test_a_field_that_was_not_searched_has_the_value_that_all_its_trials_had(runs: Path) -> None:
    more = {**DIMENSIONS, "price": Choice((1,))}
    with pytest.raises(UserError, match="no finished trial of old lies inside this search"):
        found(runs, more)  # the old space's value of it is no number of this dimension
    fixed = {k: v for k, v in DIMENSIONS.items() if k != "gamma"}
    assert all("gamma" not in trial["params"] for trial in found(runs, fixed))


def test_trials_outside_the_new_ranges_are_left_out(runs: Path) -> None:
    narrow = {**DIMENSIONS, "price.rgb": Log(0.5, 4.0)}
    kept = found(runs, narrow)
    assert 0 < len(kept) < TRIALS - 1
    assert all(trial["params"]["price.rgb"] >= 0.5 for trial in kept)


def test_other_objectives_and_a_missing_sweep_are_refused(runs: Path) -> None:
    with pytest.raises(UserError, match="has the objectives"):
        earlier_trials("old", DIMENSIONS, {"accuracy": "max"}, runs=runs)
    with pytest.raises(NotFound):
        earlier_trials("older", DIMENSIONS, OBJECTIVES, runs=runs)


def test_a_warm_sampler_proposes_by_its_model_at_once_and_the_same_after_resuming(runs: Path) -> None:
    trials = found(runs, DIMENSIONS)
    for name in ("cold", "warm", "again"):
        (runs / name).mkdir()
    cold = book(runs / "cold").ask()
    warm_book = book(runs / "warm", earlier=lambda: trials, constraints=[CHEAP])
    warm = warm_book.ask()
    again = book(runs / "again", earlier=lambda: trials, constraints=[CHEAP])
    first = again.ask()
    assert cold is not None and warm is not None and first is not None
    assert warm.params != cold.params
    assert warm.params == first.params
    assert warm.number == 0  # the old trials are not this sweep's
    again.close()
    resumed = book(runs / "again", earlier=list, constraints=[CHEAP])  # the study keeps what it began with
    assert resumed.ask_again(0) == first.params


def test_a_refused_warm_start_leaves_nothing_that_refuses_its_correction(runs: Path) -> None:
    def refused() -> list[dict[str, Any]]:
        raise UserError("warm_start: no such sweep")

    (runs / "new").mkdir()
    with pytest.raises(UserError):
        book(runs / "new", earlier=refused, identity={"warm_start": ["oldd"]})
    corrected = book(runs / "new", earlier=lambda: found(runs, DIMENSIONS), identity={"warm_start": ["old"]})
    assert corrected.ask() is not None
