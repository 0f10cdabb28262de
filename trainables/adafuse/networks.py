"""AdaFuse as a module of plain tensors, which can be exported: whole videos, every channel computed and then masked.

Axes: ``N`` video, ``T`` frame, ``A`` choice, ``P`` block that decides.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from trainables.adafuse.config import AdaFuseConfig
from trainables.adafuse.gates import onehot
from trainables.adafuse.model import AdaFuse
from trainables.adafuse.names import CHOICES, SHARES
from trainables.contract import Network


class WholeVideo(nn.Module):
    """``(x_NTCHW, bias_NA) -> (logits_NC, computed_NTP, kept_NTP, reused_NTP)``; without bias, the policies as trained: zeros."""

    def __init__(self, model: AdaFuse) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor, bias: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Class logits, and of each block the shares of its channels."""
        frames = x.shape[1]

        def choose(name: str, x_NCHW: Tensor, y_NKHW: Tensor) -> Tensor:
            return onehot(self.model.policy(name, x_NCHW, frames) + bias[:, None, None])

        run = self.model.run(x, choose)
        each = list(run.usage.values())
        return (
            self.model.logits(run.feature_BTD),
            torch.stack([one.computed_BT for one in each], -1),
            torch.stack([one.kept_BT for one in each], -1),
            torch.stack([one.reused_BT for one in each], -1),
        )


def networks(model: AdaFuse, config: AdaFuseConfig) -> Mapping[str, Network]:
    """``video``: all there is."""
    generator = torch.Generator().manual_seed(0)
    size, frames = config.data.crop_size, config.data.segments.test
    device = next(model.parameters()).device
    x_NTCHW = torch.randn(2, frames, 3, size, size, generator=generator).to(device)
    video = Network(
        module=WholeVideo(model).eval(),
        inputs={"x": x_NTCHW, "bias": torch.zeros(2, len(CHOICES), device=device)},
        outputs=("logits", *SHARES),
    )
    return {"video": video}
