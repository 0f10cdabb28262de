"""Measure every setting of the knobs of a system that decides frame by frame: one pass a number of frames."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch

from trainables.contract import Batch, Data, Share
from trainables.kit.frames.config import FrameConfig
from trainables.kit.measure.settings import SettingReplay, joined
from trainables.kit.measure.settings_pass import SettingOutput, setting_replay
from trainables.kit.measure.share import shared_batches

NUMBERS_A_BATCH = 2**25  # of input


def frame_replay(
    measured: Callable[[Sequence[Mapping[str, float]]], Callable[[Batch], SettingOutput]],
    settings_by_frames: Mapping[int, Sequence[Mapping[str, float]]],
    config: FrameConfig,
    data: Data,
    split: str,
    *,
    share: Share,
    device: torch.device,
) -> SettingReplay:
    """``measured(settings)`` on all videos of ``split``, for each number of frames with its settings."""
    tables = []
    for frames, settings in settings_by_frames.items():
        batches = shared_batches(
            data,
            split,
            modalities=config.data.modalities,
            segments=frames,
            batch_size=batch_videos(config, frames),
            share=share,
            device=device,
        )
        tables.append(
            setting_replay(measured(settings), batches, settings=settings, video_ids=data.ids(split), share=share)
        )
    return joined(tables)


def batch_videos(config: FrameConfig, frames: int) -> int:
    """How many videos are measured at once."""
    return max(1, min(64, NUMBERS_A_BATCH // (frames * 3 * config.data.crop_size**2)))
