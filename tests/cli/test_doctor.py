"""``explorer doctor``: each line ok, a warning or a problem with its remedy. Ray and MLflow: see the tutorial's test."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from explorer import doctor
from explorer.cli.app import run
from explorer.doctor import CHECKS, Finding, Settings, State, machine, packages, parts

REAL = ("python", "packages", "torch", "gpu", "video", "flow", "disk", "memory", "shared memory", "limits")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(storage=tmp_path / "runs", tracking=f"sqlite:///{tmp_path}/runs/mlflow.db")


@pytest.mark.parametrize("name", REAL)
def test_a_check_of_a_working_installation_finds_no_problem(name, settings):
    finding = CHECKS[name](settings)
    assert finding.state is not State.PROBLEM, finding
    assert finding.said and bool(finding.remedy) == (finding.state is not State.OK)


def test_a_package_outside_its_bounds_is_a_problem(settings, monkeypatch):
    monkeypatch.setattr(packages.metadata, "version", lambda name: "0.0.1" if name == "mlflow" else "999")
    monkeypatch.setattr(packages.metadata, "requires", lambda name: ["mlflow>=3", "numpy>=2", 'x; extra == "dev"'])
    finding = packages.required(settings)
    assert (finding.state, "mlflow 0.0.1 is not >=3" in finding.said) == (State.PROBLEM, True)
    assert "numpy" not in finding.said and finding.remedy


def test_a_full_disk_and_few_files_are_problems(settings, monkeypatch):
    monkeypatch.setattr(machine.shutil, "disk_usage", lambda place: type("Usage", (), {"free": 2**20})())
    monkeypatch.setattr(machine.resource, "getrlimit", lambda what: (256, 4096))
    assert machine.disk(settings).state is State.PROBLEM
    assert machine.shared_memory(settings).state is State.WARNING
    assert "ulimit -n" in machine.limits(settings).remedy


def test_an_mlflow_store_that_cannot_be_reached_is_a_problem(settings, tmp_path):
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "mlflow.db").write_text("no database")
    assert parts.mlflow(settings).state is State.PROBLEM


def test_a_check_that_raises_is_a_problem_and_the_others_go_on(settings, monkeypatch):
    def broken(settings: Settings) -> Finding:
        raise RuntimeError("no such thing")

    monkeypatch.setattr(doctor, "CHECKS", {"broken": broken, "fine": lambda settings: Finding.ok("well")})
    assert [f.state for _, f in doctor.examine(settings)] == [State.PROBLEM, State.OK]


@pytest.mark.parametrize(("found", "code"), [(Finding.warning("little", "more"), 0), (Finding.problem("no", "do"), 1)])
def test_the_exit_code_is_1_with_a_problem_only(found, code, monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(doctor, "CHECKS", {"it": lambda settings: found})
    assert run(["doctor"]) == code
    assert f"remedy: {found.remedy}" in capsys.readouterr().out
    assert run(["doctor", "--json"]) == code
    (check,) = json.loads(capsys.readouterr().out)["checks"]
    assert (check["check"], check["state"]) == ("it", str(found.state))
