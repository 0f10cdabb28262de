"""A policy conditioned on the efficiency weights: what is drawn, what it learns from, what can be set after training."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.trainables.adamml_parts import context, new_model, random_batch, tiny_config
from tests.trainables.test_adamml_measure import CLASSES, NoiseData
from tests.trainables.test_adamml_stages import POLICY_ON, keys_of
from trainables.adamml.conditioning import draw_lambda, lambda_code, lambda_grid, lambda_of
from trainables.adamml.loss import efficiency_loss
from trainables.adamml.steps import step
from trainables.adamml.system import AdaMMLSystem
from trainables.kit import noise
from trainables.kit.engine.ranks import Ranks
from trainables.kit.measure.replay import ModalityReplay

RANGES = {"rgb": [0.1, 10.0], "audio": [0.02, 2.0]}
MODES = ("film", "concat")


def conditioned(mode: str = "film", **draws):
    """The tiny preset, conditioned."""
    policy = {"conditioning": "lambda", "conditioning_mode": mode, "draws": {**RANGES, **draws}}
    return tiny_config({"policy": policy, "correctness": "soft"})


def moved(model):
    """The model with every weight of its policy moved, so that no modulation is the identity."""
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in model.policy.parameters():
            parameter.add_(0.2 * torch.randn(parameter.shape, generator=generator))
    return model


def test_drawn_weights_fill_their_ranges_evenly_in_the_logarithm_and_corners_are_their_ends():
    lambda_BM = draw_lambda(conditioned(corners=0.0), noise.keys(1, torch.arange(20_000)))
    for m, (lowest, highest) in enumerate(RANGES.values()):
        log_B = lambda_BM[:, m].log()
        assert lowest <= lambda_BM[:, m].min() and lambda_BM[:, m].max() <= highest * (1 + 1e-6)
        quartiles = torch.quantile(log_B, torch.tensor([0.25, 0.5, 0.75]))
        expected = torch.tensor(lowest).log() + torch.tensor([0.25, 0.5, 0.75]) * np.log(highest / lowest)
        torch.testing.assert_close(quartiles, expected, atol=0.1, rtol=0)
    assert abs(torch.corrcoef(lambda_BM.log().T)[0, 1]) < 0.03
    some = draw_lambda(conditioned(corners=0.3), noise.keys(1, torch.arange(20_000)))
    ends = torch.isclose(some[:, 0], torch.tensor(0.1)) | torch.isclose(some[:, 0], torch.tensor(10.0))
    assert ends.float().mean() == pytest.approx(0.3, abs=0.02)


def test_a_videos_weights_do_not_depend_on_its_neighbours():
    config, index_B = conditioned(), torch.arange(50)
    together = draw_lambda(config, noise.keys(7, index_B))
    torch.testing.assert_close(draw_lambda(config, noise.keys(7, index_B[20:30])), together[20:30])


def test_the_code_runs_from_minus_one_to_one_and_is_zero_in_the_middle():
    config, like = conditioned(), torch.zeros(3, 4, 5)
    weights = torch.tensor([[0.1, 0.02], [1.0, 0.2], [10.0, 2.0]])
    expected = torch.tensor([[-1.0, -1], [0, 0], [1, 1]])
    torch.testing.assert_close(lambda_code(config, like, weights), expected, atol=1e-6, rtol=0)
    assert not lambda_code(config, like, None).any()


@pytest.mark.parametrize("fields", [{}, {"correctness": "soft"}, {"penalty": "mean"}])
@pytest.mark.parametrize("gamma_scale", ["per_modality", "once"])
def test_the_loss_of_videos_with_weights_of_their_own_is_the_mean_of_their_losses(fields, gamma_scale):
    generator = torch.Generator().manual_seed(0)
    use_BSM = (torch.rand(4, 5, 2, generator=generator) < 0.6).float()
    logits_BC = torch.randn(4, 3, generator=generator)
    truth_BC = torch.eye(3)[[0, 1, 2, 0]]
    lambda_BM = torch.rand(4, 2, generator=generator)
    alone = []
    for b in range(4):
        weights = dict(zip(("rgb", "audio"), lambda_BM[b].tolist(), strict=True))
        config = tiny_config({"lambda": weights, "gamma_scale": gamma_scale, "gamma": 2.0, **fields})
        rows = slice(b, b + 1)
        alone.append(efficiency_loss(config, use_BSM[rows], logits_BC[rows], truth_BC[rows]))
    together = efficiency_loss(config, use_BSM, logits_BC, truth_BC, lambda_BM)
    torch.testing.assert_close(together, torch.stack(alone).mean())


def test_before_training_film_is_the_policy_without_conditioning_whatever_the_weights():
    with_it, without = conditioned(), tiny_config()
    batch = random_batch(without, videos=3, segments=4)
    with torch.no_grad():
        plain = new_model(without).eval().policy(batch.inputs)
        policy = new_model(with_it).eval().policy
        torch.testing.assert_close(policy(batch.inputs, torch.tensor([[9.0, 0.03]] * 3)), plain, atol=0, rtol=0)


def test_film_shares_its_warm_up_with_independent_trials_and_concat_does_not():
    before, film = keys_of({"correctness": "soft"}), keys_of(conditioned().model_dump(by_alias=True))
    assert {name for name in before if before[name] != film[name]} == POLICY_ON
    concat = keys_of(conditioned("concat").model_dump(by_alias=True))
    assert concat["warmup"] != before["warmup"]


@pytest.mark.parametrize("draws", [{"corners": 0.5}, {"recognition": "middle"}, {"rgb": [0.2, 10.0]}])
def test_what_is_drawn_changes_the_keys_of_the_stages_that_see_it(draws):
    before, after = (keys_of(c.model_dump(by_alias=True)) for c in (conditioned(), conditioned(**draws)))
    assert {name for name in before if before[name] != after[name]} == POLICY_ON


def test_the_configurations_own_weights_change_nothing_where_the_ranges_are_given():
    raw = conditioned().model_dump(by_alias=True)
    assert keys_of(raw) == keys_of({**raw, "lambda": {"rgb": 7.0, "audio": 0.3}})


@pytest.mark.parametrize("mode", MODES)
def test_where_every_use_is_worth_one_the_policy_learns_to_use_more_of_what_costs_less(mode):
    config = conditioned(mode).model_copy(update={"penalty": "mean"})
    policy = new_model(config).policy
    joint_BSD = torch.randn(64, 2, 128, generator=torch.Generator().manual_seed(0))
    optimiser = torch.optim.Adam(policy.parameters(), lr=0.01)
    for number in range(120):
        lambda_BM = draw_lambda(config, noise.keys(number, torch.arange(64)))
        key_BS = noise.keys(number, torch.arange(64)[:, None], torch.arange(2))
        use_BSM = policy.draw(policy.decide(joint_BSD, lambda_BM), temperature=1.0, key_BS=key_BS)
        worth = use_BSM.mean((0, 1)).sum()
        loss = efficiency_loss(config, use_BSM, torch.zeros(64, 3), torch.zeros(64, 3), lambda_BM) - worth
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    with torch.no_grad():
        uses = [
            policy.probability(policy.decide(joint_BSD, torch.tensor([weights] * 64))).mean((0, 1)).tolist()
            for weights in ([0.1, 1.9], [9.0, 0.05])
        ]
    margin = {"film": 0.6, "concat": 0.0}[mode]  # two numbers beside 128 are learned later
    assert uses[0][0] > uses[1][0] + margin
    assert uses[1][1] > uses[0][1] + margin


@pytest.mark.parametrize("mode", MODES)
def test_the_table_under_each_weight_is_the_policy_run_with_it(mode):
    config = conditioned(mode)
    model, system, data = moved(new_model(config, CLASSES)).eval(), AdaMMLSystem(), NoiseData(config)
    with torch.no_grad():
        table = system.replay(model, config, data, "val", mode="policy", seed=0, share=Ranks())
        batch = next(data.eval_batches("val", modalities=config.data.inputs, segments=10, batch_size=5))
        assert len(lambda_grid(config)) == 49
        for weights in ([0.1, 0.02], [10.0, 0.2], None):
            knobs = dict(zip(("lambda.rgb", "lambda.audio"), weights, strict=True)) if weights else {}
            logits = model.policy(batch.inputs, lambda_of(config, knobs).expand(5, -1))
            expected = model.policy.probability(logits).numpy()
            use_BSM = (expected > 0.5) & batch.present_BSM.numpy()
            np.testing.assert_array_equal(table.use(knobs), use_BSM)
    again = ModalityReplay.from_arrays(table.arrays())
    settings = [{"lambda.rgb": 0.1}, {"lambda.audio": 2.0, "threshold.rgb": 0.3}, {}]
    np.testing.assert_array_equal(again.score(settings).rate_PB["rgb"], table.score(settings).rate_PB["rgb"])
    uses = [table.use(setting)[..., 0].mean(1) for setting in settings]
    np.testing.assert_allclose(table.score(settings).rate_PB["rgb"], uses, rtol=1e-6)


def test_a_setting_between_the_measured_weights_is_scored_at_the_nearest_in_the_logarithm():
    config = conditioned()
    values = next(k.values for k in AdaMMLSystem().knobs(config) if k.name == "lambda.rgb")
    assert values[0] == 0.1 and values[-1] == 10.0 and len(values) == 7
    with torch.no_grad():
        table = AdaMMLSystem().replay(
            moved(new_model(config, CLASSES)).eval(),
            config,
            NoiseData(config),
            "val",
            mode="policy",
            seed=0,
            share=Ranks(),
        )
    between = (values[1] * values[2]) ** 0.5
    np.testing.assert_array_equal(table.use({"lambda.rgb": between * 1.01}), table.use({"lambda.rgb": values[2]}))
    np.testing.assert_array_equal(table.use({"lambda.rgb": between * 0.99}), table.use({"lambda.rgb": values[1]}))


def test_forced_modes_know_no_weights():
    config = conditioned()
    model = new_model(config, CLASSES).eval()
    with torch.no_grad():
        table = AdaMMLSystem().replay(model, config, NoiseData(config), "val", mode="all_on", seed=0, share=Ranks())
    assert "lambda_LM" not in table.arrays()
    np.testing.assert_array_equal(table.use({"lambda.rgb": 10.0}), table.present_BSM)


def test_modulation_is_charged_once_a_video():
    plain, film = (AdaMMLSystem().cost(config, CLASSES).always_macs for config in (tiny_config(), conditioned()))
    segments, macs = 10, 2 * 16 + 16 * 2 * (128 + 64)
    assert film["paper"] == plain["paper"]
    assert film["full"] - plain["full"] == -(-macs // segments)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"policy": {"draws": {"rgb": [2.0, 1.0]}}}, "0 < lowest < highest"),
        ({"lambda": {"audio": 0.0}}, r"policy.draws.audio must be \[lowest, highest\]"),
        ({"penalty": "none"}, "needs an efficiency loss"),
    ],
)
def test_weights_that_cannot_be_drawn_are_refused(changes, message):
    policy = {"conditioning": "lambda", **changes.pop("policy", {})}
    with pytest.raises(ValueError, match=message):
        tiny_config({**changes, "policy": policy})


def test_recognition_sees_drawn_weights_or_the_middle_ones():
    batch = random_batch(tiny_config(), videos=6, segments=4)
    rates = {}
    for recognition in ("drawn", "middle"):
        config = conditioned(recognition=recognition)
        model = moved(new_model(config))
        logs = [step(model, config, batch, context("joint", "recognition", noise=n)).logs for n in range(3)]
        rates[recognition] = [float(log["rate.rgb"]) for log in logs]
    assert rates["drawn"] != rates["middle"]
