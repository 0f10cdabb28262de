from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from explorer.errors import NotFound
from explorer.search.book import BASELINES
from explorer.search.reader import read_study, read_study_attrs
from tests.search.spaces import FIRST, book, measured


def test_records_are_what_optuna_itself_reads(tmp_path: Path) -> None:
    study = book(tmp_path, trials=9, first_points=[FIRST])
    while (asked := study.ask()) is not None:
        if asked.number % 3:
            study.tell(asked.number, measured(asked.params), "PRUNED" if asked.number % 2 else "COMPLETE")
    theirs = optuna.load_study(study_name="mine", storage=JournalStorage(JournalFileBackend(str(study.path)))).trials
    ours = read_study(study.path)
    assert [(t.number, t.params, t.state, t.attrs) for t in ours] == [
        (t.number, t.params, t.state.name, t.user_attrs) for t in theirs
    ]
    assert [list(t.values) if t.values else None for t in ours] == [t.values for t in theirs]
    assert all(t.started is not None and (t.ended or t.started) >= t.started for t in ours)


def test_a_queued_trial_shows_what_it_will_be(tmp_path: Path) -> None:
    study = book(tmp_path, first_points=[FIRST])
    (record,) = read_study(study.path)
    assert (record.state, record.params, record.started) == ("WAITING", FIRST, None)


def test_notes_about_the_study_are_read_while_it_is_open(tmp_path: Path) -> None:
    study = book(tmp_path)
    study.set_attr(BASELINES, {"unimodal": {"unimodal.rgb": "key"}})
    assert read_study_attrs(study.path)[BASELINES] == {"unimodal": {"unimodal.rgb": "key"}}


def test_reading_nothing_makes_nothing(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="there is no sweep at"):
        read_study(tmp_path / "study.journal")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "study.journal").touch()
    with pytest.raises(NotFound, match="holds no study"):
        read_study(tmp_path / "study.journal")


def test_reading_imports_neither_torch_nor_ray() -> None:
    code = "import sys, explorer.search.reader; print([m for m in ('torch', 'ray', 'mlflow') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "[]\n"
