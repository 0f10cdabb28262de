"""AdaMML's networks, losses and draws, on random inputs and closed forms."""

from dataclasses import replace

import pytest
import torch

from tests.trainables.adamml_parts import random_batch, tiny_config
from trainables.adamml.loss import efficiency_loss
from trainables.adamml.model import AdaMML, WeightedFusion, draw, fuse
from trainables.adamml.steps import step
from trainables.contract import StepContext
from trainables.kit.temperature import temperature_at

CLASSES = 4


def context(stage: str, pass_name: str, epoch: int = 0) -> StepContext:
    generator = torch.Generator().manual_seed(epoch)
    return StepContext(stage=stage, pass_name=pass_name, epoch=epoch, epochs=20, generator=generator)


@pytest.fixture
def model():
    torch.manual_seed(0)
    return AdaMML(tiny_config(), CLASSES)


def test_chosen_logits_equal_dense_logits_where_used_and_zero_elsewhere(model):
    model.eval()
    batch = random_batch(videos=3, segments=4)
    use_BSM = (torch.rand(3, 4, 2, generator=torch.Generator().manual_seed(1)) < 0.5).float()
    with torch.no_grad():
        dense = model.segment_logits(batch.inputs) * use_BSM[..., None]
        sparse = model.chosen_logits(batch.inputs, use_BSM)
    torch.testing.assert_close(sparse, dense)


def test_all_on_equals_the_plain_networks_fused_by_hand(model):
    model.eval()
    batch = random_batch(videos=2, segments=3)
    with torch.no_grad():
        fused = fuse(model.segment_logits(batch.inputs), torch.ones(2, 3, 2))
        by_hand = sum(0.5 * model.recognise(m, batch.inputs[m]).mean(1) for m in ("rgb", "audio"))
    torch.testing.assert_close(fused, by_hand)


def test_fusion_weights_start_at_one_over_m_and_sum_to_one():
    fusion = WeightedFusion(3)
    weighted = fusion(torch.ones(1, 1, 3, 1)).flatten()
    torch.testing.assert_close(weighted, torch.full((3,), 1 / 3))
    fusion.free_weights.data = torch.tensor([0.7, 0.6])
    assert fusion(torch.ones(1, 1, 3, 1)).sum().item() == pytest.approx(1.0)


def test_hard_draw_does_not_depend_on_temperature_but_its_gradient_does():
    logits = torch.randn(8, 5, 2, 2, generator=torch.Generator().manual_seed(3))
    draws, gradients = [], []
    for temperature in (0.1, 5.0):
        leaf = logits.clone().requires_grad_()
        use = draw(leaf, temperature=temperature, generator=torch.Generator().manual_seed(4))
        use.sum().backward()
        draws.append(use.detach())
        gradients.append(leaf.grad)
    torch.testing.assert_close(draws[0], draws[1], atol=1e-6, rtol=0)
    assert set(draws[0].round(decimals=5).unique().tolist()) <= {0.0, 1.0}
    assert not torch.allclose(gradients[0], gradients[1])


def test_draw_uses_with_the_softmax_probability():
    logits = torch.tensor([0.0, 1.0]).expand(200_000, 2)
    use = draw(logits, temperature=1.0, generator=torch.Generator().manual_seed(0))
    assert use.mean().item() == pytest.approx(torch.sigmoid(torch.tensor(1.0)).item(), abs=0.005)


def test_policy_is_causal_and_is_fed_its_own_logits(model):
    model.eval()
    batch = random_batch(videos=2, segments=4)
    changed = {name: x.clone() for name, x in batch.inputs.items()}
    for x in changed.values():
        x[:, 2:] += 1.0
    with torch.no_grad():
        before, after = model.policy(batch.inputs), model.policy(changed)
    torch.testing.assert_close(before[:, :2], after[:, :2])
    assert not torch.allclose(before[:, 2:], after[:, 2:])


def test_policy_segment_by_segment_equals_all_at_once(model):
    model.eval()
    joint_BSD = torch.randn(2, 4, 128)
    with torch.no_grad():
        at_once = model.policy.decide(joint_BSD)
        state, parts = None, []
        for segment in range(4):
            decided = model.policy.decide_from(joint_BSD[:, segment : segment + 1], state)
            state = decided.state
            parts.append(decided.logits_BSM2)
    torch.testing.assert_close(torch.cat(parts, 1), at_once)


# Two videos, two segments: the first right with rates (1, 1/2), the second wrong.
USE_BSM = torch.tensor([[[1.0, 1.0], [1.0, 0.0]], [[0.0, 1.0], [0.0, 1.0]]])
LOGITS_BC = torch.tensor([[2.0, 0.0], [2.0, 0.0]])
LABEL_B = torch.tensor([0, 1])


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"gamma": 0.0}, (1.0 * 1 + 0.2 * 0.25) / 2),
        ({"gamma": 10.0}, (1.0 * 1 + 0.2 * 0.25) / 2 + (1.0 + 0.2) * 10 / 2),
        ({"gamma": 10.0, "gamma_scale": "once"}, (1.0 * 1 + 0.2 * 0.25) / 2 + 10 / 2),
        ({"penalty": "mean"}, 1.0 * 0.5 + 0.2 * 0.75),
    ],
)
def test_efficiency_loss_equals_equation_4(fields, expected):
    config = tiny_config({"lambda": {"rgb": 1.0, "audio": 0.2}, **fields})
    assert efficiency_loss(config, USE_BSM, LOGITS_BC, LABEL_B).item() == pytest.approx(expected, rel=1e-6)


def test_soft_correctness_weights_by_the_probability_of_the_true_class():
    config = tiny_config({"lambda": {"rgb": 1.0, "audio": 0.0}, "gamma": 3.0, "correctness": "soft"})
    p = torch.softmax(LOGITS_BC, -1)[torch.arange(2), LABEL_B]
    expected = (p * torch.tensor([1.0, 0.0])).mean() + 3.0 * (1 - p).mean()
    assert efficiency_loss(config, USE_BSM, LOGITS_BC, LABEL_B).item() == pytest.approx(expected.item(), rel=1e-6)


@pytest.mark.parametrize(("correctness", "acts"), [("hard", False), ("soft", True)])
def test_gamma_has_a_gradient_only_with_soft_correctness(correctness, acts):
    gradients = []
    for gamma in (0.0, 10.0):
        logits = LOGITS_BC.clone().requires_grad_()
        use = USE_BSM.clone().requires_grad_()
        config = tiny_config({"gamma": gamma, "correctness": correctness})
        efficiency_loss(config, use, logits, LABEL_B).backward()
        gradients.append(
            torch.cat([use.grad.flatten(), torch.zeros(4) if logits.grad is None else logits.grad.flatten()])
        )
    assert torch.allclose(gradients[0], gradients[1]) is not acts


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


def test_policy_pass_gives_every_head_a_finite_non_zero_gradient(model):
    config = tiny_config()
    loss = step(model, config, random_batch(videos=4, segments=3), context("joint", "policy")).total
    loss.backward()
    for name, parameter in model.policy.heads.named_parameters():
        assert torch.isfinite(parameter.grad).all(), name
        assert parameter.grad.abs().sum() > 0, name
    assert all(p.grad is None for p in model.recognition.parameters())


def test_recognition_pass_leaves_the_policy_without_gradient(model):
    loss = step(model, tiny_config(), random_batch(videos=4, segments=3), context("warmup", "recognition")).total
    loss.backward()
    assert all(p.grad is None for p in model.policy.parameters())
    assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in model.recognition.parameters())


def test_an_absent_modality_is_never_used(model):
    batch = random_batch(videos=4, segments=3, absent_audio=True)
    logs = step(model, tiny_config(), batch, context("warmup", "recognition")).logs
    assert float(logs["rate.audio"]) == 0.0
    assert float(logs["rate.rgb"]) > 0.0


def test_initial_weights_of_a_net_do_not_depend_on_the_other_nets():
    torch.manual_seed(0)
    one = AdaMML(tiny_config(), CLASSES)
    torch.manual_seed(0)
    other = AdaMML(tiny_config({"recognition": {"rgb": {"backbone": "small_conv", "widths": [4, 8]}}}), CLASSES)
    for a, b in zip(one.recognition["audio"].parameters(), other.recognition["audio"].parameters(), strict=True):
        assert torch.equal(a, b)


def test_paper_preset_takes_a_training_step_on_one_short_video(clips):
    from trainables.adamml.system import AdaMMLSystem
    from trainables.kit.data.dataset import load_file

    raw = dict(AdaMMLSystem.presets["paper"])
    raw["data"] = {**raw["data"], "manifest": "unused.jsonl"}
    config = AdaMMLSystem.Config.model_validate(raw)
    torch.manual_seed(0)
    model = AdaMML(config, 31).train()
    video = sorted((clips.parent / "videos").glob("*.mp4"))[0]
    batch = replace(load_file(video, config.data, segments=2).batch, label_B=torch.tensor([3]))
    assert batch.inputs["rgb"].shape == (1, 2, 8, 3, 224, 224)
    assert batch.inputs["audio"].shape == (1, 2, 1, 256, 256)
    loss = step(model, config, batch, context("joint", "policy")).total
    loss.backward()
    assert torch.isfinite(loss)
    assert all(torch.isfinite(p.grad).all() for p in model.policy.parameters() if p.grad is not None)
