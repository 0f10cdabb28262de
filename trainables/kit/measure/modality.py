"""Fill a :class:`ModalityReplay` by one inference pass, in any decision mode."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from trainables.contract import CONVENTIONS, Batch, CostTable
from trainables.kit.measure.replay import ModalityReplay


@dataclass(frozen=True, kw_only=True)
class SegmentOutput:
    """``probability_BSM`` of use, ``logits_BSMC`` already times the fusion weight, ``present_BSM`` as in a batch.

    All over every modality of the table, also where the batch holds only some of them.
    """

    probability_BSM: Tensor
    logits_BSMC: Tensor
    present_BSM: Tensor


def modality_replay(
    forward: Callable[[Batch], SegmentOutput],
    batches: Iterable[Batch],
    *,
    modalities: Sequence[str],
    video_ids: Sequence[str],
    cost: CostTable,
    mode: str,
    seed: int,
) -> ModalityReplay:
    """Run ``forward`` over every batch and lay the rows down by video.

    ``mode``: ``policy``; ``all_on``; ``random`` (each segment of each modality with probability one half, drawn from
    ``seed``); ``only.NAME``. In the forced modes no policy runs, so none is charged.
    """
    rows: dict[int, list[np.ndarray]] = {}
    for batch in batches:
        output = forward(batch)
        probability = output.probability_BSM.float().cpu().numpy()
        logits = output.logits_BSMC.float().cpu().numpy()
        present = output.present_BSM.cpu().numpy()
        label = batch.label_B.cpu().numpy()
        for i, index in enumerate(batch.index_B.tolist()):
            rows[index] = [probability[i], logits[i], present[i], label[i]]  # a padded duplicate lands on its own row
    assert len(rows) == len(video_ids), f"{len(video_ids)} videos asked for, {len(rows)} measured"
    columns = [np.stack([rows[index][column] for index in sorted(rows)]) for column in range(4)]
    return ModalityReplay(
        modalities=tuple(modalities),
        probability_BSM=_forced(columns[0], tuple(modalities), mode, seed),
        logits_BSMC=columns[1],
        present_BSM=columns[2].astype(bool),
        label_B=columns[3],
        video_ids=tuple(video_ids),
        cost=cost if mode == "policy" else replace(cost, always_macs=dict.fromkeys(CONVENTIONS, 0)),
    )


def _forced(probability_BSM: np.ndarray, modalities: tuple[str, ...], mode: str, seed: int) -> np.ndarray:
    if mode == "policy":
        return probability_BSM
    if mode == "all_on":
        return np.ones_like(probability_BSM)
    if mode == "random":
        return (torch.rand(probability_BSM.shape, generator=torch.Generator().manual_seed(seed)) < 0.5).float().numpy()
    assert mode.startswith("only."), f"unknown decision mode {mode!r}"
    only_M = np.array([name == mode.removeprefix("only.") for name in modalities], np.float32)
    return np.broadcast_to(only_M, probability_BSM.shape).copy()
