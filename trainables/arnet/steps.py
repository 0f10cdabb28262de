"""One training step of each of AR-Net's stages.

Where only recognition learns, a frame is computed at the resolution that was chosen and at no other. Where the policy learns, every
backbone runs on every frame: the straight-through gradient of an action that was not taken is what taking it would have changed.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from trainables.arnet.config import LEVELS, LOWEST, ArNetConfig
from trainables.arnet.loss import efficiency_loss, prices, uniformity_loss
from trainables.arnet.model import ArNet, video_logits, with_lowest
from trainables.arnet.policy import Rollout, gumbel_onehot, onehot
from trainables.arnet.stages import WARMUP
from trainables.contract import Batch, Loss, StepContext
from trainables.kit import noise
from trainables.kit.frames.config import INPUT
from trainables.kit.nets.classify import classification_loss, hits, truth_of
from trainables.kit.temperature import temperature_at

_GUMBEL, _COIN, _DROPOUT = 1, 2, 3  # purposes of the noise


def step(model: ArNet, config: ArNetConfig, batch: Batch, context: StepContext) -> Loss:
    """Dispatch on the stage."""
    x_BTCHW = frames_of(batch)
    key_BT = frame_keys(batch, x_BTCHW.shape[1], context.noise)
    if context.stage.startswith(WARMUP):
        return _single(model, batch, x_BTCHW, context.stage.removeprefix(WARMUP), key_BT)
    if context.stage == "uniform":
        return _single(model, batch, x_BTCHW, LEVELS[0], key_BT)
    if context.stage == "lstm":
        return _classified(model, batch, model.lstm(_high_features(model, x_BTCHW, key_BT)).mean(1), {})
    if context.stage == "multi_scale":
        return _multi_scale(model, batch, x_BTCHW, key_BT)
    if context.pass_name == "recognition":
        return _recognition(model, batch, context, x_BTCHW, key_BT)
    return _policy(model, config, batch, context, x_BTCHW, key_BT)


def frames_of(batch: Batch) -> Tensor:
    """``x_BTCHW``: a segment is one frame."""
    return batch.inputs[INPUT].flatten(1, 2)


def frame_keys(batch: Batch, frames: int, noise_seed: int) -> Tensor:
    """``key_BT``: a key for the noise of each frame of each video."""
    return noise.keys(noise_seed, batch.index_B[:, None], torch.arange(frames)).to(batch.label_B.device)


def draw(model: ArNet, x_BTCHW: Tensor, key_BT: Tensor, temperature: float) -> Rollout:
    """The policy's own draws."""

    def choose(logits_BA: Tensor, t: int) -> Tensor:
        uniform_BA = noise.uniform(noise.keys(_GUMBEL, key_BT[:, t]), logits_BA.shape[1])
        return gumbel_onehot(logits_BA, uniform_BA, temperature)

    return model.policy.roll(model.policy_features(x_BTCHW), choose, noise.keys(_DROPOUT, key_BT))


def random_actions(model: ArNet, x_BTCHW: Tensor, key_BT: Tensor) -> Rollout:
    """Every frame gets an action with equal probability, whatever came before: a skip skips the frame itself."""
    uniform_BTA = noise.uniform(noise.keys(_COIN, key_BT), len(model.actions))
    return _every_frame(model, x_BTCHW, onehot(uniform_BTA), None)


def _every_frame(model: ArNet, x_BTCHW: Tensor, action_BTA: Tensor, key_BT: Tensor | None) -> Rollout:
    """The policy looks at every frame, whatever is done with them."""
    first = torch.zeros(len(model.actions), device=x_BTCHW.device)
    first[0] = 1.0  # a resolution: the next frame is looked at
    rollout = model.policy.roll(model.policy_features(x_BTCHW), lambda logits_BA, t: first.expand_as(logits_BA), key_BT)
    return Rollout(
        action_BTA=action_BTA,
        looked_BT=rollout.looked_BT,
        logits_BTC=rollout.logits_BTC,
        raw_BTA=rollout.raw_BTA,
    )


def lowest_logits(model: ArNet, x_BTCHW: Tensor, key_BT: Tensor | None = None) -> Tensor:
    """``logits_BTC`` of the policy's own resolution, every frame looked at."""
    nothing_BTA = x_BTCHW.new_zeros(*x_BTCHW.shape[:2], len(model.actions))
    return _every_frame(model, x_BTCHW, nothing_BTA, key_BT).logits_BTC


def _single(model: ArNet, batch: Batch, x_BTCHW: Tensor, level: str, key_BT: Tensor) -> Loss:
    """One resolution on every frame."""
    if level == LOWEST:
        return _classified(model, batch, lowest_logits(model, x_BTCHW, noise.keys(_DROPOUT, key_BT)).mean(1), {})
    logits_NC = model.recognise(level, x_BTCHW.flatten(0, 1), key_BT.flatten())
    return _classified(model, batch, logits_NC.view(*x_BTCHW.shape[:2], -1).mean(1), {})


def _high_features(model: ArNet, x_BTCHW: Tensor, key_BT: Tensor) -> Tensor:
    net = model.net(LEVELS[0])
    feature_ND = net.dropout(net.features(model.at(LEVELS[0], x_BTCHW.flatten(0, 1))), key_BT.flatten())
    return feature_ND.view(*x_BTCHW.shape[:2], -1)


def _multi_scale(model: ArNet, batch: Batch, x_BTCHW: Tensor, key_BT: Tensor) -> Loss:
    logits = {LOWEST: lowest_logits(model, x_BTCHW, noise.keys(_DROPOUT, key_BT)), **model.all_logits(x_BTCHW, key_BT)}
    return _classified(model, batch, torch.stack([each.mean(1) for each in logits.values()]).mean(0), {})


def _recognition(model: ArNet, batch: Batch, context: StepContext, x_BTCHW: Tensor, key_BT: Tensor) -> Loss:
    """The backbones learn from what was drawn. The policy is frozen, so a hard draw is all that is needed of it."""
    with torch.no_grad():
        if context.stage == "random":
            rollout = random_actions(model, x_BTCHW, key_BT)
        else:
            rollout = draw(model, x_BTCHW, key_BT, temperature=1.0)
        use = model.use(rollout.action_BTA.round())  # the straight-through sum is 1 or 0 but for rounding
    logits = with_lowest(model.chosen_logits(x_BTCHW, use, key_BT), rollout)
    return _classified(model, batch, video_logits(logits, use), rates(model, rollout))


def _policy(
    model: ArNet, config: ArNetConfig, batch: Batch, context: StepContext, x_BTCHW: Tensor, key_BT: Tensor
) -> Loss:
    """Eq. 12. In a pass of the policy alone the backbones are frozen, and need no backward pass."""
    with torch.set_grad_enabled(context.pass_name != "policy"):
        logits = model.all_logits(x_BTCHW, key_BT)
    temperature = temperature_at(config.temperature, context.epoch, context.epochs)
    rollout = draw(model, x_BTCHW, key_BT, temperature)
    use = model.use(rollout.action_BTA)
    logits_BC = video_logits(with_lowest(logits, rollout), use)
    price_A = torch.tensor(prices(config, model.classes), device=x_BTCHW.device)
    efficiency = efficiency_loss(rollout.action_BTA, price_A)
    uniformity = uniformity_loss(rollout.action_BTA, config.uniform)
    more = {"efficiency": efficiency, "uniformity": uniformity, "temperature": temperature, **rates(model, rollout)}
    classified = _classified(model, batch, logits_BC, more)
    total = (1 - config.alpha) * classified.total + config.alpha * efficiency + config.beta * uniformity
    return Loss(total=total, logs={"classification": classified.total, **classified.logs})


def _classified(model: ArNet, batch: Batch, logits_BC: Tensor, logs: Mapping[str, float | Tensor]) -> Loss:
    truth_BC = truth_of(batch, model.classes)
    accuracy = hits(logits_BC, truth_BC).mean()
    return Loss(total=classification_loss(logits_BC, truth_BC), logs={"accuracy": accuracy, **logs})


def rates(model: ArNet, rollout: Rollout) -> dict[str, float | Tensor]:
    """Share of the frames of each action, and of those looked at."""
    rate_A = rollout.action_BTA.detach().mean((0, 1))
    found = {f"rate.{action.name}": rate_A[i] for i, action in enumerate(model.actions)}
    return {**found, "rate.look": rollout.looked_BT.float().mean()}
