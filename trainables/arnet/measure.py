"""One inference pass of AR-Net: the backbones once on every frame, the end of the policy once for every setting of the knobs.

Axes: ``L`` setting, ``B`` video, ``T`` frame, ``A`` action, ``N`` video under some setting.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from trainables.arnet.actions import FRAME, LOOK, actions, shares
from trainables.arnet.config import LEVELS, LOWEST, ArNetConfig
from trainables.arnet.cost import cost_table, lstm_macs
from trainables.arnet.knobs import COST, SKIP, knobs
from trainables.arnet.loss import prices
from trainables.arnet.model import ArNet, video_logits
from trainables.arnet.policy import gumbel_onehot, onehot
from trainables.arnet.stages import FRAMES
from trainables.arnet.steps import frames_of, lowest_logits, random_actions
from trainables.contract import CONVENTIONS, POLICY_MODES, Batch, Convention, Data, Share
from trainables.kit import noise
from trainables.kit.frames.each import each_frame_replay
from trainables.kit.frames.knobs import DRAW, SAMPLED, by_frames, settings
from trainables.kit.frames.replay import frame_replay
from trainables.kit.measure.replay import ModalityReplay
from trainables.kit.measure.settings import NOT_ASKED, SettingReplay
from trainables.kit.measure.settings_pass import SettingOutput

_DRAW = 5  # purpose of the noise
MULTI_SCALE, LSTM = "multi_scale", "lstm"


def replay(
    model: nn.Module, config: ArNetConfig, data: Data, split: str, *, mode: str, seed: int, share: Share
) -> SettingReplay:
    """What ``mode`` gives for every video of ``split``, under every setting of the knobs where the policy decides."""
    assert isinstance(model, ArNet)
    device = next(model.parameters()).device
    chosen = by_frames(settings(knobs(config), mode), config.data.segments.test)
    if mode.startswith(FRAMES):
        chosen = {int(mode.removeprefix(FRAMES)): [{}]}
    return frame_replay(
        lambda settings: _Measured(model, config, mode, seed, settings),
        chosen,
        config,
        data,
        split,
        share=share,
        device=device,
    )


def every_frame(model: nn.Module, config: ArNetConfig, data: Data, split: str, *, share: Share) -> ModalityReplay:
    """What each resolution that can be chosen says of every frame, the policy's own as its state goes through all of them."""
    assert isinstance(model, ArNet)
    net = model
    levels = [a.level for a in model.actions if a.level is not None]

    def logits(batch: Batch) -> Tensor:
        x_BTCHW = frames_of(batch)
        found = {**net.all_logits(x_BTCHW), LOWEST: lowest_logits(net, x_BTCHW)}
        return torch.stack([found[level] for level in levels], 2)

    names = [config.share_of(level) for level in levels]
    counted = cost_table(config, model.classes).per_segment_macs
    macs = {c: {name: counted[c][name] for name in names} for c in CONVENTIONS}
    device = next(model.parameters()).device
    return each_frame_replay(logits, names, macs, config, data, split, share=share, device=device)


class _Measured:
    """The network in one decision mode, on batches of videos."""

    def __init__(
        self, model: ArNet, config: ArNetConfig, mode: str, seed: int, chosen: Sequence[Mapping[str, float]]
    ) -> None:
        self.model, self.config, self.mode, self.seed, self.settings = model, config, mode, seed, chosen
        self.cost = cost_table(config, model.classes)

    def __call__(self, batch: Batch) -> SettingOutput:
        device = next(self.model.parameters()).device
        batch = batch.to(device)
        x_BTCHW = frames_of(batch)
        key_BT = noise.keys(noise.mix(self.seed, _DRAW), batch.index_B[:, None], torch.arange(x_BTCHW.shape[1]))
        if self.mode in POLICY_MODES or self.mode.startswith(FRAMES):
            return self._decided(x_BTCHW, key_BT.to(device))
        return self._forced(x_BTCHW, key_BT.to(device))

    # --- decided by the policy ----------------------------------------------------------------------------------------

    def _decided(self, x_BTCHW: Tensor, key_BT: Tensor) -> SettingOutput:
        model, count = self.model, len(self.settings)
        logits = model.all_logits(x_BTCHW)
        feature_BTD = model.policy_features(x_BTCHW)
        videos = feature_BTD.shape[0]
        bias_NA = torch.stack([bias_of(self.config, setting) for setting in self.settings])
        bias_NA = bias_NA.to(x_BTCHW.device).repeat_interleave(videos, 0)
        draws = [draw_of(setting, self.mode) for setting in self.settings]

        def choose(logits_NA: Tensor, t: int) -> Tensor:
            biased_NA = logits_NA + bias_NA
            if all(number is None for number in draws):
                return onehot(biased_NA)
            return torch.cat(
                [
                    onehot(part_BA) if number is None else drawn(part_BA, key_BT[:, t], number)
                    for part_BA, number in zip(biased_NA.split(videos), draws, strict=True)
                ]
            )

        rollout = model.policy.roll(feature_BTD.repeat(count, 1, 1), choose)
        use = model.use(rollout.action_BTA)
        found = {level: logits_BTC.repeat(count, 1, 1) for level, logits_BTC in logits.items()}
        logits_NC = video_logits({**found, LOWEST: rollout.logits_BTC}, use)
        choice_NT = rollout.action_BTA.argmax(-1).masked_fill(~rollout.looked_BT, NOT_ASKED)
        return self._output(
            logits_NC.view(count, videos, -1),
            {self.config.share_of(level): use_NT.bool().view(count, videos, -1) for level, use_NT in use.items()}
            | {LOOK: rollout.looked_BT.view(count, videos, -1)},
            choice={FRAME: choice_NT.view(count, videos, -1)},
            policy=True,
        )

    # --- forced -------------------------------------------------------------------------------------------------------

    def _forced(self, x_BTCHW: Tensor, key_BT: Tensor) -> SettingOutput:
        """``all_on``, ``only.LEVEL``, ``random``, ``multi_scale``, ``lstm``: one setting. Only what the mode needs runs."""
        model, config = self.model, self.config
        every_BT = torch.ones(x_BTCHW.shape[:2], device=x_BTCHW.device)
        if self.mode == LSTM:
            net = model.net(LEVELS[0])
            feature_ND = net.features(model.at(LEVELS[0], x_BTCHW.flatten(0, 1)))
            logits_BC = model.lstm(feature_ND.view(*x_BTCHW.shape[:2], -1)).mean(1)
            return self._forced_output(logits_BC, {LEVELS[0]: every_BT}, policy=False)
        if self.mode == "random":
            rollout = random_actions(model, x_BTCHW, key_BT)
            use = model.use(rollout.action_BTA)
            logits = {**model.chosen_logits(x_BTCHW, use, None), LOWEST: rollout.logits_BTC}
            output = self._forced_output(video_logits(logits, use), use, policy=True)
            return replace(output, choice={FRAME: rollout.action_BTA.argmax(-1)[None]})
        levels = (*config.levels, LOWEST) if self.mode == MULTI_SCALE else (forced_level(self.mode),)
        logits = {}
        for level in levels:
            if level == LOWEST:
                logits[level] = lowest_logits(model, x_BTCHW)
            else:
                logits[level] = model.recognise(level, x_BTCHW.flatten(0, 1)).view(*x_BTCHW.shape[:2], -1)
        use = dict.fromkeys(levels, every_BT)
        return self._forced_output(video_logits(logits, use), use, policy=LOWEST in levels)

    def _forced_output(self, logits_BC: Tensor, use: Mapping[str, Tensor], *, policy: bool) -> SettingOutput:
        share = {self.config.share_of(level): use_BT.bool()[None] for level, use_BT in use.items()}
        looked_LBT = torch.full_like(next(iter(share.values())), policy)
        return self._output(
            logits_BC[None], {**share, LOOK: looked_LBT}, policy=policy, choice=self._forced_choice(use)
        )

    def _forced_choice(self, use: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The one level of every frame as if it had been chosen; nothing where levels are computed together."""
        names = [action.name for action in self.model.actions]
        (level, *others) = use
        if others or self.config.share_of(level) not in names:
            return {}
        index = names.index(self.config.share_of(level))
        return {FRAME: torch.full(use[level].shape, index, device=use[level].device)[None]}

    # --- common -------------------------------------------------------------------------------------------------------

    def _output(
        self,
        logits_LBC: Tensor,
        share: Mapping[str, Tensor],
        *,
        policy: bool,
        choice: Mapping[str, Tensor] | None = None,
    ) -> SettingOutput:
        nothing = torch.zeros_like(share[LOOK])
        every = {name: share.get(name, nothing) for name in shares(self.config)}
        return SettingOutput(
            logits_LBC=logits_LBC,
            share=every,
            gmacs={c: self._gmacs(c, every, policy=policy) for c in CONVENTIONS},
            choice=choice or {},
        )

    def _gmacs(self, convention: Convention, share: Mapping[str, Tensor], *, policy: bool) -> Tensor:
        macs = self.cost.per_segment_macs[convention]
        frames = share[LOOK].shape[2]
        used_LB = torch.stack([share_LBT.sum(2).double() * macs[name] for name, share_LBT in share.items()]).sum(0)
        if self.mode == LSTM:
            used_LB = used_LB + lstm_macs(self.config, self.model.classes)[convention] * frames
        always = self.cost.always_macs[convention] * frames if policy else 0
        return (used_LB + always) / 1e9


def bias_of(config: ArNetConfig, setting: Mapping[str, float]) -> Tensor:
    """``bias_A``: what a setting of the knobs adds to the policy's logits."""
    relative = config.model_copy(update={"price": "relative"})
    price_A = torch.tensor(prices(relative, classes=2))
    skip_A = torch.tensor([float(action.level is None) for action in actions(config)])
    return setting.get(SKIP, 0.0) * skip_A - setting.get(COST, 0.0) * price_A


def draw_of(setting: Mapping[str, float], mode: str) -> int | None:
    """The number of the draw under a setting; None where the likeliest action is taken."""
    if mode == "sampled":
        return int(setting.get(DRAW, 0))
    return 0 if setting.get(SAMPLED, 0) > 0.5 else None


def drawn(logits_BA: Tensor, key_B: Tensor, number: int) -> Tensor:
    """Actions drawn with the policy's probabilities: the ``number``-th draw of these frames."""
    uniform_BA = noise.uniform(noise.keys(_DRAW + number, key_B), logits_BA.shape[1])
    return onehot(gumbel_onehot(logits_BA, uniform_BA, 1.0))


def forced_level(mode: str) -> str:
    """The level of ``all_on`` and ``only.LEVEL``."""
    return LEVELS[0] if mode == "all_on" else mode.removeprefix("only.")
