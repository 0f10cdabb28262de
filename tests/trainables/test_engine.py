"""The training loop on the toy: closed-form curves, exact resume, cancelling, failing, keys."""

import json

import pytest
import torch

from trainables.contract import Optimiser, Pass, Stage
from trainables.errors import StageFailed
from trainables.kit.engine.files import epoch_folder
from trainables.kit.engine.keys import stage_jobs, stage_key
from trainables.kit.engine.optim import Group, PairedOptimiser, lr_at, parameter_groups
from trainables.kit.engine.resume import RESUME_FILE
from trainables.kit.engine.train import StageCancelled, read_replay, run_stage
from trainables.kit.engine.weights import load_weights
from trainables.toy import surface
from trainables.toy.config import ToyConfig
from trainables.toy.system import ToySystem

TOY = ToySystem()


def jobs_of(config: ToyConfig, seed: int = 0):
    return stage_jobs(TOY, config, seed=seed, ranks=1, stages=TOY.stages(config))


def run_all(config: ToyConfig, root, on_epoch=lambda report: True):
    results = {}
    for job in jobs_of(config):
        parents = {name: results[name] for name in job.parents}
        results[job.stage] = run_stage(job, work=root / job.key, parents=parents, cache=root, on_epoch=on_epoch)
    return results


def test_skill_follows_its_closed_form_learning_curve(tmp_path):
    config = ToyConfig()
    results = run_all(config, tmp_path)
    stages = config.stages
    steps = stages.warmup.epochs + stages.joint.epochs + stages.finetune.epochs
    learnt = load_weights(results["finetune"] / "weights.safetensors")["recognition.rgb.skill"].item()
    assert learnt == pytest.approx(surface.skill_after(steps, stages.joint.lr), rel=1e-5)


def test_every_joint_epoch_and_the_last_finetune_epoch_are_measured(tmp_path):
    config = ToyConfig()
    results = run_all(config, tmp_path)
    assert len(list((results["joint"] / "epochs").iterdir())) == config.stages.joint.epochs
    assert [f.name for f in (results["finetune"] / "epochs").iterdir()] == [f"{config.stages.finetune.epochs - 1:04d}"]
    info = json.loads((results["finetune"] / "stage.json").read_text())
    table = read_replay(jobs_of(config)[-1], results["finetune"], config.stages.finetune.epochs - 1, "val")
    assert info["metrics"][-1]["val.accuracy"] == pytest.approx(table.score([{}]).correct_PB.mean())


def test_a_run_killed_between_epochs_ends_with_the_bits_of_an_uninterrupted_one(tmp_path):
    config = ToyConfig()
    whole = run_all(config, tmp_path / "whole")
    joint = jobs_of(config)[1]
    parents = {"warmup": whole["warmup"]}

    class Killed(Exception):
        pass

    def die_after_two(report):
        if report.epoch == 1:
            raise Killed
        return True

    work = tmp_path / "killed"
    with pytest.raises(Killed):
        run_stage(joint, work=work, parents=parents, cache=tmp_path, on_epoch=die_after_two)
    seen = []
    resumed = run_stage(
        joint, work=work, parents=parents, cache=tmp_path, on_epoch=lambda report: seen.append(report.epoch) or True
    )
    assert seen == [2, 3]
    for epoch in range(config.stages.joint.epochs):
        for file in ("weights.safetensors", "val.safetensors"):
            expected = (epoch_folder(whole["joint"], epoch) / file).read_bytes()
            assert (epoch_folder(resumed, epoch) / file).read_bytes() == expected
    assert (resumed / "weights.safetensors").read_bytes() == (whole["joint"] / "weights.safetensors").read_bytes()


def test_a_resume_file_cut_short_means_starting_again_not_failing(tmp_path):
    config = ToyConfig()
    warmup = jobs_of(config)[0]
    (tmp_path / "w").mkdir()
    (tmp_path / "w" / RESUME_FILE).write_bytes(b"PK\x03\x04 cut short")
    seen = []
    run_stage(warmup, work=tmp_path / "w", parents={}, cache=tmp_path, on_epoch=lambda r: seen.append(r.epoch) or True)
    assert seen == [0, 1]


def test_an_unwanted_stage_ends_between_epochs(tmp_path):
    with pytest.raises(StageCancelled):
        run_all(ToyConfig(), tmp_path, on_epoch=lambda report: report.stage != "joint")


def test_a_nan_loss_fails_the_stage_and_names_epoch_and_step(tmp_path):
    config = ToyConfig.model_validate({"fault": {"kind": "nan"}})
    with pytest.raises(StageFailed, match="joint: the loss is nan in epoch 0"):
        run_all(config, tmp_path)


@pytest.mark.parametrize(
    ("change", "stages_that_change"),
    [
        ({"lambda": {"rgb": 0.5}}, {"joint", "finetune"}),
        ({"gamma": 5.0}, {"joint", "finetune"}),
        ({"temperature": {"initial": 1.0}}, {"joint", "finetune"}),
        ({"stages": {"finetune": {"epochs": 3}}}, {"finetune"}),
        ({"stages": {"warmup": {"lr": 0.1}}}, {"warmup", "joint", "finetune"}),
        ({"data": {"seed": 1}}, {"warmup", "joint", "finetune"}),
    ],
)
def test_keys_change_exactly_with_what_a_stage_depends_on(change, stages_that_change):
    before = {job.stage: job.key for job in jobs_of(ToyConfig())}
    after = {job.stage: job.key for job in jobs_of(ToyConfig.model_validate(change))}
    assert {stage for stage in before if before[stage] != after[stage]} == stages_that_change


def test_keys_change_with_the_seed():
    before, after = jobs_of(ToyConfig()), jobs_of(ToyConfig(), seed=1)
    assert not {job.key for job in before} & {job.key for job in after}


@pytest.mark.parametrize(
    ("spec", "step", "expected"),
    [
        (Optimiser(name="sgd", lr=0.1), 37, 0.1),
        (Optimiser(name="sgd", lr=0.1, schedule="multistep", milestones=(2, 4)), 19, 0.1),
        (Optimiser(name="sgd", lr=0.1, schedule="multistep", milestones=(2, 4)), 20, 0.01),
        (Optimiser(name="sgd", lr=0.1, schedule="multistep", milestones=(2, 4)), 40, 0.001),
        (Optimiser(name="sgd", lr=0.1, schedule="cosine"), 25, 0.05),
        (Optimiser(name="sgd", lr=0.1, schedule="one_cycle"), 0, 0.1 / 25),
        (Optimiser(name="sgd", lr=0.1, schedule="one_cycle"), 15, 0.1),
        (Optimiser(name="sgd", lr=0.1, schedule="one_cycle"), 50, 0.1e-4),
    ],
)
def test_schedules_follow_their_closed_forms(spec, step, expected):
    assert lr_at(spec, step, steps_per_epoch=10, epochs=5) == pytest.approx(expected)


def test_a_stepped_optimiser_really_uses_the_scheduled_rate():
    weight = torch.nn.Parameter(torch.zeros(1))
    spec = Optimiser(name="sgd", lr=1.0, schedule="multistep", milestones=(1,))
    optimiser = PairedOptimiser(spec, [Group(parameters=(weight,))], steps_per_epoch=1, epochs=3)
    for _ in range(2):
        optimiser.zero_grad()
        weight.sum().backward()
        optimiser.step()
    assert weight.item() == pytest.approx(-1.0 - 0.1)


class _Parts(torch.nn.Module):
    """A convolution with a bias, a batch norm and a linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm, self.linear = torch.nn.Conv2d(1, 1, 1), torch.nn.BatchNorm2d(1), torch.nn.Linear(1, 1)


RELEASED = Optimiser(name="sgd", lr=0.1, weight_decay=0.5, bias_times=2, linear_times=5, decay_biases=False)


def test_factors_and_decay_follow_what_a_parameter_is():
    model = _Parts()
    groups = parameter_groups(RELEASED, model, ("conv", "norm", "linear"))
    found = {id(p): (group.times, group.decay) for group in groups for p in group.parameters}
    assert {name: found[id(p)] for name, p in model.named_parameters()} == {
        "conv.weight": (1, 0.5),
        "conv.bias": (2, 0),
        "norm.weight": (1, 0),
        "norm.bias": (1, 0),
        "linear.weight": (5, 0.5),
        "linear.bias": (10, 0),
    }
    (one,) = parameter_groups(Optimiser(name="sgd", lr=0.1, weight_decay=0.5), model, ("conv", "linear"))
    assert (len(one.parameters), one.times, one.decay) == (4, 1, 0.5)


@pytest.mark.parametrize(("clip_norm", "moved"), [(None, 3.0), (1.5, 1.5), (20.0, 3.0)])
def test_a_gradient_that_is_too_long_is_scaled_to_the_norm(clip_norm, moved):
    weight = torch.nn.Parameter(torch.zeros(9))  # of ones: a gradient of length 3
    spec = Optimiser(name="sgd", lr=1.0, clip_norm=clip_norm)
    optimiser = PairedOptimiser(spec, [Group(parameters=(weight,))], steps_per_epoch=1, epochs=1)
    weight.sum().backward()
    optimiser.step()
    assert weight.norm().item() == pytest.approx(moved, rel=1e-5)


def test_a_resumed_optimiser_keeps_its_factors():
    spec = Optimiser(name="sgd", lr=1.0, momentum=0.9, bias_times=2)
    models = [_Parts(), _Parts()]
    models[1].load_state_dict(models[0].state_dict())
    whole, stopped = (
        PairedOptimiser(spec, parameter_groups(spec, model, ("linear",)), steps_per_epoch=1, epochs=2)
        for model in models
    )
    _steps(models[0], whole, 2)
    _steps(models[1], stopped, 1)
    resumed = PairedOptimiser(spec, parameter_groups(spec, models[1], ("linear",)), steps_per_epoch=1, epochs=2)
    resumed.load_state_dict(stopped.state_dict())
    _steps(models[1], resumed, 1)
    assert all(torch.equal(a, b) for a, b in zip(models[0].parameters(), models[1].parameters(), strict=True))


def _steps(model, optimiser, count):
    for _ in range(count):
        optimiser.zero_grad()
        model.linear(torch.ones(1, 1)).sum().backward()
        optimiser.step()


KEY_OF_OLD = (
    "1308cd3ee9efb8865c88"  # of this stage before optimisers had bias_times, linear_times, decay_biases and clip_norm
)


def test_fields_that_came_later_change_no_key_at_their_default_and_every_key_elsewhere():
    def key(**fields):
        optimiser = Optimiser(name="sgd", lr=0.1, **fields)
        stage = Stage(
            name="s",
            epochs=1,
            passes=(Pass(name="p", trains=("a",), optimiser=optimiser),),
            batch_size=2,
            segments=1,
            modalities=("rgb",),
        )
        return stage_key("system", stage, data_fingerprint="data", seed=0, ranks=1, parents={})

    assert key() == key(bias_times=1.0, linear_times=1.0, decay_biases=True, clip_norm=None) == KEY_OF_OLD
    changed = [{"bias_times": 2.0}, {"linear_times": 5.0}, {"decay_biases": False}, {"clip_norm": 20.0}]
    assert len({key(), *(key(**fields) for fields in changed)}) == 5
