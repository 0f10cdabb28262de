from __future__ import annotations

import json
from pathlib import Path

import pytest

from explorer.cli.app import run


@pytest.fixture(autouse=True)
def working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_json_holds_the_keys_that_scripts_rely_on(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["plan", "toy", "--json", "-o", "budget.trials=3"]) == 0
    plan = json.loads(capsys.readouterr().out)
    assert {"stages", "passes_total", "passes_unshared", "slots", "warnings"} <= plan.keys()
    warmup, *others = plan["stages"]
    assert {"key", "name", "shared_by", "epochs"} <= warmup.keys()
    assert (warmup["name"], warmup["shared_by"]) == ("warmup", 3)
    assert sum(stage["shared_by"] for stage in others) == 6
    assert plan["passes_total"] == sum(stage["passes"] for stage in plan["stages"])


def test_for_people_there_is_a_line_for_each_stage(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["plan", "toy", "-o", "budget.trials=3", "-o", "resources.groups=2"]) == 0
    text = capsys.readouterr().out
    assert "warmup           1          3 trials, weighted_fusion" in text
    assert "2 group(s) at a time" in text


def test_check_says_ok_and_plans_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["plan", "toy", "--check"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("OK: toy\n")
    assert "lambda.rgb: log [0.05, 4.0]" in text
    assert "warmup" not in text


def test_check_as_json_gives_the_resolved_space(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["plan", "toy", "--check", "--json", "-o", "seed=7"]) == 0
    checked = json.loads(capsys.readouterr().out)
    assert checked["ok"] is True
    assert checked["space"]["seed"] == 7


def test_every_problem_is_told_on_stderr(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine.yaml").write_text("system: toy\nbudgt: {trials: 3}\nsearch: {gamma: {log: [0, 1]}}\n")
    assert run(["plan", "mine.yaml", "--check", "--json"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "2 problems" in captured.err
    assert "line 2: budgt: unknown key; did you mean 'budget'?" in captured.err
    assert "line 3: search.gamma: log must have low > 0" in captured.err
    assert not (tmp_path / "runs").exists()
