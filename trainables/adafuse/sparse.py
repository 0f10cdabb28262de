"""AdaFuse on one video, computing what is asked for: channels that nothing needs are left out of both convolutions.

Axes: ``T`` frame, ``K`` gated channel, ``A`` choice, ``H`` ``W`` picture.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from trainables.adafuse.gates import usage_of
from trainables.adafuse.model import AdaFuse, Choose, Run
from trainables.adafuse.names import KEEP, REUSE
from trainables.adafuse.nets.resnet import ResidualBlock


def run_sparse(model: AdaFuse, x_1TCHW: Tensor, choose: Choose) -> Run:
    """As :meth:`AdaFuse.run` in eval mode, for one video. Only residual blocks leave channels out; other networks compute all.

    ``choose`` must not look at the gated channels, which are not computed yet.
    """
    gated = {point.name for point in model.points}
    if not all(
        isinstance(block, ResidualBlock) for block in model.backbone.blocks if getattr(block, "name", "") in gated
    ):
        return model.run(x_1TCHW, choose)
    frames, usage = x_1TCHW.shape[1], {}
    x = x_1TCHW.flatten(0, 1).contiguous(memory_format=torch.channels_last)
    for block in model.backbone.blocks:
        if isinstance(block, ResidualBlock) and block.name in gated:
            shifted = block.shifted(x, frames)
            choice_1TKA = choose(block.name, shifted, shifted)
            usage[block.name] = usage_of(choice_1TKA)
            x = block.last(_convolved(block, shifted, choice_1TKA[0]), shifted, x)
        else:
            x = block(x, frames, None)
    return Run(feature_BTD=model.backbone.pool(x).flatten(1)[None], usage=usage)


def _convolved(block: ResidualBlock, x_TCHW: Tensor, choice_TKA: Tensor) -> Tensor:
    """What the second convolution gives. Needed of the first are channels kept now or reused by the next frame."""
    keep_TK, reuse_TK = choice_TKA[..., KEEP].bool(), choice_TKA[..., REUSE].bool()
    later_TK = torch.cat([reuse_TK[1:], torch.zeros_like(reuse_TK[:1])])
    height, width = (_size(block.block.conv1, size) for size in x_TCHW.shape[2:])
    earlier_KHW = x_TCHW.new_zeros(keep_TK.shape[1], height, width)
    found = []
    for x_CHW, keep_K, reuse_K, later_K in zip(x_TCHW, keep_TK, reuse_TK, later_TK, strict=True):
        now_KHW = torch.zeros_like(earlier_KHW)
        needed = (keep_K | later_K).nonzero()[:, 0]
        if len(needed):
            now_KHW[needed] = block.first(x_CHW[None], needed)[0]
        used = (keep_K | reuse_K).nonzero()[:, 0]
        if len(used) == 0:  # a convolution must have a channel: this one is zeros
            used, fused_KHW = used.new_zeros(1), torch.zeros_like(now_KHW[:1])
        else:
            fused_KHW = torch.where(keep_K[used, None, None], now_KHW[used], earlier_KHW[used])
        found.append(block.second(fused_KHW[None], used))
        earlier_KHW = now_KHW
    return torch.cat(found)


def _size(conv: nn.Conv2d, size: int) -> int:
    """Rows or columns that a convolution gives."""
    kernel, stride, padding = conv.kernel_size[0], conv.stride[0], conv.padding[0]
    return (size + 2 * int(padding) - kernel) // stride + 1
