"""Cost as the package thop 0.0.31 counts it: the convention of the AR-Net and AdaFuse papers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from trainables.kit.measure.macs import count_macs
from trainables.kit.nets.backbones.frames import FrameNet


def count_thop(module: nn.Module, call: Callable[[], Any], *, additions: bool = True) -> int:
    """What thop says of ``call()``: convolutions, 2 x elements of batch norms, (2 x in - 1) x out of linear layers, pooling.

    A convolution is its multiply-accumulates and its bias; a linear layer is charged its additions too, unless ``additions`` is
    false; a global mean of p places is p + 1 a channel, any other mean 1 a place; ReLU, sums and max-pools are nothing, and so
    are recurrent layers. Run it on the meta device.
    """
    further = 0

    def after(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal further
        if isinstance(layer, nn.Linear):
            further += (2 * layer.in_features - 1 if additions else layer.in_features) * output.numel()
        elif isinstance(layer, nn.AdaptiveAvgPool2d):
            further += inputs[0].numel() + output.numel()
        elif isinstance(layer, nn.AvgPool2d):
            further += output.numel()
        elif isinstance(layer, nn.Conv2d):
            further += output.numel() if layer.bias is not None else 0
        else:
            further += 2 * inputs[0].numel()

    def after_last_block(block: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal further
        further += output.numel() + output[:, :, 0, 0].numel()

    kinds = nn.Conv2d | nn.Linear | _BatchNorm | nn.AdaptiveAvgPool2d | nn.AvgPool2d
    counted = [layer for layer in module.modules() if isinstance(layer, kinds)]
    handles = [layer.register_forward_hook(after) for layer in counted]
    pooled = [net for net in module.modules() if isinstance(net, FrameNet) and net.picture_pool == "mean"]
    handles += [net.blocks[-1].register_forward_hook(after_last_block) for net in pooled]
    try:
        macs = count_macs(module, call)
    finally:
        for handle in handles:
            handle.remove()
    return macs.conv + further
