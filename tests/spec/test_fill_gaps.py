"""``fill_gaps`` in a search space: what it needs, and what it makes of the plan."""

from __future__ import annotations

from pathlib import Path

import pytest

from explorer.errors import SpecError
from explorer.spec import load_space
from explorer.spec.draws import default_point
from explorer.spec.fork import Fork
from explorer.spec.load import make_space
from explorer.spec.plan import can_fork, chain, own_chain, plan_info
from explorer.spec.space import FillGaps, SearchSpace

FAKE = {
    "name": "t",
    "system": "tests.spec.fake:FakeSystem",
    "data": {"manifest": "m.jsonl"},
    "search": {"lambda.rgb": {"log": [0.1, 1]}},
}


def toy(*overrides: str) -> SearchSpace:
    return load_space("toy", ["stages.joint.epochs=8", "baselines=[]", "fill_gaps={after: 2, fork: 0.25}", *overrides])


def problems(*overrides: str) -> str:
    with pytest.raises(SpecError) as caught:
        load_space("toy", overrides)
    return "\n".join(caught.value.problems)


def test_without_values_one_trial_in_two_is_aimed_from_six_complete_ones_on_and_none_is_forked() -> None:
    assert load_space("toy", ["fill_gaps={}"]).fill_gaps == FillGaps(every=2, after=6, fork=None)
    assert load_space("toy").fill_gaps is None


def test_what_it_needs_is_told_with_what_was_found() -> None:
    assert "fill_gaps needs the objectives accuracy and gflops" in problems(
        "fill_gaps={}", "objectives={accuracy: max}"
    )
    without = ["search.lambda.rgb=null", "search.lambda.audio=null"]
    assert (
        "needs one of the fields that move a trial along the front to be searched: lambda.rgb, lambda.audio"
        in problems("fill_gaps={}", *without)
    )
    wrong = problems("fill_gaps={fork: 1.5, every: 0, share: 1}")
    assert "fill_gaps.fork" in wrong and "1.5" in wrong
    assert "fill_gaps.every" in wrong
    assert "fill_gaps.share: unknown key" in wrong


def test_a_system_that_declares_neither_weights_nor_a_stage_to_fork_is_refused(tmp_path: Path) -> None:
    (tmp_path / "m.jsonl").write_text("")
    with pytest.raises(SpecError) as caught:
        make_space({**FAKE, "data": {"manifest": str(tmp_path / "m.jsonl")}, "fill_gaps": {"fork": 0.5}}, subject="t")
    told = "\n".join(caught.value.problems)
    assert "fake has no stage that can be forked" in told
    assert "fake names no field that moves a trial along the front" in told


def test_the_chain_of_a_fork_holds_its_parents_up_to_the_stage_and_its_own_from_there() -> None:
    space = toy()
    parent = default_point(space)
    params = {**parent, "lambda.rgb": 2.0}
    jobs = chain(space, params, Fork(trial=3, params=parent))
    whole, anew = chain(space, parent), chain(space, params)
    assert [job.stage for job in jobs] == ["warmup", "joint", "joint", "finetune"]
    assert jobs[:2] == whole[:2]
    own, finetune = jobs[2:]
    assert dict(own.parents) == {"joint": whole[1].key}
    assert dict(finetune.parents) == {"joint": own.key}
    assert (own.epochs, own.training_passes) == (2, 4)
    assert own_chain(jobs) == {"warmup": whole[0].key, "joint": own.key, "finetune": finetune.key}
    assert {own.key, finetune.key}.isdisjoint({job.key for job in (*whole, *anew)})
    assert chain(space, params, Fork(trial=5, params=parent)) == jobs, "the parent's number is no cause"
    other = Fork(trial=3, params={**parent, "lambda.rgb": 3.0})
    assert chain(space, params, other)[2].key != own.key


def test_the_shortest_fork_has_one_epoch() -> None:
    space = toy("fill_gaps.fork=0.01")
    parent = default_point(space)
    assert chain(space, {**parent, "lambda.rgb": 2.0}, Fork(trial=0, params=parent))[2].epochs == 1


def test_a_conditioned_trial_cannot_be_forked_and_an_independent_one_can() -> None:
    space = load_space("adamml_small", ["fill_gaps={fork: 0.5}"], files=False)
    conditioned = default_point(space)
    found = space.conditioning()
    assert found is not None
    assert not can_fork(space, conditioned)
    assert can_fork(space, {**conditioned, found.field: found.off})


def test_the_plan_counts_the_share_that_forks_train_and_says_that_they_are_examples() -> None:
    info = plan_info(toy("budget.trials=6"))
    # Trials 3 and 5 are forks: warm-up 2, joint 4 x 16 + 2 x 4, fine-tuning 6 x 2.
    assert info.passes_total == 2 + 4 * 16 + 2 * 4 + 6 * 2
    assert info.passes_unshared == 6 * 2 + 4 * 16 + 2 * 4 + 6 * 2
    assert any("shown as forks" in warning for warning in info.warnings)
    assert sorted(stage.epochs for stage in info.stages if stage.name == "joint") == [2, 2, 8, 8, 8, 8]
    assert plan_info(toy("budget.trials=6", "fill_gaps.fork=null")).passes_total == 2 + 6 * 16 + 6 * 2
