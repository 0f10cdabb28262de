"""Video files through AdaFuse: channels that are skipped or reused are not computed.

A frame's first convolutions have to know which of their channels the next frame reuses, so a video is seen as a whole.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from trainables.adafuse.config import AdaFuseConfig
from trainables.adafuse.cost import cost_table
from trainables.adafuse.decide import ALL_ON, CGNET, LSTM, RANDOM, THRESHOLD, bias_of, blind, by_policy, draw_of
from trainables.adafuse.gates import Usage
from trainables.adafuse.measure import charged, fixed_macs, shares_of
from trainables.adafuse.model import AdaFuse, everything
from trainables.adafuse.sparse import run_sparse
from trainables.contract import CONVENTIONS, Convention, Decision, Prediction
from trainables.kit import noise
from trainables.kit.data.dataset import load_file
from trainables.kit.frames.config import INPUT
from trainables.kit.frames.knobs import FRAMES


class Runner:
    """A network, how it decides, and what its parts cost: all that stays the same from video to video."""

    def __init__(self, model: AdaFuse, config: AdaFuseConfig, knobs: Mapping[str, float], mode: str) -> None:
        self.model, self.config, self.knobs, self.mode = model, config, knobs, mode
        self.cost = cost_table(config, model.classes)
        self.frames = int(knobs.get(FRAMES, config.data.segments.test))

    def predict(self, video: Path) -> Prediction:
        """One file. Raises ``UserError`` where it does not decode."""
        loaded = load_file(video, self.config.data, segments=self.frames)
        frames = len(loaded.start_s_S)
        x_TCHW = loaded.read(INPUT, list(range(frames)))[:, 0]
        with torch.no_grad():
            logits_C, usage = self._seen(x_TCHW.to(next(self.model.parameters()).device)[None])
        share = {name: each_BT[0].cpu() for name, each_BT in shares_of(usage).items()}
        return Prediction(
            probability_C=logits_C.float().softmax(-1).tolist(),
            decisions=[
                Decision(
                    site=name,
                    index=t,
                    start_s=loaded.start_s_S[t],
                    end_s=loaded.end_s_S[t],
                    choice="use" if share_T[t] > 0 else "skip",
                    share=float(share_T[t]),
                )
                for t in range(frames)
                for name, share_T in share.items()
            ],
            gmacs={convention: self._gmacs(convention, share, frames) for convention in CONVENTIONS},
        )

    def _seen(self, x_1TCHW: Tensor) -> tuple[Tensor, dict[str, Usage]]:
        """``logits_C`` and what was used."""
        model, mode = self.model, self.mode
        key_1T = noise.keys(0, torch.arange(x_1TCHW.shape[1]))[None].to(x_1TCHW.device)
        if mode in (ALL_ON, LSTM):
            feature_BTD = model.plain(x_1TCHW)
            logits_BC = model.lstm(feature_BTD).mean(1) if mode == LSTM else model.logits(feature_BTD)
            return logits_BC[0], everything(model, key_1T)
        if mode == CGNET:
            feature_BTD, usage = model.gating.run(model.backbone, x_1TCHW)
            return model.logits(feature_BTD)[0], usage
        if mode in (RANDOM, THRESHOLD):
            run = model.run(x_1TCHW, blind(model, self.config, mode, key_1T))
        else:
            draw = draw_of(self.knobs, mode)
            run = run_sparse(model, x_1TCHW, by_policy(model, bias_of(self.knobs, mode), key_1T, draw=draw))
        return model.logits(run.feature_BTD)[0], charged(run.usage, mode)

    def _gmacs(self, convention: Convention, share: Mapping[str, Tensor], frames: int) -> float:
        macs = self.cost.per_segment_macs[convention]
        used = sum(macs[name] * float(share_T.double().sum()) for name, share_T in share.items())
        fixed = fixed_macs(self.config, self.cost, self.model.classes, convention, self.mode)
        return (used + fixed * frames) / 1e9
