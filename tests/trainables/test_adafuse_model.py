"""AdaFuse's networks and gates: what a choice gives, what it is charged, what is computed for it."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from tests.trainables.adafuse_parts import CLASSES, adafuse_config, new_model, random_batch
from trainables.adafuse.decide import at_random, bias_of, by_norm, by_policy
from trainables.adafuse.gates import before, fused, gumbel_onehot, usage_of
from trainables.adafuse.measure import Measured
from trainables.adafuse.names import CHOICES, KEEP, REUSE, SKIP, gated_blocks
from trainables.adafuse.nets.resnet import temporal_shift
from trainables.adafuse.sparse import run_sparse
from trainables.adafuse.steps import frame_keys, frames_of, step
from trainables.contract import StepContext

NETWORKS = {
    "small": {},
    "small, shifted": {"network": {"shift": True}},
    "small, last block": {"gates": {"blocks": "last", "shared": False}},
    "resnet18": {"network": {"backbone": "resnet18", "widths": []}},
    "resnet50, shifted": {"network": {"backbone": "resnet50", "widths": [], "shift": True}},
    "bn_inception": {"network": {"backbone": "bn_inception", "widths": []}},
    "efficientnet_b0": {"network": {"backbone": "efficientnet_b0", "widths": []}},
}


@pytest.fixture(scope="module", params=NETWORKS)
def model(request):
    return new_model(adafuse_config(NETWORKS[request.param]), decisive=0.5)


@pytest.fixture(scope="module")
def small():
    return new_model(adafuse_config(), decisive=0.5)


def forced(choice: int):
    def choose(name, x_NCHW, y_NKHW):
        return F.one_hot(torch.full((len(x_NCHW) // 5, 5, y_NKHW.shape[1]), choice), len(CHOICES)).float()

    return choose


@torch.no_grad()
def test_the_networks_decide_where_their_names_say(model):
    x = frames_of(random_batch(model.config, videos=1))
    run = model.run(x, forced(KEEP))
    assert tuple(run.usage) == gated_blocks(model.config) == tuple(point.name for point in model.points)


@torch.no_grad()
def test_all_kept_equals_the_plain_network(model):
    x = frames_of(random_batch(model.config, videos=2))
    torch.testing.assert_close(model.run(x, forced(KEEP)).feature_BTD, model.plain(x))


@torch.no_grad()
def test_left_out_channels_give_the_same_logits_as_masked_ones(model):
    """Gathered computation against masked, with choices that differ from channel to channel."""
    batch = random_batch(model.config, videos=1)
    x, key_BT = frames_of(batch), frame_keys(batch, 5, 1)
    choose = by_policy(model, bias_of({}, "policy"), key_BT, draw=0)
    masked, gathered = model.run(x, choose), run_sparse(model, x, choose)
    shares = [float(one.kept_BT.mean()) for one in masked.usage.values()]
    assert all(0.05 < share < 0.95 for share in shares), shares
    torch.testing.assert_close(
        model.logits(gathered.feature_BTD), model.logits(masked.feature_BTD), rtol=1e-3, atol=1e-4
    )
    for name, one in masked.usage.items():
        torch.testing.assert_close(gathered.usage[name].computed_BT, one.computed_BT)


@pytest.mark.parametrize("choice", [SKIP, REUSE, KEEP])
@torch.no_grad()
def test_a_single_choice_everywhere_leaves_out_whole_convolutions(small, choice):
    x = frames_of(random_batch(small.config, videos=1))
    points = {point.name: point.channels for point in small.points}

    def choose(name, x_NCHW, y_NKHW):
        return F.one_hot(torch.full((1, 5, points[name]), choice), len(CHOICES)).float()

    masked, gathered = small.run(x, choose), run_sparse(small, x, choose)
    torch.testing.assert_close(gathered.feature_BTD, masked.feature_BTD, rtol=1e-4, atol=1e-5)


def test_fused_is_kept_of_now_and_reused_of_the_raw_frame_before():
    y = torch.arange(1.0, 7.0).view(3, 2, 1, 1)  # three frames of two channels
    choice = torch.zeros(1, 3, 2, 3)
    choice[0, 0, 0, REUSE] = choice[0, 0, 1, KEEP] = 1  # before the first frame: zeros
    choice[0, 1, 0, REUSE] = choice[0, 1, 1, REUSE] = 1
    choice[0, 2, 0, SKIP] = choice[0, 2, 1, REUSE] = 1
    assert fused(y, choice).flatten().tolist() == [0, 2, 1, 2, 0, 4]
    usage = usage_of(choice)
    # Frame 0: both are reused by frame 1. Frame 1: channel 1 is reused by frame 2. Frame 2, the last: it keeps none.
    assert usage.computed_BT.tolist() == [[1.0, 0.5, 0.0]]
    assert usage.kept_BT.tolist() == [[0.5, 0.0, 0.0]]
    assert usage.reused_BT.tolist() == [[0.5, 1.0, 0.5]]


def test_shifted_channels_come_from_the_frame_after_and_the_frame_before():
    x = torch.arange(1.0, 4.0).view(3, 1, 1, 1).expand(3, 8, 1, 1).contiguous()
    shifted = temporal_shift(x, 3)[:, :, 0, 0]
    assert shifted[:, 0].tolist() == [2, 3, 0]
    assert shifted[:, 1].tolist() == [0, 1, 2]
    assert shifted[:, 2].tolist() == [1, 2, 3]


def test_a_policy_sees_this_frame_and_the_one_before_and_no_later_one(small):
    x = torch.randn(4, 16, 8, 8, generator=torch.Generator().manual_seed(1))
    changed = x.clone()
    changed[3] = 5.0
    with torch.no_grad():
        first, second = (small.policy("layer1.1", each, 4) for each in (x, changed))
    torch.testing.assert_close(first[:, :3], second[:, :3])
    assert not torch.allclose(first[:, 3], second[:, 3])
    assert before(torch.ones(1, 2, 1)).flatten().tolist() == [0, 1]


def test_hidden_units_divide_a_quota_and_equal_blocks_share_linear_layers_but_no_norm():
    with torch.device("meta"):
        model = new_model(adafuse_config({"network": {"backbone": "resnet50", "weights": None}}, preset="paper"))
    widths = {key: layers[0].out_features for key, layers in model.policy.layers.items()}
    assert widths["64x64"] == 3072
    assert widths["2048x512"] == 384
    assert len(widths) == 8
    assert len(model.policy.norms) == 16


def test_draws_are_exact_one_hots_with_the_soft_gradient_and_no_temperature_changes_them():
    logits = torch.randn(50, 3, generator=torch.Generator().manual_seed(0), requires_grad=True)
    uniform = torch.rand(50, 3, generator=torch.Generator().manual_seed(1))
    draws = [gumbel_onehot(logits, uniform, temperature) for temperature in (0.1, 0.67, 5.0)]
    assert all(torch.equal(draw, draws[0]) for draw in draws)
    assert set(draws[0].detach().flatten().tolist()) == {0.0, 1.0}
    (draws[1][:, KEEP].sum()).backward()
    assert torch.isfinite(logits.grad).all()
    assert (logits.grad != 0).any(1).all()


@torch.no_grad()
def test_random_choices_have_the_chances_that_were_asked_for(small):
    batch = random_batch(small.config, videos=40)
    choose = at_random(small, (0.5, 0.2, 0.3), frame_keys(batch, 5, 1))
    run = small.run(frames_of(batch), choose)
    kept, reused = (
        torch.stack([getattr(one, name).mean() for one in run.usage.values()]).mean()
        for name in ("kept_BT", "reused_BT")
    )
    assert float(kept) == pytest.approx(0.3, abs=0.02)
    assert float(reused) == pytest.approx(0.2, abs=0.02)


def test_a_threshold_keeps_the_channels_with_the_largest_norms():
    y = torch.tensor([[1.0, -9.0, 3.0, 2.0]]).view(1, 4, 1, 1)
    choice = by_norm(1, 0.5)("layer1.1", y, y)
    assert choice[0, 0, :, KEEP].tolist() == [0, 1, 1, 0]
    assert choice[0, 0, :, SKIP].tolist() == [1, 0, 0, 1]


@pytest.mark.parametrize(("mode", "lacking"), [("ada_skip", "reused"), ("ada_reuse", "skipped")])
@torch.no_grad()
def test_policies_of_the_ablations_lack_a_choice(small, mode, lacking):
    output = Measured(small, small.config, mode, 0, [{}])(random_batch(small.config))
    for block in gated_blocks(small.config):
        kept, reused = (float(output.share[f"{block}.{name}"].mean()) for name in ("kept", "reused"))
        assert (reused if lacking == "reused" else 1 - kept - reused) == pytest.approx(0, abs=1e-6)


@torch.no_grad()
def test_biases_reach_everything_kept_and_everything_skipped(small):
    settings = [{}, {"bias.keep": 1e6}, {"bias.skip": 1e6}]
    output = Measured(small, small.config, "policy", 0, settings)(random_batch(small.config))
    kept = torch.stack([output.share[f"{block}.kept"].mean((1, 2)) for block in gated_blocks(small.config)]).mean(0)
    assert kept[1:].tolist() == [1, 0]
    assert 0 < kept[0] < 1
    plain = Measured(small, small.config, "all_on", 0, [{}])(random_batch(small.config))
    torch.testing.assert_close(output.logits_LBC[1], plain.logits_LBC[0])
    frames = output.share["layer1.1.kept"].shape[-1]
    extra = output.gmacs["full"][1] - plain.gmacs["full"][0]
    wanted = Measured(small, small.config, "policy", 0, [{}]).cost.always_macs["full"] * frames / 1e9
    torch.testing.assert_close(extra, torch.full_like(extra, wanted))


def test_network_policies_and_head_learn_together(small):
    model = new_model(small.config)
    context = StepContext(stage="joint", pass_name="joint", epoch=0, epochs=2, noise=3)
    step(model, model.config, random_batch(model.config, videos=4), context).total.backward()
    trained = {name.split(".")[0] for name, p in model.named_parameters() if p.grad is not None}
    assert trained == {"backbone", "head", "policy"}
    assert model.classes == CLASSES


def test_published_names_of_bn_inception_load(tmp_path):
    import safetensors.torch

    from trainables.adafuse.nets.inception import _published

    model = new_model(adafuse_config(NETWORKS["bn_inception"]))
    state = {_published(name): tensor.contiguous() for name, tensor in model.backbone.state_dict().items()}
    assert "inception_3a_double_3x3_reduce.weight" in state
    assert "conv1_7x7_s2_bn.running_mean" in state
    state["conv1_7x7_s2.bias"] = torch.full((64,), 3.0)
    safetensors.torch.save_file({**state, "last_linear.bias": torch.zeros(1000)}, tmp_path / "inception.safetensors")
    changes = {
        "network": {"backbone": "bn_inception", "widths": [], "weights": str(tmp_path / "inception.safetensors")}
    }
    loaded = new_model(adafuse_config(changes))
    assert loaded.backbone.state_dict()["blocks.0.module.0.conv.bias"].unique().tolist() == [3.0]


def test_steady_are_channels_with_the_same_choice_in_all_frames():
    choice_BTK = torch.tensor([[[KEEP, SKIP, KEEP, REUSE], [KEEP, SKIP, SKIP, REUSE], [KEEP, KEEP, SKIP, REUSE]]])
    usage = usage_of(torch.nn.functional.one_hot(choice_BTK, 3).float())
    assert usage.steady_BA is not None
    assert usage.steady_BA.tolist() == [[0, 0.25, 0.25]]  # skip, reuse, keep
