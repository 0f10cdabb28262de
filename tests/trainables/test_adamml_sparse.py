"""Training that does not compute what is thrown away equals the dense computation, with batch statistics fixed."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from tests.trainables.adamml_parts import context, new_model, random_batch, tiny_config
from trainables.adamml.steps import step

SPARSE, DENSE = tiny_config(), tiny_config({"compute": {"mode": "dense"}})
TRAINED = ("recognition", "fusion")


def step_of(config, stage, *, absent=""):
    """Loss and gradients of a recognition step, batch norm in eval mode, dropout on."""
    model = new_model(config)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.eval()
    batch = random_batch(config, videos=6, segments=4, absent=absent)
    loss = step(model, config, batch, context(stage, "recognition"))
    loss.total.backward()
    return loss, {name: p.grad for name, p in model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("absent", ["", "audio"])
@pytest.mark.parametrize("stage", ["warmup", "joint", "finetune", "random_both", "random_train"])
def test_sparse_equals_dense_in_loss_logs_and_gradients(stage, absent):
    sparse, sparse_grads = step_of(SPARSE, stage, absent=absent)
    dense, dense_grads = step_of(DENSE, stage, absent=absent)
    torch.testing.assert_close(sparse.total, dense.total)
    assert sparse.logs.keys() == dense.logs.keys()
    for name in sparse.logs:
        torch.testing.assert_close(torch.as_tensor(sparse.logs[name]), torch.as_tensor(dense.logs[name]))
    assert sparse_grads.keys() == dense_grads.keys()
    for name, gradient in sparse_grads.items():
        torch.testing.assert_close(gradient, dense_grads[name], rtol=1e-4, atol=1e-6, msg=name)


def test_a_sparse_step_computes_the_chosen_share_of_each_dense_network():
    batch = random_batch(SPARSE, videos=8, segments=5)
    whole = {}
    for modality in ("rgb", "audio"):
        with FlopCounterMode(display=False) as counter:
            new_model(SPARSE).recognise(modality, batch.inputs[modality]).sum().backward()
        whole[modality] = counter.get_total_flops()
    with FlopCounterMode(display=False) as counter:
        loss = step(new_model(SPARSE), SPARSE, batch, context("random_both", "recognition"))
        loss.total.backward()
    expected = sum(float(loss.logs[f"rate.{modality}"]) * flops for modality, flops in whole.items())
    assert counter.get_total_flops() == pytest.approx(expected, rel=1e-6)


def test_the_key_of_a_stage_tells_sparse_from_dense():
    from trainables.adamml.stages import main_stages

    for sparse, dense in zip(main_stages(SPARSE), main_stages(DENSE), strict=True):
        assert (sparse.depends != dense.depends) is (sparse.name in ("warmup", "joint", "finetune"))
