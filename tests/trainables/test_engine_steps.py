"""What a step of the engine does with its batch: parts, precision, noise; and stages that train nothing."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.trainables.small_system import CLASSES, SITES, SmallConfig, SmallNet, SmallSystem
from trainables.contract import Batch, Loss, Stage, StageJob, StepContext
from trainables.errors import StageFailed
from trainables.kit.engine.files import epoch_folder, read_arrays
from trainables.kit.engine.keys import stage_jobs
from trainables.kit.engine.measure import chosen_epoch
from trainables.kit.engine.resume import RESUME_FILE
from trainables.kit.engine.train import EpochReport, read_replay, replay_epoch, run_stage
from trainables.kit.engine.weights import load_weights
from trainables.kit.noise import mix

SMALL = SmallSystem()


def jobs_of(system: SmallSystem = SMALL, **fields: Any) -> tuple[StageJob, ...]:
    config = SmallConfig.model_validate(fields)
    return stage_jobs(system, config, seed=0, ranks=1, stages=system.stages(config))


def train(work: Path, job: StageJob, **parents: Path) -> tuple[Path, list[EpochReport]]:
    reports: list[EpochReport] = []
    result = run_stage(
        job, work=work, parents=parents, cache=work, on_epoch=lambda report: reports.append(report) or True
    )
    return result, reports


@pytest.mark.parametrize("accumulate", [2, 4])
def test_a_batch_computed_in_parts_gives_the_update_and_the_logs_of_the_whole(tmp_path, accumulate):
    whole, whole_reports = train(tmp_path / "whole", jobs_of(batch_size=9)[0])
    parts, parts_reports = train(tmp_path / "parts", jobs_of(batch_size=9, accumulate=accumulate)[0])
    expected = load_weights(whole / "weights.safetensors")
    for name, tensor in load_weights(parts / "weights.safetensors").items():
        torch.testing.assert_close(tensor, expected[name], rtol=0, atol=1e-6)
    for one, other in zip(whole_reports, parts_reports, strict=True):
        assert one.metrics == pytest.approx(other.metrics, abs=1e-5)


class Watching(SmallSystem):
    """Writes down what each step is given."""

    def __init__(self) -> None:
        self.seen.clear()

    seen: list[tuple[StepContext, int]] = []

    def step(self, model: torch.nn.Module, config: SmallConfig, batch: Batch, context: StepContext) -> Loss:
        self.seen.append((context, len(batch.index_B)))
        return super().step(model, config, batch, context)


def test_noise_is_one_number_a_pass_and_parts_hold_at_least_two_videos(tmp_path):
    train(tmp_path, jobs_of(Watching(), batch_size=4, accumulate=8, epochs=1)[0])
    assert [videos for _, videos in Watching.seen] == [2, 2, 2, 2, 3] * 2
    by_pass = {c.pass_name: {x.noise for x, _ in Watching.seen if x.pass_name == c.pass_name} for c, _ in Watching.seen}
    assert by_pass == {"recognition": {mix(0, 0, 0)}, "policy": {mix(0, 0, 1)}}


def test_bfloat16_steps_keep_float32_weights_and_optimisers_and_measure_in_float32(tmp_path):
    job = jobs_of(precision="bfloat16")[0]
    result, _ = train(tmp_path / "half", job)
    exact, _ = train(tmp_path / "full", jobs_of()[0])
    half, full = (load_weights(folder / "weights.safetensors") for folder in (result, exact))
    assert {tensor.dtype for tensor in half.values() if tensor.is_floating_point()} == {torch.float32}
    assert not torch.equal(half["recognition.head.weight"], full["recognition.head.weight"])
    torch.testing.assert_close(half["recognition.head.weight"], full["recognition.head.weight"], rtol=0.1, atol=0.1)
    _, _, body = (tmp_path / "half" / RESUME_FILE).read_bytes().partition(b"\n")  # a line that describes it comes first
    state = torch.load(io.BytesIO(body), weights_only=True)
    kept = [t for o in state["optimisers"] for s in o["torch"]["state"].values() for t in s.values()]
    assert {t.dtype for t in kept if isinstance(t, torch.Tensor)} == {torch.float32}
    stored = read_arrays(epoch_folder(result, 1) / "val.safetensors")
    again = replay_epoch(job, result, 1, "val", cache=tmp_path).arrays()  # a fresh network from the stored weights
    assert all((stored[name] == again[name]).all() for name in stored)


class NoGradFirst(SmallSystem):
    """The same layer without and then with gradients in one step."""

    def step(self, model: torch.nn.Module, config: SmallConfig, batch: Batch, context: StepContext) -> Loss:
        assert isinstance(model, SmallNet)
        with torch.no_grad():
            model.logits(batch.inputs["x"])
            model.use(batch.inputs["x"])
        return super().step(model, config, batch, context)


def test_a_forward_without_gradients_before_the_real_one_loses_no_gradient_under_autocast(tmp_path):
    plain, _ = train(tmp_path / "plain", jobs_of(precision="bfloat16")[0])
    twice, _ = train(tmp_path / "twice", jobs_of(NoGradFirst(), precision="bfloat16")[0])
    assert (plain / "weights.safetensors").read_bytes() == (twice / "weights.safetensors").read_bytes()


def test_accumulation_and_precision_are_in_the_key():
    keys = {jobs_of(**fields)[0].key for fields in ({}, {"accumulate": 2}, {"precision": "bfloat16"})}
    assert len(keys) == 3


def test_what_no_video_uses_is_not_decayed(tmp_path):
    result, _ = train(tmp_path, jobs_of()[0])
    assert load_weights(result / "weights.safetensors")["recognition.unused"].tolist() == [1.0, 1.0]


def test_a_stage_without_epochs_is_measured_once_in_its_mode_and_hands_on_what_it_got(tmp_path):
    first, again = jobs_of()
    before, _ = train(tmp_path / "first", first)
    result, reports = train(tmp_path / "again", again, first=before)
    assert [(report.epoch, report.epochs) for report in reports] == [(0, 0)]
    assert again.training_passes == 0
    expected = load_weights(before / "weights.safetensors")
    for file in (result / "weights.safetensors", epoch_folder(result, 0) / "weights.safetensors"):
        found = load_weights(file)
        assert found.keys() == expected.keys()
        assert all(torch.equal(found[name], expected[name]) for name in expected)
    info = json.loads((result / "stage.json").read_text())
    assert [set(metrics) >= {"val.accuracy", "val.gflops.full"} for metrics in info["metrics"]] == [True]
    table = read_replay(again, result, 0, "val")
    assert set(table.arrays()["probability_BSM"].ravel().tolist()) == {0.0, 1.0}


def test_a_stage_without_parents_starts_from_the_state_that_the_system_reads(tmp_path):
    started, _ = train(tmp_path / "a", jobs_of(start=5.0, epochs=0)[0])
    assert load_weights(started / "weights.safetensors")["recognition.head.bias"].tolist() == [5.0] * CLASSES
    trained, _ = train(tmp_path / "b", jobs_of(start=5.0, epochs=1)[0])
    assert load_weights(trained / "weights.safetensors")["recognition.head.bias"].mean() > 4


def test_the_next_stage_starts_from_the_epoch_that_the_objective_chooses(tmp_path):
    result, reports = train(tmp_path, jobs_of(epochs=5, select="best_objective")[0])
    objective = [report.metrics["val.objective"] for report in reports]
    best = objective.index(max(objective))
    info = json.loads((result / "stage.json").read_text())
    assert info["chosen_epoch"] == best
    chosen = epoch_folder(result, best) / "weights.safetensors"
    assert (result / "weights.safetensors").read_bytes() == chosen.read_bytes()


def test_of_equally_good_epochs_the_first_is_chosen():
    stage = Stage(name="s", epochs=3, passes=(), batch_size=1, segments=1, modalities=SITES, select="best_accuracy")
    assert chosen_epoch(stage, [{"val.accuracy": value} for value in (0.1, 0.7, 0.7)]) == 1


class Broken(SmallSystem):
    """The loss is finite, the network's output in eval mode is not."""

    def build(self, config: SmallConfig, classes: int) -> torch.nn.Module:
        net = SmallNet()
        norm = net.recognition["body"][1]
        assert isinstance(norm, torch.nn.BatchNorm1d) and norm.running_var is not None
        norm.running_var.fill_(float("nan"))
        return net


def test_an_output_that_is_not_finite_fails_the_stage_instead_of_becoming_a_point(tmp_path):
    with pytest.raises(StageFailed, match="not finite"):
        train(tmp_path, jobs_of(Broken(), epochs=0)[0])


def test_what_a_killed_process_was_writing_is_not_published(tmp_path):
    job = jobs_of()[0]
    result, _ = train(tmp_path, job)
    leftover = epoch_folder(result, 1) / ".val.safetensors.4711"
    leftover.write_bytes(b"half a table")
    train(tmp_path, job)
    assert not leftover.exists()
    assert (epoch_folder(result, 1) / "val.safetensors").exists()
