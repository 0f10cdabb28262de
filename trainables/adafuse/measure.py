"""One inference pass of AdaFuse for every setting of the knobs: a decision changes what later blocks and frames see.

What is kept of the decisions is what the cost follows from: shares of a block's channels, frame by frame.

Axes: ``L`` setting, ``B`` video, ``T`` frame, ``A`` choice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from trainables.adafuse.config import AdaFuseConfig
from trainables.adafuse.cost import cost_table, lstm_macs
from trainables.adafuse.decide import (
    ALL_ON,
    CGNET,
    LACKING,
    LSTM,
    RANDOM,
    THRESHOLD,
    bias_of,
    blind,
    by_policy,
    draw_of,
)
from trainables.adafuse.gates import Usage
from trainables.adafuse.knobs import knobs
from trainables.adafuse.model import AdaFuse, everything
from trainables.adafuse.names import share_names
from trainables.adafuse.steps import frame_keys, frames_of
from trainables.contract import CONVENTIONS, POLICY_MODES, Batch, Convention, CostTable, Data, Share
from trainables.kit import noise
from trainables.kit.frames.each import each_frame_replay
from trainables.kit.frames.knobs import by_frames, settings
from trainables.kit.frames.replay import frame_replay
from trainables.kit.measure.replay import ModalityReplay
from trainables.kit.measure.settings import SettingReplay
from trainables.kit.measure.settings_pass import SettingOutput

_DRAW = 5  # purpose of the noise
FRAME = "frame"
DECIDING = (*POLICY_MODES, *LACKING)  # modes in which the policies run, and are charged


def replay(
    model: nn.Module, config: AdaFuseConfig, data: Data, split: str, *, mode: str, seed: int, share: Share
) -> SettingReplay:
    """What ``mode`` gives for every video of ``split``, under every setting of the knobs where the policies decide."""
    assert isinstance(model, AdaFuse)
    device = next(model.parameters()).device
    chosen = by_frames(settings(knobs(config), mode), config.data.segments.test)
    return frame_replay(
        lambda settings: Measured(model, config, mode, seed, settings),
        chosen,
        config,
        data,
        split,
        share=share,
        device=device,
    )


def every_frame(model: nn.Module, config: AdaFuseConfig, data: Data, split: str, *, share: Share) -> ModalityReplay:
    """What the plain network says of every frame by itself."""
    assert isinstance(model, AdaFuse)
    net = model

    def logits(batch: Batch) -> Tensor:
        return net.head(net.plain(frames_of(batch)))[:, :, None]

    cost = cost_table(config, model.classes)
    macs = {c: {FRAME: round(cost.all_on_gmacs(c) * 1e9 / cost.segments)} for c in CONVENTIONS}
    device = next(model.parameters()).device
    return each_frame_replay(logits, [FRAME], macs, config, data, split, share=share, device=device)


class Measured:
    """The network in one decision mode, on batches of videos."""

    def __init__(
        self, model: AdaFuse, config: AdaFuseConfig, mode: str, seed: int, chosen: Sequence[Mapping[str, float]]
    ) -> None:
        self.model, self.config, self.mode, self.seed, self.settings = model, config, mode, seed, chosen
        self.cost = cost_table(config, model.classes)

    def __call__(self, batch: Batch) -> SettingOutput:
        batch = batch.to(next(self.model.parameters()).device)
        x_BTCHW = frames_of(batch)
        key_BT = frame_keys(batch, x_BTCHW.shape[1], noise.mix(self.seed, _DRAW))
        found = [self._under(setting, x_BTCHW, key_BT) for setting in self.settings]
        shares = [shares_of(usage) for _, usage in found]
        share = {name: torch.stack([one[name] for one in shares]) for name in shares[0]}
        return SettingOutput(
            logits_LBC=torch.stack([logits_BC for logits_BC, _ in found]),
            share=share,
            gmacs={c: self._gmacs(c, share) for c in CONVENTIONS},
            steady=_steady([usage for _, usage in found]),
        )

    def _under(self, setting: Mapping[str, float], x_BTCHW: Tensor, key_BT: Tensor) -> tuple[Tensor, dict[str, Usage]]:
        """``logits_BC`` and what was used."""
        model, mode = self.model, self.mode
        if mode in (ALL_ON, LSTM):
            feature_BTD = model.plain(x_BTCHW)
            logits_BC = model.lstm(feature_BTD).mean(1) if mode == LSTM else model.logits(feature_BTD)
            return logits_BC, everything(model, key_BT)
        if mode == CGNET:
            feature_BTD, usage = model.gating.run(model.backbone, x_BTCHW)
            return model.logits(feature_BTD), usage
        if mode in (RANDOM, THRESHOLD):
            run = model.run(x_BTCHW, blind(model, self.config, mode, key_BT))
        else:
            run = model.run(x_BTCHW, by_policy(model, bias_of(setting, mode), key_BT, draw=draw_of(setting, mode)))
        return model.logits(run.feature_BTD), charged(run.usage, mode)

    def _gmacs(self, convention: Convention, share: Mapping[str, Tensor]) -> Tensor:
        """``gmacs_LB``."""
        total_LBT = torch.stack(
            [each.double() * self.cost.per_segment_macs[convention][n] for n, each in share.items()]
        )
        frames = total_LBT.shape[-1]
        fixed = fixed_macs(self.config, self.cost, self.model.classes, convention, self.mode)
        return (total_LBT.sum((0, 3)) + fixed * frames) / 1e9


def _steady(usages: Sequence[Mapping[str, Usage]]) -> dict[str, Tensor]:
    """``share_LBA`` by block, where something was chosen."""
    of = {block: [s for usage in usages if (s := usage[block].steady_BA) is not None] for block in usages[0]}
    return {block: torch.stack(each) for block, each in of.items() if each}


def charged(usage: Mapping[str, Usage], mode: str) -> dict[str, Usage]:
    """What is computed for a choice: norms are known of channels that were computed."""
    if mode != THRESHOLD:
        return dict(usage)
    return {name: replace(one, computed_BT=torch.ones_like(one.kept_BT)) for name, one in usage.items()}


def shares_of(usage: Mapping[str, Usage]) -> dict[str, Tensor]:
    """``share_BT`` by name."""
    found: dict[str, Tensor] = {}
    for block, one in usage.items():
        found |= dict(zip(share_names(block), (one.computed_BT, one.kept_BT, one.reused_BT), strict=True))
    return found


def fixed_macs(config: AdaFuseConfig, cost: CostTable, classes: int, convention: Convention, mode: str) -> int:
    """What a frame costs whatever is decided: plain parts, policies where they run, the LSTM of that baseline."""
    policy = cost.always_macs[convention] if mode in DECIDING else 0
    lstm = lstm_macs(config, classes)[convention] if mode == LSTM else 0
    return cost.plain_macs[convention] + policy + lstm
