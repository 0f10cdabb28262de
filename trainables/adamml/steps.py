"""One training step of each of AdaMML's stages.

Where recognition learns, an unselected segment is times 0: it reaches neither the loss nor a gradient. So by default
(``compute.mode: sparse``) the nets run on the selected segments only. The result differs from the dense computation in the
batch statistics alone, which then see what is used, as at inference.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from trainables.adamml.conditioning import draw_lambda
from trainables.adamml.config import AdaMMLConfig
from trainables.adamml.loss import efficiency_loss
from trainables.adamml.model import AdaMML, fuse
from trainables.adamml.policy import Policy
from trainables.adamml.stages import RANDOM_TRAINING, fusion_of
from trainables.contract import Batch, Loss, StepContext
from trainables.kit import noise
from trainables.kit.nets.classify import classification_loss, hits, truth_of
from trainables.kit.temperature import temperature_at

_COIN = 2  # purpose of the noise of random decisions


def step(model: AdaMML, config: AdaMMLConfig, batch: Batch, context: StepContext) -> Loss:
    """Dispatch on the stage: unimodal.NAME, a baseline with forced decisions, or a stage with a policy."""
    batch = _sites_only(model, batch)
    key_BS = segment_keys(batch, context.noise)
    if context.stage.startswith("unimodal."):
        return _unimodal(model, batch, context.stage.removeprefix("unimodal."), key_BS)
    if (fusion := fusion_of(context.stage)) is not None:
        contribution_BSMC = model.fused(fusion, batch.inputs, batch.present_BSM, key_BS)
        return _classification(model, batch, contribution_BSMC, batch.present_BSM.float())
    if context.pass_name == "policy":
        return _policy(model, config, batch, context, key_BS)
    return _recognition(model, config, batch, _decisions(model, config, batch, context, key_BS), key_BS)


def segment_keys(batch: Batch, noise_seed: int) -> Tensor:
    """``key_BS``: a key for the noise of each segment of each video."""
    segments = batch.present_BSM.shape[1]
    return noise.keys(noise_seed, batch.index_B[:, None], torch.arange(segments)).to(batch.present_BSM.device)


def _sites_only(model: AdaMML, batch: Batch) -> Batch:
    """``present_BSM`` without the inputs that only the policy looks at, which come last."""
    present_BSM = batch.present_BSM[..., : len(model.modalities)]
    return replace(batch, present_BSM=present_BSM)


def _unimodal(model: AdaMML, batch: Batch, modality: str, key_BS: Tensor) -> Loss:
    """Cross-entropy on the mean of the segments' logits; without a signal a segment counts as zeros."""
    present_BS = batch.present_BSM[:, :, 0]  # a unimodal stage asks for its one modality
    logits_BC = model.recognise_chosen(modality, batch.inputs[modality], present_BS, key_BS).mean(1)
    truth_BC = truth_of(batch, model.classes)
    accuracy = hits(logits_BC, truth_BC).mean()
    return Loss(total=classification_loss(logits_BC, truth_BC), logs={"accuracy": accuracy})


def drawn_lambda(config: AdaMMLConfig, batch: Batch, context: StepContext) -> Tensor | None:
    """``lambda_BM`` of a conditioned policy's videos; the warm-up's policy knows nothing of them yet."""
    if not config.conditioned or context.stage == "warmup":
        return None
    if context.pass_name == "recognition" and config.policy.draws.recognition == "middle":
        return None
    return draw_lambda(config, noise.keys(context.noise, batch.index_B)).to(batch.present_BSM.device)


def _decisions(model: AdaMML, config: AdaMMLConfig, batch: Batch, context: StepContext, key_BS: Tensor) -> Tensor:
    """``use_BSM`` of a pass that trains recognition: a coin in random training, else the frozen policy's draws."""
    if context.stage in RANDOM_TRAINING:
        coin_BSM = noise.uniform(noise.keys(_COIN, key_BS), len(model.modalities)) < 0.5
        return (coin_BSM & batch.present_BSM.bool()).float()
    with torch.no_grad():
        # No gradient flows to the policy here, and a hard draw does not depend on the temperature.
        logits_BSD2 = model.policy(batch.inputs, drawn_lambda(config, batch, context))
        return model.policy.draw(logits_BSD2, temperature=1.0, key_BS=key_BS) * batch.present_BSM


def _recognition(model: AdaMML, config: AdaMMLConfig, batch: Batch, use_BSM: Tensor, key_BS: Tensor) -> Loss:
    if config.compute.mode == "sparse":
        logits_BSMC = model.chosen_logits(batch.inputs, use_BSM, key_BS)
    else:
        logits_BSMC = model.all_logits(batch.inputs, key_BS)
    return _classification(model, batch, model.contributions(logits_BSMC), use_BSM)


def _classification(model: AdaMML, batch: Batch, contribution_BSMC: Tensor, use_BSM: Tensor) -> Loss:
    logits_BC = fuse(contribution_BSMC, use_BSM)
    truth_BC = truth_of(batch, model.classes)
    logs = {"accuracy": hits(logits_BC, truth_BC).mean(), **_rates(model.modalities, use_BSM)}
    return Loss(total=classification_loss(logits_BC, truth_BC), logs=logs)


def _policy(model: AdaMML, config: AdaMMLConfig, batch: Batch, context: StepContext, key_BS: Tensor) -> Loss:
    """Cross-entropy plus Eq. 4. Recognition is frozen: its logits, of every segment, need no backward pass.

    Of every segment, since the straight-through gradient of a skipped one is what using it would have changed.
    """
    with torch.no_grad():
        contribution_BSMC = model.contributions(model.all_logits(batch.inputs, key_BS))
    lambda_BM = drawn_lambda(config, batch, context)
    logits_BSD2 = model.policy(batch.inputs, lambda_BM)
    return policy_loss(
        model.policy, config, batch, context, logits_BSD2=logits_BSD2, contribution_BSMC=contribution_BSMC
    )


def policy_loss(
    policy: Policy,
    config: AdaMMLConfig,
    batch: Batch,
    context: StepContext,
    *,
    logits_BSD2: Tensor,
    contribution_BSMC: Tensor,
) -> Loss:
    """The loss of the joint stage's policy pass from the policy's logits and what recognition gives; nothing else is computed."""
    key_BS = segment_keys(batch, context.noise)
    temperature = temperature_at(config.temperature, context.epoch, context.epochs)
    lambda_BM = drawn_lambda(config, batch, context)
    use_BSM = policy.draw(logits_BSD2, temperature=temperature, key_BS=key_BS) * batch.present_BSM
    logits_BC = fuse(contribution_BSMC, use_BSM)
    truth_BC = truth_of(batch, contribution_BSMC.shape[-1])
    classification = classification_loss(logits_BC, truth_BC)
    efficiency = efficiency_loss(config, use_BSM, logits_BC, truth_BC, lambda_BM)
    logs: dict[str, float | Tensor] = {
        "classification": classification,
        "efficiency": efficiency,
        "accuracy": hits(logits_BC, truth_BC).mean(),
        "temperature": temperature,
        **_rates(policy.modalities, use_BSM),
    }
    return Loss(total=classification + efficiency, logs=logs)


def _rates(modalities: Sequence[str], use_BSM: Tensor) -> dict[str, float | Tensor]:
    rate_M = use_BSM.detach().mean((0, 1))
    return {f"rate.{name}": rate_M[m] for m, name in enumerate(modalities)}
