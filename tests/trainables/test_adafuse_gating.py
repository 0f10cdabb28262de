"""The baseline CGNet: channel gating of the convolutions before the gates."""

from __future__ import annotations

import pytest
import torch

from tests.trainables.adafuse_parts import adafuse_config, new_model, random_batch
from trainables.adafuse.cost import cost_table
from trainables.adafuse.decide import CGNET
from trainables.adafuse.gating import ChannelGate
from trainables.adafuse.measure import Measured
from trainables.adafuse.steps import frames_of, step
from trainables.contract import StepContext

PARTS = 4
NEVER, ALWAYS = 1e6, -1e6  # thresholds


def with_threshold(value: float):
    config = adafuse_config()
    model = new_model(config)
    with torch.no_grad():
        for gate in model.gating.gates.values():
            gate.threshold_K.fill_(value)
    return config, model


def test_open_gates_give_the_plain_network_at_its_cost():
    config, model = with_threshold(ALWAYS)
    batch = random_batch(config)
    with torch.no_grad():
        feature_BTD, usage = model.gating.run(model.backbone, frames_of(batch))
        torch.testing.assert_close(feature_BTD, model.plain(frames_of(batch)), rtol=1e-4, atol=1e-5)
        output = Measured(model, config, CGNET, 0, [{}])(batch)
    assert all(float(one.computed_BT.min()) == pytest.approx(1) for one in usage.values())
    table, frames = cost_table(config, model.classes), frames_of(batch).shape[1]
    expected = table.all_on_gmacs("full") / table.segments * frames
    assert output.gmacs["full"].flatten().tolist() == pytest.approx([expected] * len(batch.label_B))


def test_closed_gates_leave_the_base_path_alone():
    _, model = with_threshold(NEVER)
    conv = next(iter(model.points)).before[0]
    gate = model.gating.gates["layer1_1_0"]
    x_NCHW = torch.randn(2, conv.in_channels, 8, 8)
    with torch.no_grad():
        gated_NKHW, share_N = gate(conv, x_NCHW, conv(x_NCHW))
        x_NCHW[:, conv.in_channels // PARTS :] = 0
        torch.testing.assert_close(gated_NKHW, conv(x_NCHW), rtol=1e-4, atol=1e-5)
    assert share_N.tolist() == pytest.approx([1 / PARTS] * 2)


def test_a_gate_is_open_where_the_normalised_partial_sum_exceeds_the_threshold():
    conv = torch.nn.Conv2d(4, 1, 1, bias=False)
    torch.nn.init.ones_(conv.weight)
    gate = ChannelGate(adafuse_config().fixed.cgnet, conv).eval()  # statistics at the start: mean 0, variance 1
    x_14HW = torch.ones(1, 4, 1, 2)
    x_14HW[0, 0, 0] = torch.tensor([-2.0, 3.0])  # what the base path reads
    gated, share = gate(conv, x_14HW, conv(x_14HW))
    assert gated.flatten().tolist() == pytest.approx([-2.0, 6.0])
    assert share.item() == pytest.approx(1 / 4 + 3 / 4 * 1 / 2)


def test_a_step_draws_thresholds_to_their_target_and_reaches_every_one():
    config, model = with_threshold(0.0)
    model.train()
    context = StepContext(stage="cgnet", pass_name="recognition", epoch=0, epochs=1, noise=1)
    loss = step(model, config, random_batch(config), context)
    thresholds = [gate.threshold_K for gate in model.gating.gates.values()]
    assert float(loss.logs["threshold"].detach()) == pytest.approx(sum(t.numel() for t in thresholds))  # (0 - 1)^2 each
    loss.total.backward()
    assert all(t.grad is not None and torch.isfinite(t.grad).all() and (t.grad != 0).any() for t in thresholds)
    model.gating.threshold_loss(1.0).backward()


@pytest.mark.parametrize("backbone", ["bn_inception", "efficientnet_b0", "resnet18"])
def test_other_networks_are_gated_as_well(backbone):
    config = adafuse_config({"network": {"backbone": backbone, "widths": []}})
    model = new_model(config)
    with torch.no_grad():
        _, usage = model.gating.run(model.backbone, torch.randn(1, 2, 3, 64, 64))
    assert set(usage) == {point.name for point in model.points}
    assert all(0 < float(one.computed_BT.min()) <= float(one.computed_BT.max()) <= 1 for one in usage.values())
