"""The policy: draws, variants, the temperature."""

import pytest
import torch

from tests.trainables.adamml_parts import new_model, random_batch, tiny_config
from trainables.adamml.policy import gumbel_softmax
from trainables.kit import noise
from trainables.kit.temperature import temperature_at

CONFIG = tiny_config()
VARIANTS = {
    "lstm": {},
    "no feedback": {"policy": {"feedback": "none"}},
    "no lstm": {"policy": {"lstm": None}},
    "joint": {"policy": {"decision": "joint"}},
}


def test_hard_draw_does_not_depend_on_temperature_but_its_gradient_does():
    logits = torch.randn(8, 5, 2, 2, generator=torch.Generator().manual_seed(3))
    uniform = noise.uniform(noise.keys(4, torch.arange(8)[:, None], torch.arange(5)), 2, 2)
    draws, gradients = [], []
    for temperature in (0.1, 5.0):
        leaf = logits.clone().requires_grad_()
        use = gumbel_softmax(leaf, uniform, temperature)
        use.sum().backward()
        draws.append(use.detach())
        gradients.append(leaf.grad)
    torch.testing.assert_close(draws[0], draws[1], atol=1e-6, rtol=0)
    assert set(draws[0].round(decimals=5).unique().tolist()) <= {0.0, 1.0}
    assert not torch.allclose(gradients[0], gradients[1])


def test_draw_uses_with_the_softmax_probability():
    logits = torch.tensor([0.0, 1.0]).expand(200_000, 2)
    use = gumbel_softmax(logits, noise.uniform(noise.keys(0, torch.arange(200_000)), 2), 1.0)
    assert use.mean().item() == pytest.approx(torch.sigmoid(torch.tensor(1.0)).item(), abs=0.005)


@pytest.mark.parametrize("name", VARIANTS)
def test_policy_is_causal(name):
    config = tiny_config(VARIANTS[name])
    model = new_model(config).eval()
    batch = random_batch(config, videos=2, segments=4)
    changed = {key: torch.cat([x[:, :2], x[:, 2:] + 1.0], 1) for key, x in batch.inputs.items()}
    with torch.no_grad():
        before, after = model.policy(batch.inputs), model.policy(changed)
    torch.testing.assert_close(before[:, :2], after[:, :2])
    assert not torch.allclose(before[:, 2:], after[:, 2:])


@pytest.mark.parametrize("name", VARIANTS)
def test_policy_segment_by_segment_equals_all_at_once(name):
    policy = new_model(tiny_config(VARIANTS[name])).eval().policy
    joint_BSD = torch.randn(2, 4, 128)
    with torch.no_grad():
        at_once = policy.decide(joint_BSD)
        state, parts = None, []
        for segment in range(4):
            decided = policy.decide_from(joint_BSD[:, segment : segment + 1], state)
            state = decided.state
            parts.append(decided.logits_BSD2)
    torch.testing.assert_close(torch.cat(parts, 1), at_once)


def test_without_an_lstm_a_segment_does_not_depend_on_the_ones_before():
    policy = new_model(tiny_config(VARIANTS["no lstm"])).eval().policy
    joint_BSD = torch.randn(2, 4, 128)
    with torch.no_grad():
        torch.testing.assert_close(policy.decide(joint_BSD)[:, 2:], policy.decide(joint_BSD[:, 2:]))


def test_a_joint_decision_is_the_same_for_every_modality():
    policy = new_model(tiny_config(VARIANTS["joint"])).policy
    logits_BSD2 = torch.randn(40, 5, 1, 2)
    use_BSM = policy.draw(
        logits_BSD2, temperature=1.0, key_BS=noise.keys(1, torch.arange(40)[:, None], torch.arange(5))
    )
    assert use_BSM.shape == (40, 5, 2)
    assert torch.equal(use_BSM[..., 0], use_BSM[..., 1])
    assert 0 < use_BSM.mean() < 1
    assert policy.probability(logits_BSD2).shape == (40, 5, 2)


@pytest.mark.parametrize(
    ("rule", "decay", "epoch", "expected"),
    [
        ("exponential", 0.965, 0, 5.0),
        ("exponential", 0.965, 19, 5.0 * 0.965**19),
        ("exponential", 0.0, 1, 0.01),
        ("linear", 0.5, 19, 0.01),
        ("cosine", 0.5, 19, 0.01),
        ("constant", 0.5, 19, 5.0),
    ],
)
def test_temperature_follows_its_rule_down_to_the_floor(rule, decay, epoch, expected):
    config = tiny_config({"temperature": {"initial": 5.0, "anneal": {"rule": rule, "decay": decay, "floor": 0.01}}})
    assert temperature_at(config.temperature, epoch, 20) == pytest.approx(expected)
