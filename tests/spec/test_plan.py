from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from explorer.spec import SearchSpace, load_space
from explorer.spec.draws import default_point
from explorer.spec.plan import baseline_chains, chain, plan_info, trial_rungs

SPACE = """\
system: tests.spec.fake:FakeSystem
data: {manifest: videos.jsonl}
search:
  lambda.rgb: {log: [2, 4]}
baselines: [all_on]
budget: {trials: 6}
"""
FIRST, SECOND, ALL_ON = 5, 3, 2  # epochs, one pass each


def load(folder: Path, overrides: Sequence[str] = ()) -> SearchSpace:
    (folder / "space.yaml").write_text(SPACE)
    (folder / "videos.jsonl").write_text("")
    return load_space(folder / "space.yaml", overrides)


def test_a_chain_has_parents_before_children_whatever_the_system_says(tmp_path: Path) -> None:
    jobs = chain(load(tmp_path), {"lambda.rgb": 3.0})
    assert [job.stage for job in jobs] == ["first", "second"]
    assert jobs[1].parents == {"first": jobs[0].key}


def test_a_baseline_brings_the_stages_that_it_starts_from(tmp_path: Path) -> None:
    space = load(tmp_path)
    baseline = baseline_chains(space)["all_on"]
    assert [job.stage for job in baseline] == ["first", "all_on"]
    assert baseline[0].key == chain(space, {"lambda.rgb": 3.0})[0].key


def test_shared_stages_are_counted_once_and_unshared_ones_for_each_trial(tmp_path: Path) -> None:
    info = plan_info(load(tmp_path))
    assert [(stage.name, stage.shared_by) for stage in info.stages] == [
        ("first", 6),
        *[("second", 1)] * 6,
        ("all_on", 0),
    ]
    assert info.stages[0].baselines == ("all_on",)
    assert info.passes_total == FIRST + 6 * SECOND + ALL_ON
    assert info.passes_unshared == 6 * (FIRST + SECOND) + FIRST + ALL_ON
    assert info.slots >= 1


def test_the_same_plan_comes_out_each_time(tmp_path: Path) -> None:
    assert plan_info(load(tmp_path)) == plan_info(load(tmp_path))


def test_the_first_trial_is_the_configurations_own_moved_inside(tmp_path: Path) -> None:
    assert default_point(load(tmp_path)) == {"lambda.rgb": 2.0}  # its own value is 1


def test_a_budget_in_passes_pays_for_as_many_trials(tmp_path: Path) -> None:
    info = plan_info(load(tmp_path, [f"budget={{passes: {FIRST + 4 * SECOND}}}"]))
    assert info.trials == 4


def test_a_budget_in_hours_is_shown_by_example(tmp_path: Path) -> None:
    assert any("example" in warning for warning in plan_info(load(tmp_path, ["budget={hours: 1}"])).warnings)


def test_without_a_search_there_is_one_trial(tmp_path: Path) -> None:
    info = plan_info(load(tmp_path, ["search.lambda.rgb=null"]))
    assert info.trials == 1
    assert info.passes_total == FIRST + SECOND + ALL_ON


def test_the_systems_warnings_are_passed_on(tmp_path: Path) -> None:
    info = plan_info(load(tmp_path, ["search.kind={choice: [a, b]}"]))
    assert "kind cannot change anything" in info.warnings


def test_a_group_that_does_not_fit_is_warned_of(tmp_path: Path) -> None:
    info = plan_info(load(tmp_path, ["resources.cpus_per_worker=100000"]))
    assert info.slots == 0
    assert any("not one group fits this machine" in warning for warning in info.warnings)


@pytest.mark.parametrize("groups", [1, 3])
def test_stated_groups_are_the_slots(tmp_path: Path, groups: int) -> None:
    assert plan_info(load(tmp_path, [f"resources.groups={groups}"])).slots == groups


def test_early_stopping_is_planned_with_its_rungs_and_off_unless_given(tmp_path: Path) -> None:
    plain = load_space("toy", [f"storage={tmp_path}"])
    assert plain.early_stopping is None
    assert trial_rungs(plain, {}) == ()
    space = load_space("toy", [f"storage={tmp_path}", "early_stopping={reduction_factor: 2}"])
    assert [rung.name for rung in trial_rungs(space, {})] == ["joint:2", "joint"]
    assert any("epoch 2 of stage joint, the end of stage joint" in warning for warning in plan_info(space).warnings)
    assert (space.cohort, space.model_copy(update={"order": "strict"}).cohort) == (None, 4)


@pytest.mark.parametrize("name", ["adamml_small", "arnet_small", "adafuse_small"])
def test_trials_are_not_compared_at_a_stage_that_they_share(name: str) -> None:
    space = load_space(name, ["early_stopping={reduction_factor: 2, grace_epochs: 1}"], files=False)
    stages = {stage.name: stage for stage in space.load_system().stages(space.base_config())}
    rungs = trial_rungs(space, {})
    assert rungs
    assert all(stages[rung.stage].baseline is None for rung in rungs)
    assert {rung.stage for rung in rungs} == {"joint"}
