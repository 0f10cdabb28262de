"""Fill a :class:`SettingReplay` by one inference pass, on all ranks together."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field

import numpy as np
from torch import Tensor

from trainables.contract import Batch, Convention, Share
from trainables.errors import StageFailed
from trainables.kit.measure.settings import SettingReplay


@dataclass(frozen=True, kw_only=True)
class SettingOutput:
    """What the network says of a batch under every setting: ``logits_LBC``, ``share_LBU`` by name, ``gmacs_LB``, ``choice_LBU``,
    ``share_LBA`` of the parts that were steady.
    """

    logits_LBC: Tensor
    share: Mapping[str, Tensor]
    gmacs: Mapping[Convention, Tensor]
    choice: Mapping[str, Tensor] = field(default_factory=dict)
    steady: Mapping[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class _Row:
    """What was found of one video; settings come first."""

    logits_LC: np.ndarray
    share: Mapping[str, np.ndarray]
    gmacs: Mapping[Convention, np.ndarray]
    choice: Mapping[str, np.ndarray]
    steady: Mapping[str, np.ndarray]
    label: int
    labels_C: np.ndarray | None


def setting_replay(
    forward: Callable[[Batch], SettingOutput],
    batches: Generator[Batch],
    *,
    settings: Sequence[Mapping[str, float]],
    video_ids: Sequence[str],
    share: Share,
) -> SettingReplay:
    """Run ``forward`` over this rank's ``batches``, gather the rows of all ranks and lay them down by video.

    Raises:
        StageFailed: a number is not finite; on every rank.
    """
    mine: dict[int, _Row] = {}
    with closing(batches):
        for batch in batches:
            mine |= _rows(forward(batch), batch)
    rows = list((found := share.gather(mine)).values())
    assert list(found) == list(range(len(video_ids))), f"{len(video_ids)} videos asked for, measured: {list(found)}"
    logits_LBC = np.stack([row.logits_LC for row in rows], 1)
    if not np.isfinite(logits_LBC).all():
        raise StageFailed("the network's outputs on validation or test are not finite; lower the learning rate")
    several = [row.labels_C for row in rows if row.labels_C is not None]
    share_LBU = {name: np.stack([row.share[name] for row in rows], 1) for name in rows[0].share}
    units = next(iter(share_LBU.values())).shape[2]
    return SettingReplay(
        settings=tuple(settings),
        logits_LBC=logits_LBC,
        share=share_LBU,
        units_L=np.full(len(settings), units, np.int64),
        gmacs={c: np.stack([row.gmacs[c] for row in rows], 1) for c in rows[0].gmacs},
        label_B=np.array([row.label for row in rows], np.int64),
        video_ids=tuple(video_ids),
        labels_BC=np.stack(several) if several else None,
        choice={name: np.stack([row.choice[name] for row in rows], 1) for name in rows[0].choice},
        steady_parts={name: np.stack([row.steady[name] for row in rows], 1) for name in rows[0].steady},
    )


def _rows(output: SettingOutput, batch: Batch) -> dict[int, _Row]:
    logits_LBC = output.logits_LBC.float().cpu().numpy()
    share = {name: tensor.cpu().numpy() for name, tensor in output.share.items()}
    gmacs = {convention: tensor.cpu().numpy() for convention, tensor in output.gmacs.items()}
    choice = {name: tensor.cpu().numpy().astype(np.uint8) for name, tensor in output.choice.items()}
    steady = {name: tensor.cpu().numpy() for name, tensor in output.steady.items()}
    labels_BC = None if batch.labels_BC is None else batch.labels_BC.cpu().numpy().astype(bool)
    return {
        index: _Row(
            logits_LC=logits_LBC[:, b],
            share={name: array[:, b] for name, array in share.items()},
            gmacs={convention: array[:, b] for convention, array in gmacs.items()},
            choice={name: array[:, b] for name, array in choice.items()},
            steady={name: array[:, b] for name, array in steady.items()},
            label=label,
            labels_C=None if labels_BC is None else labels_BC[b],
        )
        for b, (index, label) in enumerate(zip(batch.index_B.tolist(), batch.label_B.tolist(), strict=True))
    }
