"""Count multiply-accumulates by running a network once on meta tensors: nothing is computed, nothing allocated."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn


@dataclass(frozen=True, kw_only=True)
class Macs:
    """Multiply-accumulates of one forward by kind of layer. Bias, norm, activation and pooling are no MACs."""

    conv: int
    linear: int
    lstm: int

    @property
    def total(self) -> int:
        """All of them."""
        return self.conv + self.linear + self.lstm


def count_macs(module: nn.Module, call: Callable[[], Any]) -> Macs:
    """Count what the convolutions, linear layers and LSTM cells below ``module`` compute during ``call()``.

    Convolution: output elements x (input channels / groups) x kernel area. Linear: output elements x input features.
    LSTM cell: 4 x hidden x (input + hidden) a row.
    """
    counted: Counter[str] = Counter()

    def hook(layer: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        if isinstance(layer, nn.Conv2d):
            counted["conv"] += output.numel() * (layer.in_channels // layer.groups) * math.prod(layer.kernel_size)
        elif isinstance(layer, nn.Linear):
            counted["linear"] += output.numel() * layer.in_features
        elif isinstance(layer, nn.LSTMCell):
            x: Tensor = inputs[0]
            counted["lstm"] += x.shape[0] * 4 * layer.hidden_size * (layer.input_size + layer.hidden_size)

    handles = [layer.register_forward_hook(hook) for layer in module.modules()]
    try:
        with torch.no_grad():
            call()
    finally:
        for handle in handles:
            handle.remove()
    return Macs(conv=counted["conv"], linear=counted["linear"], lstm=counted["lstm"])
