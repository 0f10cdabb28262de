"""AR-Net's policy and network: what a skip covers, what a forced decision gives, what is computed."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from tests.trainables.arnet_parts import CLASSES, arnet_config, new_model, random_batch
from trainables.arnet.actions import actions
from trainables.arnet.loss import efficiency_loss, prices, uniformity_loss
from trainables.arnet.measure import _Measured
from trainables.arnet.model import resized, video_logits
from trainables.arnet.steps import frames_of, step
from trainables.contract import StepContext

NAMES = [action.name for action in actions(arnet_config())]


def forced(names: list[str]):
    """A choice that says one action after the other, whatever the policy says."""

    def choose(logits_BA: torch.Tensor, t: int) -> torch.Tensor:
        action_A = F.one_hot(torch.tensor(NAMES.index(names[t])), len(NAMES)).float()
        return action_A.expand(logits_BA.shape[0], -1)

    return choose


@pytest.fixture(scope="module")
def model():
    return new_model(arnet_config())


def test_the_actions_are_four_resolutions_then_three_skips():
    assert NAMES == ["r64", "r48", "r32", "r24", "skip1", "skip2", "skip4"]
    assert [a.name for a in actions(arnet_config({"actions": "skips"}))] == ["r64", "skip1", "skip2", "skip4"]
    assert [a.name for a in actions(arnet_config({"actions": "resolutions"}))] == NAMES[:4]


def test_a_skip_counts_the_current_frame_and_what_it_covers_is_not_looked_at(model):
    x = frames_of(random_batch(model.config))
    names = ["r64", "skip4", "r48", "r48", "r48", "r32"]
    rollout = model.policy.roll(model.policy_features(x), forced(names))
    taken = [NAMES[i] for i in rollout.action_BTA[0].argmax(-1)]
    assert taken == ["r64", "skip4", "skip4", "skip4", "skip4", "r32"]
    assert rollout.looked_BT[0].tolist() == [True, True, False, False, False, True]


def test_frames_that_are_skipped_over_change_nothing(model):
    names = ["r64", "skip4", "r48", "r48", "r48", "r24"]
    x = frames_of(random_batch(model.config))
    changed = x.clone()
    changed[:, 2:5] = 9.0
    first, second = (model.policy.roll(model.policy_features(each), forced(names)) for each in (x, changed))
    torch.testing.assert_close(first.logits_BTC[:, 5], second.logits_BTC[:, 5])
    torch.testing.assert_close(first.raw_BTA[:, 5], second.raw_BTA[:, 5])


def test_all_on_equals_the_plain_network_of_the_highest_resolution(model):
    batch = random_batch(model.config)
    output = _Measured(model, model.config, "all_on", 0, [{}])(batch)
    x = frames_of(batch)
    plain = model.backbones["high"](x.flatten(0, 1)).view(*x.shape[:2], -1).mean(1)
    torch.testing.assert_close(output.logits_LBC[0], plain)


def test_a_video_is_the_mean_over_the_frames_that_are_computed_and_zeros_without_any():
    logits = {"high": torch.arange(12.0).view(1, 4, 3), "lowest": torch.ones(1, 4, 3)}
    use = {"high": torch.tensor([[1.0, 0, 0, 0]]), "lowest": torch.tensor([[0, 0, 0, 1.0]])}
    torch.testing.assert_close(video_logits(logits, use), torch.tensor([[0.5, 1.0, 1.5]]))
    nothing = {level: torch.zeros(1, 4) for level in use}
    assert video_logits(logits, nothing).tolist() == [[0, 0, 0]]


def test_only_chosen_frames_go_through_a_backbone(model):
    x, rows = frames_of(random_batch(model.config)), []
    handles = [
        net.register_forward_hook(lambda net, inputs, output: rows.append(len(output)))
        for net in model.backbones.values()
    ]
    use = {level: torch.zeros(x.shape[:2]) for level in model.config.levels}
    use["high"][0, 2] = 1
    logits = model.chosen_logits(x, use, None)
    for handle in handles:
        handle.remove()
    assert rows == [1, 0, 0]
    torch.testing.assert_close(logits["high"][0, 2], model.recognise("high", x[0, 2:3])[0])
    assert logits["high"].count_nonzero() == CLASSES


def test_equally_frequent_actions_are_uniform_and_one_alone_is_not():
    every = torch.eye(7)[None]
    one = torch.zeros(1, 7, 7)
    one[..., 0] = 1
    assert float(uniformity_loss(every, "squared")) == pytest.approx(0, abs=1e-12)
    assert float(uniformity_loss(one, "squared")) == pytest.approx((6 / 7) ** 2 + 6 / 49)
    assert float(uniformity_loss(one, "norm")) == pytest.approx(((6 / 7) ** 2 + 6 / 49) ** 0.5)


def test_the_loss_charges_backbones_alone_relative_or_in_gflops():
    relative = prices(arnet_config(), CLASSES)
    assert relative[0] == 1
    assert 0 < relative[2] < relative[1] < 1
    assert relative[3:] == (0, 0, 0, 0)
    gflops = prices(arnet_config(preset="paper"), 200)
    assert gflops[:3] == pytest.approx((4.1103, 2.2490, 0.4863), abs=5e-5)
    assert float(efficiency_loss(torch.eye(7)[None], torch.tensor(gflops))) == pytest.approx(sum(gflops) / 7)


def test_nearest_takes_pixels_and_smooth_takes_means():
    x = torch.arange(16.0).view(1, 1, 4, 4)
    assert resized(x, 2, "nearest").flatten().tolist() == [0, 2, 8, 10]
    assert float(resized(x, 2, "smooth").mean()) == pytest.approx(7.5, abs=0.1)


def test_a_bias_of_skipping_leaves_nothing_and_one_of_cost_leaves_the_cheapest(model):
    settings = [{}, {"bias.skip": 1e6}, {"bias.cost": 1e6, "bias.skip": -1e6}]
    output = _Measured(model, model.config, "policy", 0, settings)(random_batch(model.config))
    used = {name: share.float().mean((1, 2)) for name, share in output.share.items()}
    assert sum(float(used[name][1]) for name in NAMES[:4]) == 0
    assert float(used["r24"][2]) == 1
    assert (output.gmacs["full"][1] < output.gmacs["full"][2]).all()


def test_one_pass_trains_everything_together_where_the_policy_has_no_recipe_of_its_own():
    config = arnet_config({"stages": {"joint": {"policy": None}}})
    model = new_model(config)
    context = StepContext(stage="joint", pass_name="joint", epoch=0, epochs=2, noise=3)
    step(model, config, random_batch(config, videos=8), context).total.backward()
    trained = {name.split(".")[0] for name, p in model.named_parameters() if p.grad is not None}
    assert trained == {"backbones", "policy"}
