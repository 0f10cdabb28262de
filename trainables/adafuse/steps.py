"""One training step of each of AdaFuse's stages. All channels are computed: a choice learns from what the others would change."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from trainables.adafuse.config import AdaFuseConfig
from trainables.adafuse.decide import ADA_REUSE, ADA_SKIP, CGNET, LSTM, RANDOM, THRESHOLD, bias_of, blind, by_policy
from trainables.adafuse.gates import Usage
from trainables.adafuse.loss import price
from trainables.adafuse.model import AdaFuse
from trainables.contract import Batch, Loss, StepContext
from trainables.kit import noise
from trainables.kit.frames.config import INPUT
from trainables.kit.nets.classify import classification_loss, hits, truth_of
from trainables.kit.temperature import temperature_at

_DROPOUT = 3  # purpose of the noise


def step(model: AdaFuse, config: AdaFuseConfig, batch: Batch, context: StepContext) -> Loss:
    """Dispatch on the stage: plain network, LSTM, channel gating, no policy, or policies."""
    x_BTCHW = frames_of(batch)
    key_BT = frame_keys(batch, x_BTCHW.shape[1], context.noise)
    dropout_BT = noise.keys(_DROPOUT, key_BT)
    if context.stage == LSTM:
        feature_BTD = model.plain(x_BTCHW)
        dropped_ND = model.dropout(feature_BTD.flatten(0, 1), dropout_BT.flatten())
        return _classified(model, batch, model.lstm(dropped_ND.view_as(feature_BTD)).mean(1), {})
    if context.stage == CGNET:
        return _gated(model, config, batch, x_BTCHW, dropout_BT)
    if context.stage in (RANDOM, THRESHOLD):
        run = model.run(x_BTCHW, blind(model, config, context.stage, key_BT))
        return _classified(model, batch, model.logits(run.feature_BTD, dropout_BT), rates(run.usage))
    if context.stage in ("joint", ADA_SKIP, ADA_REUSE):
        return _decided(model, config, batch, context, x_BTCHW, key_BT)
    return _classified(model, batch, model.logits(model.plain(x_BTCHW), dropout_BT), {})


def _gated(model: AdaFuse, config: AdaFuseConfig, batch: Batch, x_BTCHW: Tensor, dropout_BT: Tensor) -> Loss:
    """Cross-entropy, and what draws the thresholds to their target."""
    feature_BTD, usage = model.gating.run(model.backbone, x_BTCHW)
    threshold = model.gating.threshold_loss(config.fixed.cgnet.target)
    classified = _classified(
        model, batch, model.logits(feature_BTD, dropout_BT), {"threshold": threshold, **rates(usage)}
    )
    total = classified.total + config.fixed.cgnet.weight * threshold
    return Loss(total=total, logs={"classification": classified.total, **classified.logs})


def frames_of(batch: Batch) -> Tensor:
    """``x_BTCHW``: a segment is one frame."""
    return batch.inputs[INPUT].flatten(1, 2)


def frame_keys(batch: Batch, frames: int, noise_seed: int) -> Tensor:
    """``key_BT``: a key for the noise of each frame of each video."""
    return noise.keys(noise_seed, batch.index_B.cpu()[:, None], torch.arange(frames)).to(batch.label_B.device)


def _decided(
    model: AdaFuse, config: AdaFuseConfig, batch: Batch, context: StepContext, x_BTCHW: Tensor, key_BT: Tensor
) -> Loss:
    """Eq. 6, with drawn decisions."""
    temperature = temperature_at(config.temperature, context.epoch, context.epochs)
    choose = by_policy(model, bias_of({}, context.stage), key_BT, draw=0, temperature=temperature)
    run = model.run(x_BTCHW, choose)
    cost = price(config, run.usage, model.classes)
    logs = {"price": cost, "temperature": temperature, **rates(run.usage)}
    classified = _classified(model, batch, model.logits(run.feature_BTD, noise.keys(_DROPOUT, key_BT)), logs)
    total = classified.total + config.lambda_ * cost
    return Loss(total=total, logs={"classification": classified.total, **classified.logs})


def _classified(model: AdaFuse, batch: Batch, logits_BC: Tensor, logs: Mapping[str, float | Tensor]) -> Loss:
    truth_BC = truth_of(batch, model.classes)
    accuracy = hits(logits_BC, truth_BC).mean()
    return Loss(total=classification_loss(logits_BC, truth_BC), logs={"accuracy": accuracy, **logs})


def rates(usage: Mapping[str, Usage]) -> dict[str, float | Tensor]:
    """Means over blocks of the shares of channels that were computed, kept and reused."""
    each = list(usage.values())
    return {
        "rate.computed": torch.stack([one.computed_BT.detach().mean() for one in each]).mean(),
        "rate.kept": torch.stack([one.kept_BT.detach().mean() for one in each]).mean(),
        "rate.reused": torch.stack([one.reused_BT.detach().mean() for one in each]).mean(),
    }
