"""The conformance suite: what every system promises, whatever it is."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.trainables.adafuse_parts import adafuse_config
from tests.trainables.adamml_parts import merged, tiny_config
from tests.trainables.arnet_parts import arnet_config
from trainables.contract import CONVENTIONS, PREVIEW_STAGES, Loss, StepContext, System
from trainables.errors import UserError
from trainables.kit.engine.keys import find_stage, forked, schedule_epoch, stage_jobs
from trainables.kit.engine.prepare import open_for, prepare
from trainables.kit.engine.preview import run_preview
from trainables.kit.engine.ranks import Ranks
from trainables.kit.engine.train import (
    StageCancelled,
    load_model,
    read_replay,
    replay_epoch,
    replay_result,
    run_stage,
)
from trainables.kit.engine.weights import load_into, load_weights
from trainables.systems import SYSTEMS, load_system
from trainables.toy.config import ToyConfig

ONE_EPOCH = {"epochs": 1, "batch_size": 12}
TWO_EPOCHS = {"epochs": 2, "batch_size": 12}


@dataclass(frozen=True)
class Case:
    """A system, a configuration that trains in a second, and a change that only the stages from ``joint`` on see.

    ``everything``: a stage that is measured with everything on. ``thresholds``: whether higher knobs can only cost less.
    ``last``: the stage that a trial ends with.
    """

    system: System
    config: Any
    later: Any
    everything: str = "weighted_fusion"
    thresholds: bool = True
    last: str = "finetune"

    @property
    def warm(self) -> Any:
        """The same at another temperature."""
        raw = self.config.model_dump(mode="json", by_alias=True)
        return self.system.Config.model_validate(merged(raw, {"temperature": {"initial": 0.5}}))


def adafuse(clips: Path) -> Case:
    stages = dict.fromkeys(("warmup", "baseline"), ONE_EPOCH)
    raw = {"stages": {**stages, "joint": TWO_EPOCHS}, "data": {"segments": {"train": 4, "test": 4}}}
    later = merged(raw, {"lambda": 0.3})
    return Case(
        load_system("adafuse"),
        adafuse_config(raw, str(clips)),
        adafuse_config(later, str(clips)),
        everything="plain",
        thresholds=False,
        last="joint",
    )


def adamml(clips: Path) -> Case:
    stages = dict.fromkeys(("unimodal", "warmup", "finetune", "fusion", "random"), ONE_EPOCH)
    raw = {"stages": {**stages, "joint": TWO_EPOCHS}, "data": {"segments": {"test": 5}}}
    later = merged(raw, {"lambda": {"rgb": 0.3}})
    return Case(load_system("adamml"), tiny_config(raw, str(clips)), tiny_config(later, str(clips)))


def arnet(clips: Path) -> Case:
    stages = dict.fromkeys(("warmup", "finetune", "baseline"), ONE_EPOCH)
    raw = {"stages": {**stages, "joint": TWO_EPOCHS}, "data": {"segments": {"train": 4, "test": 4}}}
    later = merged(raw, {"alpha": 0.3})
    return Case(
        load_system("arnet"),
        arnet_config(raw, str(clips)),
        arnet_config(later, str(clips)),
        everything="uniform",
        thresholds=False,
    )


def toy(clips: Path) -> Case:
    return Case(load_system("toy"), ToyConfig(), ToyConfig.model_validate({"lambda": {"rgb": 0.3}}))


CASES = {"adafuse": adafuse, "adamml": adamml, "arnet": arnet, "toy": toy}


def test_every_system_has_a_case():
    assert set(CASES) == set(SYSTEMS)


@pytest.fixture(scope="module", params=sorted(SYSTEMS))
def case(request: pytest.FixtureRequest, clips: Path) -> Case:
    return CASES[request.param](clips)


def all_stages(case: Case, config: Any) -> list[Any]:
    stages = {stage.name: stage for stage in case.system.stages(config)}
    for chain in case.system.baseline_stages(config).values():
        stages |= {stage.name: stage for stage in chain}
    return list(stages.values())


@dataclass(frozen=True)
class TrainedCase:
    case: Case
    jobs: dict[str, Any]
    results: dict[str, Path]
    cache: Path


@pytest.fixture(scope="module")
def trained(case: Case, tmp_path_factory: pytest.TempPathFactory, media_cache: Path) -> TrainedCase:
    torch.set_num_threads(1)
    root = tmp_path_factory.mktemp(case.system.name)
    jobs, results = {}, {}
    for job in stage_jobs(case.system, case.config, seed=0, ranks=1, stages=all_stages(case, case.config)):
        parents = {name: results[name] for name in job.parents}
        jobs[job.stage] = job
        results[job.stage] = run_stage(
            job, work=root / job.key, parents=parents, cache=media_cache, on_epoch=lambda report: True
        )
    return TrainedCase(case, jobs, results, media_cache)


@pytest.mark.parametrize("name", sorted(SYSTEMS))
def test_declarations_import_no_torch(name):
    module = SYSTEMS[name].partition(":")[0]
    code = f"import sys, {module}; print('torch' in sys.modules, 'ray' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


def test_every_preset_is_a_valid_configuration(case):
    for preset in ("tiny", "paper"):
        raw = dict(case.system.presets[preset])
        if case.system.name != "toy":
            raw["data"] = {**raw["data"], "manifest": "unused.jsonl"}
        case.system.Config.model_validate(raw)


def test_stages_come_after_their_parents_and_jobs_are_json(case):
    seen = set()
    for stage in all_stages(case, case.config):
        assert set(stage.after) <= seen
        seen.add(stage.name)
    for job in stage_jobs(case.system, case.config, seed=0, ranks=1, stages=case.system.stages(case.config)):
        json.dumps(dataclasses.asdict(job))


def test_a_change_of_lambda_leaves_the_stages_before_joint_shared(case):
    keys = [
        {job.stage: job.key for job in stage_jobs(case.system, c, seed=0, ranks=1, stages=case.system.stages(c))}
        for c in (case.config, case.later)
    ]
    changed = {stage for stage in keys[0] if keys[0][stage] != keys[1][stage]}
    assert changed == {"joint", case.last}


def test_every_trained_stage_changes_only_what_it_declares(trained):
    for name, job in trained.jobs.items():
        stage = find_stage(trained.case.system, trained.case.config, name)
        before = {}
        for parent in stage.after:
            before |= load_weights(trained.results[parent] / "weights.safetensors")
        after = load_weights(trained.results[name] / "weights.safetensors")
        prefixes = tuple(prefix for p in stage.passes for prefix in p.trains)
        for tensor_name in set(before) & set(after):
            trained_here = any(tensor_name == p or tensor_name.startswith(p + ".") for p in prefixes)
            if not trained_here:
                assert torch.equal(before[tensor_name], after[tensor_name]), (job.stage, tensor_name)


def test_all_on_costs_the_counted_total_and_random_about_half(trained):
    case = trained.case
    cost = case.system.cost(case.config, len(read(trained, case.everything)["classes"]))
    fused = table(trained, case.everything).score([{}])
    for convention in CONVENTIONS:
        assert fused.gmacs_PB[convention].mean() == pytest.approx(cost.all_on_gmacs(convention))
    for name in {"random_both", "random_test"} & set(trained.jobs):
        rates = table(trained, name).score([{}]).rate_PB
        assert all(0.3 < rate.mean() < 0.7 for rate in rates.values())


def test_measured_cost_equals_the_closed_form_at_the_measured_rates(trained):
    case = trained.case
    cost = case.system.cost(case.config, len(read(trained, trained.case.last)["classes"]))
    scored = table(trained, trained.case.last).score([{}])
    rates = {site: float(rate.mean()) for site, rate in scored.rate_PB.items()}
    for convention in CONVENTIONS:
        assert scored.gmacs_PB[convention].mean() == pytest.approx(cost.at_rates_gmacs(convention, rates), rel=1e-6)


def test_lower_thresholds_never_cost_less(trained):
    if not trained.case.thresholds:
        pytest.skip("the knobs of this system are no thresholds")
    scored = table(trained, trained.case.last).score(
        [{knob.name: value for knob in trained.case.system.knobs(trained.case.config)} for value in (0.1, 0.5, 0.9)]
    )
    gmacs_P = scored.gmacs_PB["full"].mean(1)
    assert (np.diff(gmacs_P) <= 1e-12).all()


def test_a_stored_checkpoint_measures_as_it_did_in_training(trained):
    epoch = read(trained, trained.case.last)["epochs"] - 1
    before = table(trained, trained.case.last).score([{}])
    job, result = trained.jobs[trained.case.last], trained.results[trained.case.last]
    again = replay_epoch(job, result, epoch, "val", cache=trained.cache).score([{}])
    np.testing.assert_array_equal(before.correct_PB, again.correct_PB)
    np.testing.assert_allclose(before.gmacs_PB["full"], again.gmacs_PB["full"])


def test_training_twice_gives_the_same_bits(trained, tmp_path):
    job = trained.jobs["joint"]
    parents = {name: trained.results[name] for name in job.parents}
    again = run_stage(job, work=tmp_path, parents=parents, cache=trained.cache, on_epoch=lambda report: True)
    assert (again / "weights.safetensors").read_bytes() == (
        trained.results["joint"] / "weights.safetensors"
    ).read_bytes()


def test_every_setting_of_the_knobs_is_in_the_table(trained):
    case = trained.case
    settings = [{knob.name: value} for knob in case.system.knobs(case.config) for value in (*knob.values, knob.default)]
    scored = table(trained, trained.case.last).score([{}, *settings])
    for convention in CONVENTIONS:
        assert np.isfinite(scored.gmacs_PB[convention]).all()
    defaults = {knob.name: knob.default for knob in case.system.knobs(case.config)}
    for p, setting in enumerate(settings, 1):
        if {**defaults, **setting} == defaults:
            np.testing.assert_array_equal(scored.correct_PB[p], scored.correct_PB[0])


def test_the_shares_that_a_table_tells_are_those_of_the_sites_and_of_the_cost(trained):
    case = trained.case
    told = set(table(trained, trained.case.last).score([{}]).rate_PB)
    assert told == {share for site in case.system.sites(case.config) for share in site.shares}
    assert told == set(case.system.cost(case.config, 2).per_segment_macs["full"])
    decided = table(trained, trained.case.last).decisions({})
    assert set(decided) == told
    assert all(((share >= 0) & (share <= 1)).all() for share in decided.values())


def test_the_shares_of_a_site_s_choices_add_up_to_one_and_those_that_compute_agree_with_what_was_computed(trained):
    case = trained.case
    sites = case.system.sites(case.config)
    measured = table(trained, case.last)
    found = measured.choices(sites, {})
    assert set(found) == {site.name for site in sites}
    used, never_changes = measured.decisions({}), measured.steady(sites, {})
    assert set(never_changes) == set(found)
    for site in sites:
        assert (never_changes[site.name] <= found[site.name].min(1) + 1e-6).all()
        assert found[site.name].shape[2] == len(site.choices)
        np.testing.assert_allclose(found[site.name].sum(-1), 1, atol=1e-5)
        for a, choice in enumerate(site.choices):
            if choice in used:  # a resolution: it is computed where it was chosen
                np.testing.assert_array_equal(found[site.name][:, :, a], used[choice])
            if site.told and site.told[a] is not None:
                np.testing.assert_allclose(found[site.name][:, :, a], used[site.told[a]], atol=1e-6)


def test_headroom_is_told_from_the_stages_before_any_decision(trained):
    case = trained.case
    stages = case.system.headroom_stages(case.config)
    assert stages
    results = [trained.results[stage] for stage in stages]
    job = trained.jobs[stages[0]]
    mode = case.system.headroom_mode
    measured = replay_result(job, results, split="val", mode=mode, cache=trained.cache)
    classes = len(read(trained, stages[0])["classes"])
    everything = measured.score([{}])
    all_on = case.system.cost(case.config, classes).all_on_gmacs("full")
    assert everything.gmacs_PB["full"].mean() == pytest.approx(all_on, rel=1e-6)
    rules = case.system.headroom(case.config, measured, classes)
    assert {"random", "confident", "oracle"} == set(rules)
    oracle = rules["oracle"].correct_PB.mean(1)
    assert (np.diff(oracle) >= 0).all() and oracle[0] == 0
    assert (everything.correct_PB[0] <= rules["oracle"].correct_PB[-1]).all()


def test_time_is_measured_by_parts_that_sites_pay_for(case):
    files = list(case.system.val_files(case.config).values())[:1]
    if not files:
        with pytest.raises(UserError, match="no measurement of time"):
            case.system.measure_time(case.config, 4, files)
        return
    timed = case.system.measure_time(case.config, 4, files)
    shares = {share for site in case.system.sites(case.config) for share in site.shares}
    assert {site for part in timed.parts for site in part.sites} == shares
    assert {part.kind for part in timed.parts} == {"network", "preprocess"}
    nothing, everything = dict.fromkeys(shares, 0.0), case.system.cost(case.config, 4).all_on_rates
    assert timed.network_s(everything, policy=False) > timed.network_s(nothing, policy=False) == 0
    assert timed.total_s(everything, policy=True) > timed.network_s(everything, policy=True) > 0


def test_a_table_read_back_says_the_same(trained):
    stored = table(trained, trained.case.last)
    again = trained.case.system.replay_from(stored.arrays(), trained.case.config)
    np.testing.assert_array_equal(again.score([{}]).correct_PB, stored.score([{}]).correct_PB)
    np.testing.assert_array_equal(again.video_logits({}), stored.video_logits({}))
    np.testing.assert_array_equal(again.truth_BC, stored.truth_BC)
    assert tuple(again.video_ids) == tuple(stored.video_ids)


def test_a_run_that_was_cut_off_ends_with_the_same_bits(trained, tmp_path):
    job = trained.jobs["joint"]
    parents = {name: trained.results[name] for name in job.parents}
    with pytest.raises(StageCancelled):
        run_stage(job, work=tmp_path, parents=parents, cache=trained.cache, on_epoch=lambda report: False)
    again = run_stage(job, work=tmp_path, parents=parents, cache=trained.cache, on_epoch=lambda report: True)
    whole = trained.results["joint"] / "weights.safetensors"
    assert (again / "weights.safetensors").read_bytes() == whole.read_bytes()


def test_temperature_changes_gradients_and_no_hard_draw(trained):
    """The first step of the stage that learns to decide: equal losses, which hard draws alone make."""
    case = trained.case
    first, second = (first_policy_step(trained, config) for config in (case.config, case.warm))
    assert float(first.total.detach()) == pytest.approx(float(second.total.detach()), rel=1e-6)
    rates = [name for name in first.logs if name.startswith("rate.")]
    assert all(float(first.logs[name]) == pytest.approx(float(second.logs[name])) for name in rates)


def test_every_part_that_decides_gets_a_finite_gradient_that_is_not_zero(trained):
    if trained.case.system.name == "toy":
        pytest.skip("the toy's policy learns in closed form")
    model = fresh_model(trained, trained.case.config)
    first_policy_step(trained, trained.case.config, model).total.backward()
    gradients = {
        name: p.grad for name, p in model.named_parameters() if p.grad is not None and name.startswith("policy.")
    }
    assert gradients
    assert all(torch.isfinite(gradient).all() for gradient in gradients.values())
    norms = {name: float(gradient.norm()) for name, gradient in gradients.items() if name.endswith("weight")}
    assert all(norm > 0 for norm in norms.values()), norms


def fresh_model(trained: TrainedCase, config: Any) -> torch.nn.Module:
    classes = len(read(trained, "joint")["classes"])
    torch.manual_seed(0)
    model = trained.case.system.build(config, classes)
    for parent in trained.jobs["joint"].parents:
        load_into(model, load_weights(trained.results[parent] / "weights.safetensors"))
    return model.eval()


def first_policy_step(trained: TrainedCase, config: Any, model: torch.nn.Module | None = None) -> Loss:
    system = trained.case.system
    stage = find_stage(system, config, "joint")
    data = open_for(system, trained.jobs["joint"], trained.cache)
    batch = next(
        iter(
            data.train_batches(
                modalities=stage.modalities, segments=stage.segments, batch_size=stage.batch_size, draw=(0, 0, 0)
            )
        )
    )
    context = StepContext(stage="joint", pass_name=stage.passes[-1].name, epoch=0, epochs=stage.epochs, noise=11)
    return system.step(model or fresh_model(trained, config), config, batch, context)


def test_weights_load_into_a_fresh_network(trained):
    case = trained.case
    info = read(trained, trained.case.last)
    model = load_model(
        case.system, case.config, trained.results[case.last] / "weights.safetensors", classes=len(info["classes"])
    )
    assert not model.training


def read(trained: TrainedCase, stage: str) -> dict[str, Any]:
    return json.loads((trained.results[stage] / "stage.json").read_text())


def table(trained: TrainedCase, stage: str):
    epochs = read(trained, stage)["epochs"]
    return read_replay(trained.jobs[stage], trained.results[stage], max(1, epochs) - 1, "val")


def test_a_preview_is_made_from_its_table_alone_and_twice_the_same(trained, tmp_path):
    case = trained.case
    previews = case.system.preview_stages(case.config)
    if not previews:
        pytest.skip("the system has no previews")
    assert tuple(stage.name for stage in previews) == PREVIEW_STAGES
    assert sum(stage.training_passes for stage in previews) == 0
    stages = (*case.system.stages(case.config), *previews)
    table, preview = stage_jobs(case.system, case.config, seed=0, ranks=1, stages=stages)[-2:]
    parents = {name: trained.results[name] for name in table.parents}
    result = run_preview(table, work=tmp_path / "table", parents=parents, cache=trained.cache, ranks=Ranks())
    first, second = (
        run_preview(preview, work=tmp_path / name, parents={table.stage: result}, cache=tmp_path, ranks=Ranks())
        for name in ("first", "second")
    )
    found = read_replay(preview, first, 0, "val")
    assert tuple(found.video_ids) == tuple(open_for(case.system, table, trained.cache).ids("val"))
    again = read_replay(preview, second, 0, "val").arrays()
    assert all((array == again[name]).all() for name, array in found.arrays().items())


def test_the_weights_that_move_a_trial_along_the_front_act_in_the_stage_that_can_be_forked(case: Case):
    assert case.system.trade_off(case.config)
    stages = case.system.stages(case.config)
    (forkable,) = [stage.name for stage in stages if stage.forkable]
    keys = [
        {job.stage: job.key for job in stage_jobs(case.system, c, seed=0, ranks=1, stages=case.system.stages(c))}
        for c in (case.config, case.later)
    ]
    names = [stage.name for stage in stages]
    first = next(name for name in names if keys[0][name] != keys[1][name])
    assert first == forkable, "an earlier stage depends on the weights"


def test_a_fork_starts_from_the_other_trials_weights_and_trains_its_share_under_a_key_of_its_own(
    trained: TrainedCase, tmp_path: Path
):
    case = trained.case
    (stage,) = [stage for stage in case.system.stages(case.later) if stage.forkable]
    origin = trained.jobs[stage.name]
    fork, anew = (
        stage_jobs(case.system, case.later, seed=0, ranks=1, stages=[s], before=list(trained.jobs.values()))[0]
        for s in (forked(stage, 1), stage)
    )
    assert dict(fork.parents) == {stage.name: origin.key}
    assert len({fork.key, anew.key, origin.key}) == 3
    assert fork.training_passes == len(stage.passes)

    parents = {stage.name: trained.results[stage.name]}
    state = load_weights(parents[stage.name] / "weights.safetensors")
    run = prepare(fork, parents=parents, cache=trained.cache, ranks=Ranks())
    assert all(torch.equal(run.model.state_dict()[name], value) for name, value in state.items())
    assert (run.stage.epochs, run.stage.full_epochs) == (1, stage.epochs)

    told = []
    result = run_stage(
        fork, work=tmp_path, parents=parents, cache=trained.cache, on_epoch=lambda report: told.append(report) or True
    )
    assert [(report.epoch, report.epochs) for report in told] == [(0, 1)]
    after = load_weights(result / "weights.safetensors")
    assert after.keys() == state.keys()
    assert any(not torch.equal(after[name], value) for name, value in state.items())
    assert json.loads((result / "stage.json").read_text())["parents"] == {stage.name: origin.key}


def test_a_fork_runs_through_the_whole_schedules_and_ends_where_they_end(case: Case):
    (stage,) = [stage for stage in case.system.stages(case.config) if stage.forkable]
    optimiser = dataclasses.replace(stage.passes[0].optimiser, schedule="multistep", milestones=(8, 16))
    full = dataclasses.replace(stage, epochs=20, passes=(dataclasses.replace(stage.passes[0], optimiser=optimiser),))
    fork = forked(full, 5)
    assert [schedule_epoch(fork, epoch) for epoch in range(5)] == [3, 7, 11, 15, 19]
    assert [schedule_epoch(forked(full, 3), epoch) for epoch in range(3)] == [6, 13, 19]
    assert [schedule_epoch(full, epoch) for epoch in (0, 19)] == [0, 19]
    assert fork.passes[0].optimiser.milestones == (2, 4)
