"""What the steps of AdaFuse take on this machine.

A video's seconds grow with the shares of the channels that are computed. How steeply is measured on the computation that leaves
channels out, once with all of them and once with none, and laid on the convolutions by their multiply-accumulates. Networks that
leave nothing out (all but residual ones) take the same time whatever is decided.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor

from trainables.adafuse.config import AdaFuseConfig
from trainables.adafuse.cost import cost_table
from trainables.adafuse.decide import bias_of, by_policy
from trainables.adafuse.model import AdaFuse, Choose
from trainables.adafuse.names import CHOICES, KEEP, SKIP, gated_blocks, share_names
from trainables.adafuse.sparse import run_sparse
from trainables.kit.frames.config import INPUT
from trainables.kit.measure.timing import OPEN, frames_s, network_s, quickest_medians, table_of, this_device
from trainables.timing import TimedPart, TimeTable


def measure_time(config: AdaFuseConfig, classes: int, videos: Sequence[Path]) -> TimeTable:
    """Medians over ``videos``; without any, of the network alone. Every frame is read, whatever is decided.

    Raises:
        DecodeError: a file does not decode.
    """
    prepare = quickest_medians(videos, lambda video: frames_s(video, config.data, INPUT))
    every = _shares(config)
    read = [
        TimedPart(name=name, kind="preprocess", seconds=seconds, sites=every, policy=True, by_segment=name != OPEN)
        for name, seconds in prepare.items()
    ]
    device = this_device()
    parts = [*read, *_network(config, classes, device)]
    return table_of(parts, videos=len(videos), batch=config.data.segments.test, device=device)


def _network(config: AdaFuseConfig, classes: int, device: torch.device) -> Iterator[TimedPart]:
    """Without policies dense seconds; with them, what the computation that leaves channels out takes at the shares.

    That is exact with everything on, and too slow with less where leaving all channels out saves more than dense seconds.
    """
    model = AdaFuse(config, classes).to(device).eval()
    frames, size = config.data.segments.test, config.data.crop_size
    x_1TCHW = torch.randn(1, frames, 3, size, size, device=device)
    key_1T = torch.arange(frames, device=device)[None]
    dense_s = network_s(lambda: model.logits(model.plain(x_1TCHW)), device)
    all_s, none_s = (network_s(lambda a=a: run_sparse(model, x_1TCHW, _always(model, a)), device) for a in (KEEP, SKIP))  # type: ignore[misc]
    policy = by_policy(model, bias_of({}, "policy"), key_1T, draw=None)
    decided_s = network_s(lambda: _deciding(model, x_1TCHW, policy), device) - dense_s
    saved_s = max(0.0, min(all_s - none_s, dense_s))
    every = _shares(config)
    yield TimedPart(
        name="network, always", kind="network", seconds=dense_s - saved_s, sites=every, policy=True, by_segment=False
    )
    beyond_s = max(0.0, decided_s) + max(0.0, all_s - dense_s)
    yield TimedPart(name="policies, choosing channels", kind="network", seconds=beyond_s, sites=(), policy=True)
    macs = cost_table(config, classes).per_segment_macs["full"]
    whole = sum(macs[name] for block in gated_blocks(config) for name in share_names(block)[:2])
    for name in every:
        yield TimedPart(name=name, kind="network", seconds=saved_s * macs[name] / whole, sites=(name,))


def _shares(config: AdaFuseConfig) -> tuple[str, ...]:
    return tuple(name for block in gated_blocks(config) for name in share_names(block))


def _always(model: AdaFuse, a: int) -> Choose:
    """The same choice for every channel."""
    channels = {point.name: point.channels for point in model.points}

    def choose(name: str, x_NCHW: Tensor, y_NKHW: Tensor) -> Tensor:
        choice_1TKA = x_NCHW.new_zeros(1, x_NCHW.shape[0], channels[name], len(CHOICES))
        choice_1TKA[..., a] = 1
        return choice_1TKA

    return choose


def _deciding(model: AdaFuse, x_1TCHW: Tensor, policy: Choose) -> None:
    """The dense network with policies that look at every block's input, and whose choices nobody follows."""

    def look(name: str, x_NCHW: Tensor, y_NKHW: Tensor) -> Tensor:
        if any(point.name == name for point in model.points):
            policy(name, x_NCHW, y_NKHW)
        return y_NKHW

    model.logits(model.backbone(x_1TCHW, look))
