"""AdaMML's networks and training steps, on random inputs and closed forms."""

from dataclasses import replace

import pytest
import torch

from tests.trainables.adamml_parts import context, new_model, random_batch, tiny_config
from trainables.adamml.model import fuse
from trainables.adamml.steps import step
from trainables.adamml.system import AdaMMLSystem

CLASSES = 4
CONFIG = tiny_config()


@pytest.fixture
def model():
    return new_model(CONFIG)


def test_chosen_logits_equal_dense_logits_where_used_and_zero_elsewhere(model):
    model.eval()
    batch = random_batch(CONFIG, videos=3, segments=4)
    use_BSM = (torch.rand(3, 4, 2, generator=torch.Generator().manual_seed(1)) < 0.5).float()
    with torch.no_grad():
        dense = model.all_logits(batch.inputs) * use_BSM[..., None]
        sparse = model.chosen_logits(batch.inputs, use_BSM)
    torch.testing.assert_close(sparse, dense)


def test_nothing_chosen_gives_zeros_and_no_error(model):
    batch = random_batch(CONFIG, videos=2, segments=3)
    logits = model.chosen_logits(batch.inputs, torch.zeros(2, 3, 2))
    assert torch.equal(logits, torch.zeros(2, 3, 2, CLASSES))


def test_all_on_equals_the_plain_networks_fused_by_hand(model):
    model.eval()
    batch = random_batch(CONFIG, videos=2, segments=3)
    with torch.no_grad():
        fused = fuse(model.contributions(model.all_logits(batch.inputs)), torch.ones(2, 3, 2))
        by_hand = sum(0.5 * model.recognise(m, batch.inputs[m]).mean(1) for m in ("rgb", "audio"))
    torch.testing.assert_close(fused, by_hand)


def test_policy_pass_gives_every_head_a_finite_non_zero_gradient(model):
    batch = random_batch(CONFIG, videos=4, segments=3)
    for part in (model.recognition, model.fusion):
        part.requires_grad_(False)
    step(model, CONFIG, batch, context("joint", "policy")).total.backward()
    for name, parameter in model.policy.heads.named_parameters():
        assert torch.isfinite(parameter.grad).all(), name
        assert parameter.grad.abs().sum() > 0, name
    assert all(p.grad is None for p in model.recognition.parameters())


def test_recognition_pass_leaves_the_policy_without_gradient(model):
    batch = random_batch(CONFIG, videos=4, segments=3)
    step(model, CONFIG, batch, context("warmup", "recognition")).total.backward()
    assert all(p.grad is None for p in model.policy.parameters())
    assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in model.recognition.parameters())


def test_an_absent_modality_is_never_used(model):
    batch = random_batch(CONFIG, videos=4, segments=3, absent="audio")
    logs = step(model, CONFIG, batch, context("warmup", "recognition")).logs
    assert float(logs["rate.audio"]) == 0.0
    assert float(logs["rate.rgb"]) > 0.0


@pytest.mark.parametrize("stage", ["warmup", "random_both", "random_train.joint"])
def test_a_video_gets_the_same_decisions_whatever_batch_it_is_in(model, stage):
    from trainables.adamml.steps import _decisions, segment_keys

    model.eval()
    batch = random_batch(CONFIG, videos=6, segments=3)
    part = replace(
        batch,
        inputs={name: x[3:5] for name, x in batch.inputs.items()},
        label_B=batch.label_B[3:5],
        present_BSM=batch.present_BSM[3:5],
        index_B=batch.index_B[3:5],
    )
    where = context(stage, "recognition")
    whole = _decisions(model, CONFIG, batch, where, segment_keys(batch, where.noise))
    alone = _decisions(model, CONFIG, part, where, segment_keys(part, where.noise))
    assert torch.equal(whole[3:5], alone)
    assert 0 < whole.mean() < 1


def test_random_training_draws_a_fair_coin(model):
    from trainables.adamml.steps import _decisions, segment_keys

    batch = random_batch(CONFIG, videos=300, segments=3)
    where = context("random_both", "recognition")
    use_BSM = _decisions(model, CONFIG, batch, where, segment_keys(batch, where.noise))
    assert use_BSM.mean().item() == pytest.approx(0.5, abs=0.04)


def test_initial_weights_of_a_net_do_not_depend_on_the_other_nets():
    one = new_model(CONFIG)
    other = new_model(tiny_config({"recognition": {"rgb": {"backbone": "small_conv", "widths": [4, 8]}}}))
    for a, b in zip(one.recognition["audio"].parameters(), other.recognition["audio"].parameters(), strict=True):
        assert torch.equal(a, b)


def test_the_policy_sees_the_stand_in_and_recognition_the_modality():
    config = tiny_config({"data": {"modalities": ["rgb", "flow"]}, "policy": {"sees": {"flow": "rgbdiff"}}})
    assert config.data.also == ("rgbdiff",)
    model = new_model(config).eval()
    batch = random_batch(config, videos=2, segments=3)
    other_flow = {**batch.inputs, "flow": batch.inputs["flow"] + 1}
    other_difference = {**batch.inputs, "rgbdiff": batch.inputs["rgbdiff"] + 1}
    with torch.no_grad():
        assert torch.equal(model.policy(batch.inputs), model.policy(other_flow))
        assert not torch.equal(model.policy(batch.inputs), model.policy(other_difference))
        assert not torch.equal(model.all_logits(batch.inputs), model.all_logits(other_flow))
        assert torch.equal(model.all_logits(batch.inputs), model.all_logits(other_difference))
    loss = step(model, config, batch, context("warmup", "recognition"))
    assert set(loss.logs) == {"accuracy", "rate.rgb", "rate.flow"}


def test_paper_preset_takes_a_policy_step_on_one_short_video():
    raw = {**AdaMMLSystem.presets["paper"]}
    raw = {**raw, "data": {**raw["data"], "manifest": "unused.jsonl"}, "recognition": {}, "policy": {}}  # no weights
    config = AdaMMLSystem.Config.model_validate(raw)
    batch = random_batch(config, videos=1, segments=2)
    assert batch.inputs["rgb"].shape == (1, 2, 8, 3, 224, 224)
    assert batch.inputs["audio"].shape == (1, 2, 1, 1, 256, 256)
    model = new_model(config, 31)
    loss = step(model, config, batch, context("joint", "policy")).total
    loss.backward()
    assert torch.isfinite(loss)
    assert all(torch.isfinite(p.grad).all() for p in model.policy.parameters() if p.grad is not None)


@pytest.mark.parametrize("mode", ["sparse", "dense"])
@pytest.mark.parametrize(
    ("stage", "pass_name"), [("unimodal.rgb", "recognition"), ("warmup", "recognition"), ("joint", "policy")]
)
def test_a_step_in_bfloat16_gives_float32_gradients_near_those_of_float32(mode, stage, pass_name):
    config = tiny_config({"compute": {"mode": mode}})
    batch = random_batch(config, videos=4, segments=3)
    if stage.startswith("unimodal."):
        batch = replace(batch, present_BSM=batch.present_BSM[..., :1])
    losses = []
    for enabled in (False, True):
        model = new_model(config).eval()
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled, cache_enabled=False):
            loss = step(model, config, batch, context(stage, pass_name)).total
        loss.backward()
        assert all(p.grad.dtype == torch.float32 for p in model.parameters() if p.grad is not None)
        losses.append(loss.item())
    assert losses[1] == pytest.approx(losses[0], rel=0.05)
