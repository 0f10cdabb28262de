"""Fusions: sums that leave out what is skipped, and the baselines that mix everything."""

import pytest
import torch

from tests.trainables.adamml_parts import context, new_model, random_batch, tiny_config
from trainables.adamml.config import FUSION_BASELINES
from trainables.adamml.fusion import AverageFusion, ClassWiseFusion, WeightedFusion, max_of_present, shared_out
from trainables.adamml.model import fuse
from trainables.adamml.stages import FUSION_SUFFIX, fusion_of
from trainables.adamml.steps import step

CONFIG = tiny_config()
CLASSES = 4


@pytest.mark.parametrize("kind", [WeightedFusion, ClassWiseFusion])
def test_learnable_weights_start_at_one_over_m_and_always_sum_to_one(kind):
    fusion = kind(3, CLASSES)
    ones = torch.ones(1, 1, 3, CLASSES)
    torch.testing.assert_close(fusion(ones), ones / 3)
    (free,) = fusion.parameters()
    free.data = torch.rand_like(free)
    torch.testing.assert_close(fusion(ones).sum(2), torch.ones(1, 1, CLASSES))


def test_average_counts_a_skipped_modality_as_zeros():
    contribution = AverageFusion(2, CLASSES)(torch.full((1, 1, 2, CLASSES), 6.0))
    assert torch.equal(fuse(contribution, torch.tensor([[[1.0, 0.0]]])), torch.full((1, CLASSES), 3.0))


def test_max_looks_at_what_is_there_only():
    logits_BSMC = torch.tensor([[[[1.0, -5.0], [-2.0, 3.0]]]])
    assert max_of_present(logits_BSMC, torch.tensor([[[True, True]]])).tolist() == [[[1.0, 3.0]]]
    assert max_of_present(logits_BSMC, torch.tensor([[[False, True]]])).tolist() == [[[-2.0, 3.0]]]
    assert max_of_present(logits_BSMC, torch.tensor([[[False, False]]])).tolist() == [[[0.0, 0.0]]]


def test_shared_out_logits_sum_to_the_fused_ones_over_what_is_there():
    logits_BSC = torch.randn(2, 1, CLASSES)
    present_BSM = torch.tensor([[[True, True, False]], [[False, True, False]]])
    contribution = shared_out(logits_BSC, present_BSM)
    torch.testing.assert_close((contribution * present_BSM[..., None]).sum(2), logits_BSC)


@pytest.mark.parametrize("name", FUSION_BASELINES)
def test_a_fusion_baseline_trains_recognition_and_its_own_fusion_only(name):
    model = new_model(CONFIG)
    batch = random_batch(CONFIG, videos=4, segments=3)
    step(model, CONFIG, batch, context(name + FUSION_SUFFIX, "recognition")).total.backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.recognition["rgb"].backbone.parameters())
    assert all(p.grad is None for p in model.policy.parameters())
    for other, fusion in model.fusion.items():
        for parameter in fusion.parameters():
            assert (parameter.grad is not None) == (other == name), other


@pytest.mark.parametrize("name", FUSION_BASELINES)
def test_the_logits_of_an_absent_modality_do_not_reach_a_fusion_baseline(name):
    model = new_model(CONFIG).eval()
    batch = random_batch(CONFIG, videos=2, segments=3, absent="audio")
    other = {**batch.inputs, "audio": batch.inputs["audio"] + 3}
    use = batch.present_BSM.float()
    with torch.no_grad():
        torch.testing.assert_close(
            fuse(model.fused(name, batch.inputs, use), use), fuse(model.fused(name, other, use), use)
        )


def test_only_fusion_baselines_name_a_fusion():
    assert fusion_of("class_wise_fusion") == "class_wise"
    assert [fusion_of(stage) for stage in ("warmup", "joint", "random_both", "unimodal.rgb")] == [None] * 4
