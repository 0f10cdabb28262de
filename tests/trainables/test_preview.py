"""Previews: a policy on cached outputs learns what the joint stage's policy pass would teach it."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from tests.trainables.adamml_parts import merged, new_model, random_batch, tiny_config
from trainables.adamml.model import AdaMML
from trainables.adamml.preview import preview, preview_table
from trainables.adamml.stages import joint_stage
from trainables.adamml.steps import step
from trainables.adamml.system import AdaMMLSystem
from trainables.contract import PREVIEW, PREVIEW_TABLE, Batch, StepContext
from trainables.kit.engine.keys import stage_jobs
from trainables.kit.engine.optim import PairedOptimiser, parameter_groups
from trainables.kit.engine.ranks import Ranks
from trainables.kit.noise import mix

SYSTEM = AdaMMLSystem()
CLASSES, EPOCHS = 4, 3
SIZE = {"train": 6, "val": 5}
STAGES = {"stages": {"joint": {"epochs": EPOCHS, "batch_size": 6}}, "data": {"segments": {"train": 2, "test": 3}}}


def config_with(**changes):
    return tiny_config({**STAGES, "gamma": 0, **changes})


class FewVideos:
    """Noise, the same in every epoch: :class:`trainables.contract.Data` as far as previews read it."""

    classes = tuple("abcd")

    def __init__(self, config):
        self.config = config

    def ids(self, split):
        return [f"{split}{n}" for n in range(SIZE[split])]

    def batch(self, split, segments):
        return random_batch(self.config, videos=SIZE[split], segments=segments)

    def train_batches(self, *, segments, **asked):
        yield self.batch("train", segments)

    def eval_batches(self, split, *, segments, batch_size, rank=0, ranks=1, **asked):
        yield self.batch(split, segments).take(slice(rank, None, ranks))


def table_of(config, **more):
    return preview_table(new_model(config).eval(), config, FewVideos(config), seed=0, share=Ranks(), **more)


def previewed(config, table, seed=0):
    return preview(config, table, seed=seed, cost=lambda classes: SYSTEM.cost(config, classes))


@pytest.fixture(scope="module")
def table():
    return table_of(config_with())


def test_a_preview_whose_nets_learn_is_the_joint_stages_policy_pass():
    config = config_with()
    joint = joint_stage(config)
    model, data = new_model(config), FewVideos(config)
    policy_pass = joint.passes[-1]
    groups = parameter_groups(policy_pass.optimiser, model, policy_pass.trains)
    optimiser = PairedOptimiser(policy_pass.optimiser, groups, steps_per_epoch=1, epochs=EPOCHS)
    model.eval()
    model.policy.train()
    for epoch in range(EPOCHS):
        order = torch.from_numpy(np.random.default_rng([0, epoch, 1, 0]).permutation(SIZE["train"]))
        batch = shuffled(data.batch("train", 2), order)
        context = StepContext(stage="joint", pass_name="policy", epoch=epoch, epochs=EPOCHS, noise=mix(0, epoch, 1))
        optimiser.zero_grad()
        step(model, config, batch, context).total.backward()
        optimiser.step()
    with torch.no_grad():
        expected = SYSTEM.replay(model.eval(), config, data, "val", mode="policy", seed=0, share=Ranks())

    found = previewed(config, table_of(config_with(policy={"preview": "inputs"}), views=1))

    np.testing.assert_allclose(found.probability_BSM, expected.probability_BSM, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found.logits_BSMC, expected.logits_BSMC, rtol=1e-4, atol=1e-5)
    assert found.video_ids == tuple(expected.video_ids)
    assert found.cost == expected.cost


def shuffled(batch: Batch, order: torch.Tensor) -> Batch:
    """The videos in another order."""
    return dataclasses.replace(
        batch,
        inputs={name: x[order] for name, x in batch.inputs.items()},
        label_B=batch.label_B[order],
        present_BSM=batch.present_BSM[order],
        index_B=batch.index_B[order],
    )


def test_the_same_seed_gives_the_same_bits_and_another_one_does_not(table):
    first, second, other = (previewed(config_with(), table, seed=seed).probability_BSM for seed in (0, 0, 1))
    assert (first == second).all()
    assert not (first == other).all()


def test_a_higher_lambda_uses_less(table):
    long = {"stages": {"joint": {**STAGES["stages"]["joint"], "epochs": 30}}}
    cheap, dear = (
        previewed(config_with(**long, **{"lambda": {"rgb": price, "audio": price}}), table).probability_BSM.mean()
        for price in (0.0, 100.0)
    )
    assert dear < cheap


def test_the_policys_nets_stay_as_they_are_where_their_features_are_kept(table):
    assert "train.feature" in table and not any("looked" in name for name in table)
    assert table["train.feature"].shape[:3] == (4, SIZE["train"], 2)
    assert table["val.feature"].shape[:2] == (SIZE["val"], 3)


def test_a_conditioned_policy_is_previewed_under_each_of_its_weights():
    config = config_with(policy={"conditioning": "lambda"})
    conditioned = previewed(config, table_of(config)).conditioned
    assert conditioned is not None
    assert conditioned.probability_LBSM.shape[1:] == (SIZE["val"], 3, 2)


def test_building_the_table_leaves_recognition_as_the_warm_up_left_it():
    config = config_with()
    model = new_model(config).eval()
    assert isinstance(model, AdaMML)
    before = {name: x.clone() for name, x in model.recognition.state_dict().items()}
    preview_table(model, config, FewVideos(config), seed=0, share=Ranks())
    assert all((x == before[name]).all() for name, x in model.recognition.state_dict().items())


@pytest.mark.parametrize(
    ("change", "same_table", "same_preview"),
    [
        ({"lambda": {"rgb": 0.3}}, True, False),
        ({"gamma": 1, "correctness": "soft"}, True, False),
        ({"temperature": {"initial": 2}}, True, False),
        ({"temperature": {"anneal": {"decay": 0.9}}}, True, False),
        ({"stages": {"joint": {"epochs": EPOCHS + 1}}}, True, False),
        ({"stages": {"joint": {"policy": {"lr": 0.1}}}}, True, False),
        ({"stages": {"finetune": {"epochs": 3}}}, True, True),
        ({"stages": {"joint": {"recognition": {"lr": 0.1}}}}, True, True),
        ({"stages": {"warmup": {"epochs": 3}}}, False, False),
        ({"policy": {"conditioning": "lambda"}}, True, False),
        ({"policy": {"preview": "inputs"}}, False, False),
        ({"policy": {"lstm": 16}}, False, False),
    ],
)
def test_a_table_is_shared_by_all_that_only_a_preview_tells_apart(change, same_table, same_preview):
    one, other = config_with(), tiny_config(merged({**STAGES, "gamma": 0}, change))
    own, others = keys_of(one), keys_of(other)
    assert (own[PREVIEW_TABLE] == others[PREVIEW_TABLE]) == same_table
    assert (own[PREVIEW] == others[PREVIEW]) == same_preview


def keys_of(config):
    stages = (*SYSTEM.stages(config), *SYSTEM.preview_stages(config))
    with_data = type("WithData", (AdaMMLSystem,), {"data_fingerprint": lambda self, config: "some videos"})()
    return {job.stage: job.key for job in stage_jobs(with_data, config, seed=0, ranks=1, stages=stages)}
