"""Count multiply-accumulates by running a network once on meta tensors: nothing is computed, nothing allocated."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

aten = torch.ops.aten
CONVOLUTIONS = frozenset({aten.convolution, aten._convolution})
# Products that torch's table of formulas lacks. As its own do, they count 2 operations a multiply-accumulate.
FURTHER_FORMULAS = {
    aten.mv: lambda matrix, vector, **_: 2 * matrix[0] * matrix[1],
    aten.addmv: lambda bias, matrix, vector, **_: 2 * matrix[0] * matrix[1],
    aten.dot: lambda left, right, **_: 2 * left[0],
}


@dataclass(frozen=True, kw_only=True)
class Macs:
    """Multiply-accumulates of one forward pass. Bias, norm, activation, pooling and elementwise products are no MACs.

    ``conv``: convolutions along one, two or three axes (the paper's convention counts these alone). ``lstm``: all
    that recurrent layers multiply. ``linear``: every other product of matrices: linear layers, and both products of
    attention.
    """

    conv: int
    linear: int
    lstm: int

    @property
    def total(self) -> int:
        """All of them."""
        return self.conv + self.linear + self.lstm


def count_macs(module: nn.Module, call: Callable[[], Any]) -> Macs:
    """Count what ``call()`` really runs, at the shapes that it runs on, in ``module`` or outside any module.

    The operators are counted, not the layers, so that a product written as a function is seen (the attention of video
    transformers is). Convolution: output elements x (input channels / groups) x kernel volume. Product of ``n x k`` and
    ``k x m``: ``n k m``. LSTM cell: 4 x hidden x (input + hidden) a row; its layers are looked for in ``module``. Run it on
    the meta device: some devices replace attention and LSTMs by fused kernels, which have no formula here.
    """
    recurrent = [layer for layer in module.modules() if isinstance(layer, nn.RNNBase | nn.RNNCellBase)]
    counter = FlopCounterMode(display=False, custom_mapping=FURTHER_FORMULAS)
    of_recurrent = 0

    def before(*_: Any) -> None:
        nonlocal of_recurrent
        of_recurrent -= counter.get_total_flops()

    def after(*_: Any) -> None:
        nonlocal of_recurrent
        of_recurrent += counter.get_total_flops()

    handles = [layer.register_forward_pre_hook(before) for layer in recurrent]
    handles += [layer.register_forward_hook(after) for layer in recurrent]
    try:
        with torch.no_grad(), counter:
            call()
    finally:
        for handle in handles:
            handle.remove()
    conv = sum(flops for operator, flops in counter.flop_counts["Global"].items() if operator in CONVOLUTIONS)
    linear = counter.get_total_flops() - conv - of_recurrent
    return Macs(conv=conv // 2, linear=linear // 2, lstm=of_recurrent // 2)
