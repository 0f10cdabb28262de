"""Equation 4 and its variants, in closed form."""

import pytest
import torch

from tests.trainables.adamml_parts import tiny_config
from trainables.adamml.loss import efficiency_loss
from trainables.kit.nets.classify import classification_loss, hits

# Two videos, two segments: the first right with rates (1, 1/2), the second wrong.
USE_BSM = torch.tensor([[[1.0, 1.0], [1.0, 0.0]], [[0.0, 1.0], [0.0, 1.0]]])
LOGITS_BC = torch.tensor([[2.0, 0.0], [2.0, 0.0]])
LABEL_B = torch.tensor([0, 1])
TRUTH_BC = torch.eye(2)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"gamma": 0.0}, (1.0 * 1 + 0.2 * 0.25) / 2),
        ({"gamma": 10.0}, (1.0 * 1 + 0.2 * 0.25) / 2 + (1.0 + 0.2) * 10 / 2),
        ({"gamma": 10.0, "gamma_scale": "once"}, (1.0 * 1 + 0.2 * 0.25) / 2 + 10 / 2),
        ({"penalty": "mean"}, 1.0 * 0.5 + 0.2 * 0.75),
        ({"penalty": "none"}, 0.0),
    ],
)
def test_efficiency_loss_equals_equation_4(fields, expected):
    config = tiny_config({"lambda": {"rgb": 1.0, "audio": 0.2}, **fields})
    assert efficiency_loss(config, USE_BSM, LOGITS_BC, TRUTH_BC).item() == pytest.approx(expected, rel=1e-6)


def test_soft_correctness_weights_by_the_probability_of_the_true_class():
    config = tiny_config({"lambda": {"rgb": 1.0, "audio": 0.0}, "gamma": 3.0, "correctness": "soft"})
    p = torch.softmax(LOGITS_BC, -1)[torch.arange(2), LABEL_B]
    expected = (p * torch.tensor([1.0, 0.0])).mean() + 3.0 * (1 - p).mean()
    assert efficiency_loss(config, USE_BSM, LOGITS_BC, TRUTH_BC).item() == pytest.approx(expected.item(), rel=1e-6)


@pytest.mark.parametrize(("correctness", "acts"), [("hard", False), ("soft", True)])
def test_gamma_has_a_gradient_only_with_soft_correctness(correctness, acts):
    gradients = []
    for gamma in (0.0, 10.0):
        logits = LOGITS_BC.clone().requires_grad_()
        use = USE_BSM.clone().requires_grad_()
        config = tiny_config({"gamma": gamma, "correctness": correctness})
        efficiency_loss(config, use, logits, TRUTH_BC).backward()
        gradients.append(
            torch.cat([use.grad.flatten(), torch.zeros(4) if logits.grad is None else logits.grad.flatten()])
        )
    assert torch.allclose(gradients[0], gradients[1]) is not acts


def test_with_several_labels_each_counts_and_any_of_them_is_right():
    logits_BC = torch.tensor([[1.0, 2.0, 0.0]])
    truth_BC = torch.tensor([[1.0, 1.0, 0.0]])
    expected = -torch.log_softmax(logits_BC, -1)[0, :2].mean()
    torch.testing.assert_close(classification_loss(logits_BC, truth_BC), expected)
    assert hits(logits_BC, truth_BC).tolist() == [1.0]
    assert hits(logits_BC, torch.tensor([[1.0, 0.0, 1.0]])).tolist() == [0.0]


def test_with_one_label_the_loss_is_the_cross_entropy():
    expected = torch.nn.functional.cross_entropy(LOGITS_BC, LABEL_B)
    torch.testing.assert_close(classification_loss(LOGITS_BC, TRUTH_BC), expected)
