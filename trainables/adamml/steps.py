"""One training step of each of AdaMML's stages."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from trainables.adamml.config import AdaMMLConfig
from trainables.adamml.loss import efficiency_loss
from trainables.adamml.model import AdaMML, draw, fuse
from trainables.contract import Batch, Loss, StepContext
from trainables.kit.temperature import temperature_at


def step(model: AdaMML, config: AdaMMLConfig, batch: Batch, context: StepContext) -> Loss:
    """Dispatch on the stage: unimodal.NAME, a baseline with forced decisions, or a stage with a policy."""
    if context.stage.startswith("unimodal."):
        return _unimodal(model, batch, context.stage.removeprefix("unimodal."))
    if context.stage == "weighted_fusion":
        return _recognition(model, batch, batch.present_BSM.float())
    if context.stage == "random_policy":
        coin_BSM = (
            torch.rand(batch.present_BSM.shape, generator=context.generator, device=batch.present_BSM.device) < 0.5
        )
        return _recognition(model, batch, (coin_BSM & batch.present_BSM).float())
    if context.pass_name == "policy":
        return _policy(model, config, batch, context)
    with torch.no_grad():  # the policy is frozen, and an unselected segment is times 0
        use_BSM = _sampled(model, config, batch, context)
    return _recognition(model, batch, use_BSM)


def _unimodal(model: AdaMML, batch: Batch, modality: str) -> Loss:
    """Cross-entropy on the mean of the segments' logits; without a signal a segment counts as zeros."""
    present_BS = batch.present_BSM[:, :, 0]  # a unimodal stage asks for its one modality
    logits_BC = (model.recognise(modality, batch.inputs[modality]) * present_BS[..., None]).mean(1)
    return Loss(total=F.cross_entropy(logits_BC, batch.label_B), logs={"accuracy": _accuracy(logits_BC, batch)})


def _recognition(model: AdaMML, batch: Batch, use_BSM: Tensor) -> Loss:
    logits_BC = fuse(model.segment_logits(batch.inputs), use_BSM)
    loss = F.cross_entropy(logits_BC, batch.label_B)
    return Loss(total=loss, logs={"accuracy": _accuracy(logits_BC, batch), **_rates(model, use_BSM)})


def _policy(model: AdaMML, config: AdaMMLConfig, batch: Batch, context: StepContext) -> Loss:
    """Cross-entropy plus Eq. 4; recognition is frozen, so its logits need no backward pass."""
    with torch.no_grad():
        segment_logits_BSMC = model.segment_logits(batch.inputs)
    use_BSM = _sampled(model, config, batch, context)
    logits_BC = fuse(segment_logits_BSMC, use_BSM)
    classification = F.cross_entropy(logits_BC, batch.label_B)
    efficiency = efficiency_loss(config, use_BSM, logits_BC, batch.label_B)
    logs: dict[str, float | Tensor] = {
        "classification": classification,
        "efficiency": efficiency,
        "accuracy": _accuracy(logits_BC, batch),
        "temperature": temperature_at(config.temperature, context.epoch, context.epochs),
        **_rates(model, use_BSM),
    }
    return Loss(total=classification + efficiency, logs=logs)


def _sampled(model: AdaMML, config: AdaMMLConfig, batch: Batch, context: StepContext) -> Tensor:
    # Outside the joint stage no gradient flows to the policy and a hard draw does not depend on the temperature.
    temperature = temperature_at(config.temperature, context.epoch, context.epochs) if context.stage == "joint" else 1.0
    use_BSM = draw(model.policy(batch.inputs), temperature=temperature, generator=context.generator)
    return use_BSM * batch.present_BSM


def _accuracy(logits_BC: Tensor, batch: Batch) -> Tensor:
    return (logits_BC.argmax(-1) == batch.label_B).float().mean()


def _rates(model: AdaMML, use_BSM: Tensor) -> dict[str, float | Tensor]:
    rate_M = use_BSM.detach().mean((0, 1))
    return {f"rate.{name}": rate_M[m] for m, name in enumerate(model.modalities)}
