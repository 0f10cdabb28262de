"""What the best possible selection would reach, from one pass with everything on and before any policy is trained.

Three rules, each scored as if it were a policy (:class:`~trainables.contract.Scored`); a unit is one modality of one segment:

* ``random``: so many units of each modality, drawn with equal probability. What a policy has to beat.
* ``confident``: so many units of each modality, those whose own logits are surest of their class. It sees what it skips, but no
  label.
* ``oracle``: for each video the cheapest units that give the right label, and nothing for a video that none gives. It
  sees the labels: no selection of these networks' outputs that ranks units by their margin does better.

Importing this module does not import torch. Axes: ``B`` video, ``S`` segment, ``M`` modality, ``C`` class, ``K`` number of units
of each modality, ``P`` setting.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from trainables.contract import CONVENTIONS, Convention, Scored
from trainables.kit.measure.replay import ModalityReplay

DRAWS = 8  # over which the random rule is averaged, as settings of their own
SETTINGS_AT_MOST = 3000  # combinations of numbers of units that are tried: all for 3 modalities of 13 segments
CEILINGS = 64  # settings of the oracle: how much a single video may cost


def headroom(table: ModalityReplay, *, seed: int = 0) -> dict[str, Scored]:
    """Each rule by name, scored on the videos of ``table``, which must come from a pass in mode ``all_on``.

    The policy's own cost, paid for every segment, is charged to ``confident`` and ``oracle``, since a network that came near
    them would have one; ``random`` needs none. ``table.cost`` must therefore be the one of mode ``policy``.
    """
    counts_KM = _counts(table)
    truth_BC = table.truth_BC
    rng = np.random.default_rng(seed)
    draws = [rng.random(table.present_BSM.shape) for _ in range(DRAWS)]
    return {
        "random": joined([_scored(table, _taken(table, rank_BSM), counts_KM, policy=False) for rank_BSM in draws]),
        "confident": _scored(table, _taken(table, confidence(table.logits_BSMC)), counts_KM, policy=True),
        "oracle": _oracle(table, _taken(table, margin(table.logits_BSMC, truth_BC)), counts_KM),
    }


@dataclass(frozen=True, kw_only=True)
class _Taken:
    """Units in order of rank: ``logits_BKMC`` summed over the first k, ``used_BKM`` how many of these are present."""

    logits_BKMC: np.ndarray
    used_BKM: np.ndarray


def _taken(table: ModalityReplay, rank_BSM: np.ndarray) -> _Taken:
    rank_BSM = np.where(table.present_BSM, rank_BSM, -np.inf)
    order_BSM = np.argsort(-rank_BSM, axis=1, kind="stable")
    present_BSM = np.take_along_axis(table.present_BSM, order_BSM, 1)
    logits_BSMC = np.take_along_axis(table.logits_BSMC, order_BSM[..., None], 1) * present_BSM[..., None]
    return _Taken(
        logits_BKMC=np.pad(logits_BSMC.cumsum(1), ((0, 0), (1, 0), (0, 0), (0, 0))),
        used_BKM=np.pad(present_BSM.cumsum(1), ((0, 0), (1, 0), (0, 0))),
    )


def _scored(table: ModalityReplay, taken: _Taken, counts_PM: np.ndarray, *, policy: bool) -> Scored:
    truth_BC, segments = table.truth_BC, table.present_BSM.shape[1]
    video_B = np.arange(len(truth_BC))
    used_PBM = np.stack([_at(taken.used_BKM, counts_M) for counts_M in counts_PM])
    correct_PB = np.stack(
        [truth_BC[video_B, _at(taken.logits_BKMC, counts_M).sum(1).argmax(-1)] for counts_M in counts_PM]
    )
    macs = {c: [table.cost.per_segment_macs[c][name] for name in table.modalities] for c in CONVENTIONS}
    always = {c: table.cost.always_macs[c] * segments * policy for c in CONVENTIONS}
    return Scored(
        correct_PB=correct_PB.astype(bool),
        gmacs_PB={c: (used_PBM @ np.array(macs[c], float) + always[c]) / 1e9 for c in CONVENTIONS},
        rate_PB={name: used_PBM[..., m] / segments for m, name in enumerate(table.modalities)},
    )


def _oracle(table: ModalityReplay, taken: _Taken, counts_PM: np.ndarray) -> Scored:
    """For each video the cheapest of the settings that label it right, as far as one video may cost so much."""
    some = counts_PM.any(1)  # no unit at all gives no label, even where the first class is the right one
    segments = table.present_BSM.shape[1]
    always = {c: table.cost.always_macs[c] * segments / 1e9 for c in CONVENTIONS}
    return cheapest_right(_scored(table, taken, counts_PM[some], policy=False), always)


def cheapest_right(every: Scored, always: Mapping[Convention, float]) -> Scored:
    """Of the settings ``every``, for each video the cheapest that labels it right, as far as one video may cost so much.

    ``always``: GMACs a video of what decides. The first of the new settings computes nothing else, and is right nowhere.
    """
    price_PB = np.where(every.correct_PB, every.gmacs_PB["full"], np.inf)
    best_B, video_B = price_PB.argmin(0), np.arange(price_PB.shape[1])
    price_B = price_PB[best_B, video_B]
    solvable = np.unique(price_B[np.isfinite(price_B)])
    ceilings = solvable[np.unique(np.linspace(0, len(solvable) - 1, min(CEILINGS, len(solvable))).round().astype(int))]
    solved_PB = price_B <= np.array([-1.0, *ceilings])[:, None]
    return Scored(
        correct_PB=solved_PB,
        gmacs_PB={c: solved_PB * every.gmacs_PB[c][best_B, video_B] + always[c] for c in CONVENTIONS},
        rate_PB={name: solved_PB * rate_PB[best_B, video_B] for name, rate_PB in every.rate_PB.items()},
    )


def joined(parts: Sequence[Scored]) -> Scored:
    """All settings of these, one after the other."""

    def stacked(arrays: Iterator[np.ndarray]) -> np.ndarray:
        return np.concatenate(list(arrays))

    return Scored(
        correct_PB=stacked(p.correct_PB for p in parts),
        gmacs_PB={c: stacked(p.gmacs_PB[c] for p in parts) for c in parts[0].gmacs_PB},
        rate_PB={name: stacked(p.rate_PB[name] for p in parts) for name in parts[0].rate_PB},
    )


def _counts(table: ModalityReplay) -> np.ndarray:
    """``counts_PM``: every combination of numbers of units, thinned evenly where there are too many; the last is all."""
    segments, modalities = table.present_BSM.shape[1:]
    levels = min(segments + 1, max(2, int(SETTINGS_AT_MOST ** (1 / modalities))))
    each = np.unique(np.linspace(0, segments, levels).round().astype(int))
    return np.array(list(itertools.product(each, repeat=modalities)))


def _at(x_BKM: np.ndarray, counts_M: np.ndarray) -> np.ndarray:
    """What has come together after the given number of units of each modality."""
    return np.stack([x_BKM[:, count, m] for m, count in enumerate(counts_M)], 1)


def confidence(logits_BSMC: np.ndarray) -> np.ndarray:
    """``confidence_BSM``, any axes before the classes: the largest of the unit's own class probabilities."""
    shifted = logits_BSMC - logits_BSMC.max(-1, keepdims=True)
    return 1 / np.exp(shifted).sum(-1)


def margin(logits_BSMC: np.ndarray, truth_BC: np.ndarray) -> np.ndarray:
    """``margin_BSM``: largest logit of a true class less the largest of the others."""
    truth_B11C = truth_BC[:, None, None, :]
    right = np.where(truth_B11C, logits_BSMC, -np.inf).max(-1)
    wrong = np.where(truth_B11C, -np.inf, logits_BSMC).max(-1)
    return right - wrong
