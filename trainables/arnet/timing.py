"""What the steps of AR-Net take on this machine: reading a frame, the policy's look at it, a backbone at its resolution.

Frames come one after the other, since what is done with one decides whether the next is looked at.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import torch

from trainables.arnet.actions import LOOK, shares
from trainables.arnet.config import LOWEST, ArNetConfig
from trainables.arnet.model import ArNet
from trainables.kit.frames.config import INPUT
from trainables.kit.measure.timing import OPEN, frames_s, network_s, quickest_medians, table_of, this_device
from trainables.timing import TimedPart, TimeTable


def measure_time(config: ArNetConfig, classes: int, videos: Sequence[Path]) -> TimeTable:
    """Medians over ``videos``; without any, of the networks alone. A frame that is skipped is neither read nor looked at.

    Raises:
        DecodeError: a file does not decode.
    """
    prepare = quickest_medians(videos, lambda video: frames_s(video, config.data, INPUT))
    every = shares(config)
    read = [
        TimedPart(
            name=name, kind="preprocess", seconds=seconds, sites=every, policy=name == OPEN, by_segment=name != OPEN
        )
        for name, seconds in prepare.items()
    ]
    device = this_device()
    return table_of([*read, *_networks(config, classes, device)], videos=len(videos), batch=1, device=device)


def _networks(config: ArNetConfig, classes: int, device: torch.device) -> Iterator[TimedPart]:
    model = ArNet(config, classes).to(device).eval()
    frames, size = config.data.segments.test, config.data.crop_size
    x_1CHW = torch.randn(1, 3, size, size, device=device)

    def look() -> None:
        feature_1D = model.policy.features(model.at(LOWEST, x_1CHW))
        _, state = model.policy.look(feature_1D, model.policy.initial_state(feature_1D))
        model.policy.head(state[0])

    seconds = frames * network_s(look, device)
    yield TimedPart(name="policy network", kind="network", seconds=seconds, sites=(LOOK,))
    for level in config.levels:
        seconds = frames * network_s(lambda level=level: model.recognise(level, x_1CHW), device)  # type: ignore[misc]
        share = config.share_of(level)
        yield TimedPart(name=f"{share} network", kind="network", seconds=seconds, sites=(share,))
