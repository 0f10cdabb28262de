from __future__ import annotations

import json
from pathlib import Path
from typing import Any

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


def planned(capsys: pytest.CaptureFixture[str], *words: str) -> Any:
    assert run(["plan", *words, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_makespan_and_idle_share_on_stated_nodes_are_those_of_a_schedule_by_hand(
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = ["toy", "-o", "baselines=[]", "--nodes", "2x8cpu4gpu64gib"]
    alone = planned(capsys, *words, "-o", "budget.trials=1")["cluster"]
    assert (alone["groups"], alone["makespan"], alone["unit"], alone["idle_share"]) == (1, 2 + 4 + 2, "epochs", 0)
    # Both wait for the shared warm-up of 2 epochs, which one of them trains; then each trains 4 + 2.
    two = planned(capsys, *words, "-o", "budget.trials=2")["cluster"]
    assert (two["groups"], two["makespan"], two["idle_share"]) == (2, 2 + 6, pytest.approx(2 / 16))


@pytest.mark.parametrize(
    ("nodes", "needs", "expected"),
    [
        ("2x8cpu4gpu64gib,1x4cpu", ["gpus_per_worker=1"], 8),  # the third node has none
        ("2x8cpu4gpu64gib", ["gpus_per_worker=0.5", "cpus_per_worker=1"], 16),
        ("2x8cpu", ["workers=12"], 1),  # more ranks than one node holds spread over both
        ("3cpu6gib", [], 3),
        ("64cpu6gib", [], 4),  # as many as its memory holds
    ],
)
def test_as_many_groups_are_planned_as_the_stated_nodes_hold(
    nodes: str, needs: list[str], expected: int, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [word for need in needs for word in ("-o", f"resources.{need}")]
    assert planned(capsys, "toy", "--nodes", nodes, *words)["cluster"]["groups"] == expected


@pytest.mark.parametrize(
    ("nodes", "need", "reason"),
    [
        ("4x8cpu", "gpus_per_worker=1", "needs 1 CPU and 1 GPU, the cluster has 32 CPU and 0 GPU on 4 nodes"),
        ("1x2cpu", "cpus_per_worker=4", "needs 4 CPU, the cluster has 2 CPU and 0 GPU on 1 node"),
        ("2x2cpu", "groups=5", "resources.groups must be at most 4, got 5"),
        ("2x8cpus", "groups=1", "--nodes must be such as 2x8cpu4gpu"),
        ("0x8cpu", "groups=1", "--nodes must name at least one node"),
    ],
)
def test_what_the_stated_nodes_can_never_hold_is_refused_with_the_reason(
    nodes: str, need: str, reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (
        run(["plan", "toy", "--nodes", nodes, "--calibrate", "-o", f"resources.{need}"]) == 2
    )  # nothing is measured first
    captured = capsys.readouterr()
    assert reason in captured.err and captured.out == ""


def test_calibration_trains_an_epoch_of_each_stage_and_leaves_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["toy", "-o", "epoch_s=0.05", "-o", "budget.trials=1", "-o", "baselines=[]", "--calibrate"]
    cluster = planned(capsys, *words)["cluster"]
    assert cluster["unit"] == "seconds"
    measured = cluster["measured"]["stages"]
    assert measured.keys() == {"warmup", "joint", "finetune"}
    expected = sum(
        n * measured[name]["epoch_s"] + measured[name]["rest_s"]
        for name, n in (("warmup", 2), ("joint", 4), ("finetune", 2))
    )
    assert cluster["makespan"] == pytest.approx(expected) and expected > 8 * 0.05
    assert not list(tmp_path.iterdir())


def test_calibration_on_videos_tells_seconds_of_every_stage_and_keeps_what_it_decoded(
    clips: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["plan", "quickstart", "--calibrate", "-o", f"data.manifest={clips}"]) == 0
    text = capsys.readouterr().out
    (head,) = (line for line in text.splitlines() if line.startswith("stage "))
    assert head.split()[-5:] == ["s", "an", "epoch", "s", "all"]
    assert "measured now, on this machine (c" in text and "the groups idle for" in text
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["cache"]
