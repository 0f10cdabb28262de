"""Which videos a rank measures, so that the result has the same bits whatever the number of ranks."""

from __future__ import annotations

import math
from collections.abc import Generator, Sequence

import torch

from trainables.contract import Batch, Data, Share
from trainables.kit.engine.prefetch import prefetched


def shared_batches(
    data: Data,
    split: str,
    *,
    modalities: Sequence[str],
    segments: int,
    batch_size: int,
    share: Share,
    device: torch.device,
) -> Generator[Batch]:
    """This rank's batches of ``split``: whole batches are dealt out, not videos.

    A network's output for a video may differ in its last bits with the size of the batch around it (another kernel is
    chosen), so what lies in a batch must not depend on the number of ranks. With K batches, batch k is every K-th video from k
    on: all are of nearly equal size, and rank r measures every ``ranks``-th batch from r on.
    """
    count = math.ceil(len(data.ids(split)) / batch_size)
    batches = (
        batch
        for part in range(share.rank, count, share.ranks)
        for batch in data.eval_batches(
            split, modalities=modalities, segments=segments, batch_size=batch_size, rank=part, ranks=count
        )
    )
    yield from prefetched(batches, device)
