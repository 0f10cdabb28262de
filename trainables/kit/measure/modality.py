"""Fill a :class:`ModalityReplay` by one inference pass, in any decision mode, on all ranks together."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from trainables.contract import CONVENTIONS, POLICY_MODES, Batch, CostTable, Share
from trainables.errors import StageFailed
from trainables.kit.measure.replay import Conditioned, ModalityReplay
from trainables.kit.noise import keys, mix, uniform


@dataclass(frozen=True, kw_only=True)
class SegmentOutput:
    """``probability_BSM`` of use, ``logits_BSMC`` already times the fusion weight, ``present_BSM`` as in a batch.

    All over every modality of the table, also where the batch holds only some of them. ``probability_LBSM``: of a
    conditioned policy, under each of the table's weights.
    """

    probability_BSM: Tensor
    logits_BSMC: Tensor
    present_BSM: Tensor
    probability_LBSM: Tensor | None = None


@dataclass(frozen=True, kw_only=True)
class _Row:
    """What was found of one video."""

    probability_SM: np.ndarray
    probability_LSM: np.ndarray | None
    logits_SMC: np.ndarray
    present_SM: np.ndarray
    label: int
    labels_C: np.ndarray | None


def modality_replay(
    forward: Callable[[Batch], SegmentOutput],
    batches: Generator[Batch],
    *,
    modalities: Sequence[str],
    video_ids: Sequence[str],
    cost: CostTable,
    mode: str,
    seed: int,
    share: Share,
    lambda_LM: np.ndarray | None = None,
) -> ModalityReplay:
    """Run ``forward`` over this rank's ``batches``, gather the rows of all ranks and lay them down by video.

    ``mode``: ``policy``; ``sampled`` (decisions drawn with the policy's probabilities); ``all_on`` and ``fused.NAME``;
    ``random`` (each segment of each modality with probability one half,
    a function of ``seed`` and the video's place in the split); ``only.NAME``. In the forced modes no policy runs, so none is
    charged. ``lambda_LM``: the weights under which ``forward`` gives a conditioned policy's probabilities.

    Raises:
        StageFailed: a number is not finite; on every rank.
    """
    mine: dict[int, _Row] = {}
    with closing(batches):
        for batch in batches:
            mine |= _rows(forward(batch), batch)
    rows = share.gather(mine)
    assert list(rows) == list(range(len(video_ids))), f"{len(video_ids)} videos asked for, measured: {list(rows)}"
    probability_BSM = np.stack([row.probability_SM for row in rows.values()])
    logits_BSMC = np.stack([row.logits_SMC for row in rows.values()])
    if not (np.isfinite(probability_BSM).all() and np.isfinite(logits_BSMC).all()):
        raise StageFailed("the network's outputs on validation or test are not finite; lower the learning rate")
    labels = [row.labels_C for row in rows.values()]
    conditioned = [row.probability_LSM for row in rows.values()]
    return ModalityReplay(
        modalities=tuple(modalities),
        probability_BSM=_forced(probability_BSM, tuple(modalities), mode, seed),
        logits_BSMC=logits_BSMC,
        present_BSM=np.stack([row.present_SM for row in rows.values()]).astype(bool),
        label_B=np.array([row.label for row in rows.values()], np.int64),
        labels_BC=np.stack(several) if (several := [row for row in labels if row is not None]) else None,
        video_ids=tuple(video_ids),
        sampled=mode == "sampled",
        conditioned=Conditioned(lambda_LM=lambda_LM, probability_LBSM=np.stack(found, 1))
        if lambda_LM is not None and (found := [row for row in conditioned if row is not None])
        else None,
        cost=cost if mode in POLICY_MODES else replace(cost, always_macs=dict.fromkeys(CONVENTIONS, 0)),
    )


def _rows(output: SegmentOutput, batch: Batch) -> dict[int, _Row]:
    probability_BSM = output.probability_BSM.float().cpu().numpy()
    probability_LBSM = None if output.probability_LBSM is None else output.probability_LBSM.float().cpu().numpy()
    logits_BSMC = output.logits_BSMC.float().cpu().numpy()
    present_BSM = output.present_BSM.cpu().numpy()
    labels_BC = None if batch.labels_BC is None else batch.labels_BC.cpu().numpy().astype(bool)
    return {
        index: _Row(
            probability_SM=probability_BSM[b],
            probability_LSM=None if probability_LBSM is None else probability_LBSM[:, b],
            logits_SMC=logits_BSMC[b],
            present_SM=present_BSM[b],
            label=label,
            labels_C=None if labels_BC is None else labels_BC[b],
        )
        for b, (index, label) in enumerate(zip(batch.index_B.tolist(), batch.label_B.tolist(), strict=True))
    }


def _forced(probability_BSM: np.ndarray, modalities: tuple[str, ...], mode: str, seed: int) -> np.ndarray:
    if mode in POLICY_MODES:
        return probability_BSM
    if mode == "all_on" or mode.startswith("fused."):
        return np.ones_like(probability_BSM)
    if mode == "random":
        videos, segments, count = probability_BSM.shape
        key_BS = keys(mix(seed), torch.arange(videos)[:, None], torch.arange(segments))
        return (uniform(key_BS, count) < 0.5).float().numpy()
    assert mode.startswith("only."), f"unknown decision mode {mode!r}"
    only_M = np.array([name == mode.removeprefix("only.") for name in modalities], np.float32)
    return np.broadcast_to(only_M, probability_BSM.shape).copy()
