"""Video files through AR-Net, frame by frame: what is skipped is neither decoded (as far as the codec allows) nor looked at.

Axes: ``A`` action, ``C`` class.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from trainables.arnet.actions import LOOK, shares
from trainables.arnet.config import LEVELS, LOWEST, ArNetConfig
from trainables.arnet.cost import cost_table, lstm_macs
from trainables.arnet.measure import LSTM, MULTI_SCALE, bias_of, draw_of, drawn, forced_level
from trainables.arnet.model import ArNet
from trainables.arnet.policy import onehot
from trainables.arnet.stages import FRAMES
from trainables.contract import CONVENTIONS, POLICY_MODES, Convention, Decision, Prediction, SegmentPrediction
from trainables.kit import noise
from trainables.kit.data.dataset import load_file
from trainables.kit.frames.config import INPUT
from trainables.kit.frames.knobs import FRAMES as FRAMES_KNOB


@dataclass(kw_only=True)
class _Progress:
    """Where a video stands. ``left``: frames that are still to be skipped; ``used``: frames by share."""

    state: tuple[Tensor, Tensor] | None = None
    baseline: tuple[Tensor, Tensor] | None = None
    left: int = 0
    frames: int = 0
    total_C: Tensor
    count: int = 0
    used: dict[str, int] = field(default_factory=dict)


class Runner:
    """A network, how it decides, and what its parts cost: all that stays the same from video to video."""

    def __init__(self, model: ArNet, config: ArNetConfig, knobs: Mapping[str, float], mode: str) -> None:
        self.model, self.config, self.mode, self.knobs = model, config, mode, knobs
        self.cost = cost_table(config, model.classes)
        self.frames = int(knobs.get(FRAMES_KNOB, config.data.segments.test))
        if mode.startswith(FRAMES):
            self.frames = int(mode.removeprefix(FRAMES))
        self._bias_A = bias_of(config, knobs).to(self._device)
        self._draw = draw_of(knobs, mode)

    def predict(self, video: Path) -> Prediction:
        """One file. Raises ``UserError`` where it does not decode."""
        pieces = list(self.stream(video))
        last = pieces[-1]
        return Prediction(
            probability_C=last.probability_C,
            decisions=[decision for piece in pieces for decision in piece.decisions],
            gmacs=last.gmacs,
        )

    def stream(self, video: Path) -> Iterator[SegmentPrediction]:
        """Each frame's decisions as soon as it is its turn, and the prediction so far; the last is that of the whole video."""
        loaded = load_file(video, self.config.data, segments=self.frames)
        progress = _Progress(total_C=torch.zeros(self.model.classes))
        for t, (start_s, end_s) in enumerate(zip(loaded.start_s_S, loaded.end_s_S, strict=True)):
            used: set[str] = set()
            if progress.left == 0:
                with torch.no_grad():
                    used = self._frame(loaded.read(INPUT, [t]).to(self._device)[:, 0], t, progress)
            progress.left = max(0, progress.left - 1)
            progress.frames += 1
            for name in used:
                progress.used[name] = progress.used.get(name, 0) + 1
            yield SegmentPrediction(
                index=t,
                start_s=start_s,
                end_s=end_s,
                decisions=[
                    Decision(site=name, index=t, start_s=start_s, end_s=end_s, choice="use" if name in used else "skip")
                    for name in shares(self.config)
                ],
                probability_C=(progress.total_C / max(1, progress.count)).softmax(-1).tolist(),
                gmacs={convention: self._gmacs(convention, progress) for convention in CONVENTIONS},
            )

    def _frame(self, x_1CHW: Tensor, t: int, progress: _Progress) -> set[str]:
        """Compute what is asked of one frame, add its logits up, and say what was used."""
        if self.mode == LSTM:
            return self._lstm(x_1CHW, progress)
        levels, logits_1C = self._levels(x_1CHW, t, progress)
        used = {self.config.share_of(level) for level in levels}
        for level in levels:
            found_1C = logits_1C if level == LOWEST else self.model.recognise(level, x_1CHW)
            assert found_1C is not None
            progress.total_C = progress.total_C + found_1C[0].float().cpu()
            progress.count += 1
        return used if logits_1C is None else used | {LOOK}

    def _levels(self, x_1CHW: Tensor, t: int, progress: _Progress) -> tuple[tuple[str, ...], Tensor | None]:
        """The resolutions to compute, and the policy's own class logits where it looked."""
        actions = self.model.actions
        decides = self.mode in POLICY_MODES or self.mode.startswith(FRAMES)
        if decides or self.mode in ("random", MULTI_SCALE, f"only.{LOWEST}"):
            policy = self.model.policy
            feature_1D = policy.features(self.model.at(LOWEST, x_1CHW))
            raw_1A, progress.state = policy.look(feature_1D, progress.state or policy.initial_state(feature_1D))
            logits_1C = policy.head(progress.state[0])
            if decides:
                biased_1A, key_1 = raw_1A + self._bias_A, noise.keys(0, torch.tensor([t]))
                taken_1A = onehot(biased_1A) if self._draw is None else drawn(biased_1A, key_1, self._draw)
                chosen = actions[int(taken_1A.argmax())]
                progress.left = chosen.frames
            elif self.mode == "random":
                chosen = actions[int(torch.randint(len(actions), ()))]
            else:
                levels = (*self.config.levels, LOWEST) if self.mode == MULTI_SCALE else (LOWEST,)
                return levels, logits_1C
            return (() if chosen.level is None else (chosen.level,)), logits_1C
        return (forced_level(self.mode),), None

    def _lstm(self, x_1CHW: Tensor, progress: _Progress) -> set[str]:
        level, head = LEVELS[0], self.model.lstm
        feature_1D = self.model.net(level).features(self.model.at(level, x_1CHW))
        zeros = feature_1D.new_zeros(1, head.lstm.hidden_size)
        progress.baseline = head.lstm(feature_1D, progress.baseline or (zeros, zeros))
        progress.total_C = progress.total_C + head.head(progress.baseline[0])[0].float().cpu()
        progress.count += 1
        return {self.config.share_of(level)}

    def _gmacs(self, convention: Convention, progress: _Progress) -> float:
        macs = self.cost.per_segment_macs[convention]
        used = sum(macs[name] * count for name, count in progress.used.items())
        if self.mode == LSTM:
            used += lstm_macs(self.config, self.model.classes)[convention] * progress.frames
        always = self.cost.always_macs[convention] * progress.frames if progress.used.get(LOOK) else 0
        return (used + always) / 1e9

    @property
    def _device(self) -> torch.device:
        return next(self.model.parameters()).device
