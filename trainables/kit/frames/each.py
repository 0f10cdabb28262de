"""What the plain networks say of every frame by itself: the table from which systems of frames tell their headroom."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from trainables.contract import CONVENTIONS, Batch, Convention, CostTable, Data, Share
from trainables.kit.frames.config import FrameConfig
from trainables.kit.frames.replay import batch_videos
from trainables.kit.measure.modality import SegmentOutput, modality_replay
from trainables.kit.measure.replay import ModalityReplay
from trainables.kit.measure.share import shared_batches


def each_frame_replay(
    logits: Callable[[Batch], Tensor],
    names: Sequence[str],
    macs: dict[Convention, dict[str, int]],
    config: FrameConfig,
    data: Data,
    split: str,
    *,
    share: Share,
    device: torch.device,
) -> ModalityReplay:
    """``logits(batch)``: ``logits_BTVC`` of each frame by each of the networks ``names``; the first one is everything on.

    ``macs``: of a frame, by convention and network.
    """

    def forward(batch: Batch) -> SegmentOutput:
        logits_BTVC = logits(batch.to(device))
        first_BTV = torch.zeros(logits_BTVC.shape[:3])
        first_BTV[..., 0] = 1
        return SegmentOutput(
            probability_BSM=first_BTV,
            logits_BSMC=logits_BTVC,
            present_BSM=torch.ones_like(first_BTV, dtype=torch.bool),
        )

    frames = config.data.segments.test
    batches = shared_batches(
        data,
        split,
        modalities=config.data.modalities,
        segments=frames,
        batch_size=batch_videos(config, frames),
        share=share,
        device=device,
    )
    cost = CostTable(per_segment_macs=macs, always_macs=dict.fromkeys(CONVENTIONS, 0), segments=frames)
    return modality_replay(
        forward,
        batches,
        modalities=names,
        video_ids=data.ids(split),
        cost=cost,
        mode="policy",  # the probabilities as they are
        seed=0,
        share=share,
    )
