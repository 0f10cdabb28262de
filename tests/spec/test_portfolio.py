"""Several systems in one file: what is shared, what is each one's, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from explorer.errors import SpecError
from explorer.spec import load_space
from explorer.spec.load_portfolio import load_any
from explorer.spec.portfolio import Portfolio

A = "name: a\nsystem: toy\nsearch: {lambda.rgb: {log: [0.05, 4]}}\nbudget: {hours: 9}\n"
B = "name: b\nsystem: toy\ngamma: 5\nsearch: {lambda.audio: {log: [0.005, 1]}}\n"
BOTH = "systems: [a.yaml, b.yaml]\nbudget: {trials: 6}\nresources: {groups: 1}\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in {"a": A, "b": B, "both": BOTH}.items():
        (tmp_path / f"{name}.yaml").write_text(text)
    return tmp_path


def load(folder: Path, *overrides: str, files: bool = True) -> Portfolio:
    found = load_any(folder / "both.yaml", [f"storage={folder}/runs", *overrides], files=files)
    assert isinstance(found, Portfolio)
    return found


def refused(folder: Path, *overrides: str) -> str:
    with pytest.raises(SpecError) as error:
        load(folder, *overrides, files=False)
    return str(error.value)


def test_members_are_sweeps_beside_each_other_with_what_is_shared_in_the_place_of_their_own(folder: Path) -> None:
    both = load(folder)
    assert both.folder == folder / "runs" / "both"
    assert [member.folder for member in both.members.values()] == [folder / "runs" / "both.a", folder / "runs" / "both.b"]
    a, b = both.members.values()
    assert {(m.member_of, m.area, m.storage, m.resources.groups, m.store_folder) for m in (a, b)} == {
        ("both", "both", str(folder / "runs"), 1, folder / "runs" / "store")
    }
    assert a.budget.hours is None and a.budget.trials == 0
    assert (a.config.get("gamma"), b.config["gamma"]) == (None, 5)


def test_overrides_are_of_all_or_of_the_member_that_they_name(folder: Path) -> None:
    both = load(folder, "budget.trials=9", "seed=3", "a.gamma=2", "b.search.gamma={choice: [0, 5]}", "a.seed=4")
    a, b = both.members.values()
    assert (both.budget.trials, a.seed, b.seed, a.config["gamma"]) == (9, 4, 3, 2)
    assert set(b.search) == {"lambda.audio", "gamma"}


def test_what_is_written_down_loads_as_an_equal_portfolio_from_any_folder(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = load(folder, "b.gamma=2")
    other = folder / "other"
    other.mkdir()
    (other / "space.yaml").write_text(both.to_yaml())
    monkeypatch.chdir(other)
    assert load_any(other / "space.yaml") == both


def test_members_can_be_written_out_under_names_of_their_own(folder: Path) -> None:
    both = load(folder, "systems={one: a.yaml, two: {system: toy, gamma: 2}}", "two.gamma=10")
    assert [member.name for member in both.members.values()] == ["both.one", "both.two"]
    assert both.members["two"].config["gamma"] == 10


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("systems=[a.yaml]", "systems must name two or more search spaces, got 1"),
        ("systems=[a.yaml, a.yaml]", "'a' names two members; give each member a name of its own: systems: {NAME: 'a.yaml'}"),
        ("systems={budget: a.yaml, b: b.yaml}", "'budget' is a key of this file"),
        ("systems=[a.yaml, quikstart]", "no search space 'quikstart'"),
        ("systems=[a.yaml, both.yaml]", "both names several systems itself; list its members here instead"),
        ("systems=[toy, quickstart]", "on the same videos only; got toy: those of system toy"),
        ("budget.trials=1", "budget.trials must be 2 or more, one for each member (or 0), got 1"),
        ("gamma=2", "gamma: unknown key beside `systems`"),
        ("sampler=grid", "sampler: unknown key beside `systems`; it is of a system"),
        ("share=0", "share: input should be greater than or equal to 1; found 0"),
        ("a.gama=2", "a, -o gama=2: gama: unknown key; did you mean 'gamma'?"),
        ("c.gamma=2", "c: unknown key beside `systems`"),
        ("b.objectives={gflops: min}", "objectives must be those of all members, got a: accuracy max, gflops min; b: gflops min"),
    ],
)
def test_what_cannot_be_is_refused_with_the_rule_the_value_and_the_remedy(folder: Path, override: str, said: str) -> None:
    assert said in refused(folder, override)


def test_every_broken_rule_of_file_and_members_comes_in_one_report(folder: Path) -> None:
    (folder / "b.yaml").write_text(B + "gama: 3\n")
    told = refused(folder, "budget.trials=1", "a.sampler=tpa")
    assert "3 problems" in told
    assert "b, line 5: gama: unknown key" in told and "unknown sampler 'tpa'" in told and "budget.trials must be 2" in told


def test_other_splits_of_one_manifest_are_other_videos(folder: Path, clips: Path) -> None:
    for name in ("a", "b"):
        (folder / f"{name}.yaml").write_text(f"name: {name}\nsystem: arnet\n")
    given = f"data.manifest={clips}"
    assert len(load(folder, given).members) == 2
    assert "split with seed 1" in refused(folder, given, "b.data.split_seed=1")


def test_what_needs_one_system_says_so_and_names_the_members(folder: Path) -> None:
    with pytest.raises(SpecError, match=r"names several systems \(a.yaml, b.yaml\), and one is needed here; give one of these"):
        load_space(folder / "both.yaml")
