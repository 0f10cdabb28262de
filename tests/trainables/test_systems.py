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

from tests.trainables.adamml_parts import merged, tiny_config
from trainables.contract import CONVENTIONS, System
from trainables.kit.engine.keys import find_stage, stage_jobs
from trainables.kit.engine.train import load_model, read_replay, replay_epoch, run_stage
from trainables.kit.engine.weights import load_weights
from trainables.systems import SYSTEMS, load_system
from trainables.toy.config import ToyConfig

ONE_EPOCH = {"epochs": 1, "batch_size": 12}
SHORT = dict.fromkeys(("unimodal", "warmup", "joint", "finetune", "fusion", "random"), ONE_EPOCH)


@dataclass(frozen=True)
class Case:
    """A system, a configuration that trains in a second, and a change that only the stages from ``joint`` on see."""

    system: System
    config: Any
    later: Any


@pytest.fixture(scope="module", params=sorted(SYSTEMS))
def case(request: pytest.FixtureRequest, clips: Path) -> Case:
    system = load_system(request.param)
    if request.param == "toy":
        return Case(system, ToyConfig(), ToyConfig.model_validate({"lambda": {"rgb": 0.3}}))
    raw = {"stages": SHORT, "data": {"segments": {"test": 5}}}
    later = merged(raw, {"lambda": {"rgb": 0.3}})
    return Case(system, tiny_config(raw, str(clips)), tiny_config(later, str(clips)))


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
    assert changed == {"joint", "finetune"}


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
    cost = case.system.cost(case.config, len(read(trained, "weighted_fusion")["classes"]))
    fused = table(trained, "weighted_fusion").score([{}])
    for convention in CONVENTIONS:
        assert fused.gmacs_PB[convention].mean() == pytest.approx(cost.all_on_gmacs(convention))
    for name in {"random_both", "random_test"} & set(trained.jobs):
        rates = table(trained, name).score([{}]).rate_PB
        assert all(0.3 < rate.mean() < 0.7 for rate in rates.values())


def test_measured_cost_equals_the_closed_form_at_the_measured_rates(trained):
    case = trained.case
    cost = case.system.cost(case.config, len(read(trained, "finetune")["classes"]))
    scored = table(trained, "finetune").score([{}])
    rates = {site: float(rate.mean()) for site, rate in scored.rate_PB.items()}
    for convention in CONVENTIONS:
        assert scored.gmacs_PB[convention].mean() == pytest.approx(cost.at_rates_gmacs(convention, rates), rel=1e-6)


def test_lower_thresholds_never_cost_less(trained):
    scored = table(trained, "finetune").score(
        [{knob.name: value for knob in trained.case.system.knobs(trained.case.config)} for value in (0.1, 0.5, 0.9)]
    )
    gmacs_P = scored.gmacs_PB["full"].mean(1)
    assert (np.diff(gmacs_P) <= 1e-12).all()


def test_a_stored_checkpoint_measures_as_it_did_in_training(trained):
    epoch = read(trained, "finetune")["epochs"] - 1
    before = table(trained, "finetune").score([{}])
    job, result = trained.jobs["finetune"], trained.results["finetune"]
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


def test_weights_load_into_a_fresh_network(trained):
    case = trained.case
    info = read(trained, "finetune")
    model = load_model(
        case.system, case.config, trained.results["finetune"] / "weights.safetensors", classes=len(info["classes"])
    )
    assert not model.training


def read(trained: TrainedCase, stage: str) -> dict[str, Any]:
    return json.loads((trained.results[stage] / "stage.json").read_text())


def table(trained: TrainedCase, stage: str):
    epochs = read(trained, stage)["epochs"]
    return read_replay(trained.jobs[stage], trained.results[stage], max(1, epochs) - 1, "val")
