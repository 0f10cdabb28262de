"""``explorer plan`` warns of exactly those searched fields that cannot change anything."""

from __future__ import annotations

import pytest
import torch

from tests.trainables.adamml_parts import context, merged, new_model, random_batch, tiny_config
from trainables.adamml.steps import step
from trainables.adamml.system import AdaMMLSystem

SOFT = {"correctness": "soft"}
# What is searched -> another value than the preset's. Each is perturbed under every setting below.
PERTURBED = {
    "lambda.rgb": {"lambda": {"rgb": 0.2}},
    "lambda.audio": {"lambda": {"audio": 0.9}},
    "lambda.flow": {"lambda": {"flow": 0.2}},
    "gamma": {"gamma": 2.0},
    "gamma_scale": {"gamma_scale": "once"},
    "correctness": {"correctness": "soft"},
    "temperature.initial": {"temperature": {"initial": 2.0}},
    "temperature.anneal.decay": {"temperature": {"anneal": {"decay": 0.5}}},
    "temperature.anneal.floor": {"temperature": {"anneal": {"floor": 0.9}}},
    "policy.feedback": {"policy": {"feedback": "none"}},
    "policy.flow.widths": {"policy": {"flow": {"widths": [4, 4]}}},
}
SETTINGS = {
    "eq4 hard": {},
    "eq4 soft": SOFT,
    "eq4 soft, gamma 0": {**SOFT, "gamma": 0.0},
    "mean": {"penalty": "mean"},
    "none": {"penalty": "none"},
    "linear": {**SOFT, "temperature": {"initial": 3.0, "anneal": {"rule": "linear"}}},
    "constant": {**SOFT, "temperature": {"anneal": {"rule": "constant"}}},
    "no lstm": {"policy": {"lstm": None}},
}


def policy_gradients(changes: dict) -> list[torch.Tensor]:
    """Of the policy pass, at the beginning, in the middle and at the end of the joint stage.

    The middle and the end stand in for a long one: with 20 epochs of the preset no annealing has reached its floor.
    """
    config = tiny_config(changes)
    gradients = []
    for epoch in (0, 10, 19, 200):
        model = new_model(config).eval()
        batch = random_batch(config, videos=6, segments=3)
        step(
            model, config, batch, context("joint", "policy", epoch=min(epoch, 19) if epoch < 200 else 200)
        ).total.backward()
        gradients += [p.grad.flatten() for p in model.policy.parameters() if p.grad is not None]
    return gradients


@pytest.mark.parametrize("setting", SETTINGS)
def test_a_warning_is_given_where_and_only_where_no_gradient_of_the_policy_changes(setting):
    base = SETTINGS[setting]
    config = tiny_config(base)
    before = policy_gradients(base)
    for path, change in PERTURBED.items():
        if path == "correctness" and config.correctness == "soft":
            change = {"correctness": "hard"}
        after = policy_gradients(merged(base, change))
        acts = [g.shape for g in before] != [g.shape for g in after] or any(
            not torch.allclose(a, b, rtol=1e-5, atol=1e-9) for a, b in zip(before, after, strict=True)
        )
        warned = bool(AdaMMLSystem().warnings(config, [path]))
        assert warned is not acts, f"{path} under {setting}: acts {acts}, warned {warned}"


def test_no_warning_where_another_searched_field_can_switch_it_on():
    assert AdaMMLSystem().warnings(tiny_config(), ["gamma", "correctness"]) == ()
    assert AdaMMLSystem().warnings(tiny_config({"penalty": "none"}), ["lambda.rgb", "penalty"]) == ()


def test_a_warning_names_the_field_the_reason_and_the_remedy():
    (warning,) = AdaMMLSystem().warnings(tiny_config(), ["gamma"])
    assert warning.startswith(
        "gamma is searched but cannot change anything: gamma has no gradient with correctness: hard"
    )
    assert "use correctness: soft" in warning


@pytest.mark.parametrize("path", ["stages.fusion.epochs", "data.flow.bound", "policy.sees.flow", "compute.compile"])
def test_what_no_trial_can_see_is_warned_of(path: str):
    assert len(AdaMMLSystem().warnings(tiny_config(), [path])) == 1
