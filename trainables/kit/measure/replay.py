"""Replay table of systems that choose modalities a segment: any thresholds become table arithmetic.

The policy is fed logits, never its own decisions, so a decision changes nothing that comes after it. Storing the
policy's probabilities and every recognition net's weighted segment logits once is therefore enough to score any
threshold exactly (specs of AdaMML, "Free after training"). Importing this module does not import torch.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from trainables.contract import CONVENTIONS, Convention, CostTable, Scored, Site
from trainables.kit.measure.choices import steady, told_choices

DEFAULT_THRESHOLD = 0.5
JOINT_THRESHOLD = "threshold.joint"  # the knob of a policy that decides on all modalities together
LAMBDA = "lambda."  # and a modality: the knob of a weight that the policy is conditioned on
DRAW = "draw"
_CHUNK_VALUES = 2**16  # combined at a time: a quarter of a megabyte


def threshold_of(setting: Mapping[str, float], modality: str) -> float:
    """The threshold of a modality's probability: its own knob, else that of a joint decision, else one half."""
    return setting.get(f"threshold.{modality}", setting.get(JOINT_THRESHOLD, DEFAULT_THRESHOLD))


class _Level(NamedTuple):
    """What tells one choice for a modality from another: the weights' setting, and a threshold or the number of a draw."""

    weights: int | None
    limit: float


@dataclass(frozen=True, kw_only=True)
class Means:
    """P settings of the knobs, means over videos: accuracy, GMACs by convention, rates by site."""

    accuracy_P: np.ndarray
    gmacs_P: Mapping[Convention, np.ndarray]
    rate_P: Mapping[str, np.ndarray]


@dataclass(frozen=True, kw_only=True)
class Conditioned:
    """What a policy says under other weights than the middle ones. ``L``: setting of the weights.

    ``lambda_LM``: the settings. ``probability_LBSM``: of use under each.
    """

    lambda_LM: np.ndarray
    probability_LBSM: np.ndarray

    def nearest(self, setting: Mapping[str, float], modalities: Sequence[str]) -> int | None:
        """The measured setting of the weights that is nearest in the logarithm; None where ``setting`` names no weight.

        Knobs' values are measured ones: what is in between is not interpolated.
        """
        wanted = [setting.get(LAMBDA + name) for name in modalities]
        if all(weight is None for weight in wanted):
            return None
        log_LM = np.log(self.lambda_LM)
        middle_M = (log_LM.min(0) + log_LM.max(0)) / 2
        log_M = np.array([m if w is None else np.log(w) for w, m in zip(wanted, middle_M, strict=True)])
        return int(np.abs(log_LM - log_M).sum(1).argmin())


@dataclass(frozen=True, kw_only=True)
class ModalityReplay:
    """What one inference pass found.

    ``probability_BSM``: policy's probability of use. ``logits_BSMC``: segment logits, already times the fusion weight.
    ``present_BSM``: False where the file has no such signal: never used, never charged. A forced mode (all on, random)
    is stored as probabilities 0 and 1, so that every threshold gives the forced decision. ``sampled``: decisions are drawn
    with these probabilities instead of by a threshold; the setting ``{"draw": n}`` is the n-th draw. ``labels_BC``: multi-hot,
    where videos have several labels. ``conditioned``: the policy's answers to other efficiency weights (knobs
    ``lambda.NAME``); recognition's logits do not depend on them. ``probability_BSM`` then are those of the middle weights.
    """

    modalities: tuple[str, ...]
    probability_BSM: np.ndarray
    logits_BSMC: np.ndarray
    present_BSM: np.ndarray
    label_B: np.ndarray
    video_ids: tuple[str, ...]
    cost: CostTable
    sampled: bool = False
    labels_BC: np.ndarray | None = None
    conditioned: Conditioned | None = None

    @property
    def truth_BC(self) -> np.ndarray:
        """Multi-hot true classes."""
        return (
            np.eye(self.logits_BSMC.shape[-1], dtype=bool)[self.label_B] if self.labels_BC is None else self.labels_BC
        )

    def use(self, setting: Mapping[str, float]) -> np.ndarray:
        """``use_BSM``: probability above the modality's threshold (knob ``threshold.NAME``, default 0.5), and present."""
        levels = [self._level(setting, name) for name in self.modalities]
        return np.stack([self._use_BS(m, level) for m, level in enumerate(levels)], -1)

    def decisions(self, setting: Mapping[str, float]) -> dict[str, np.ndarray]:
        """``use_BS`` by modality."""
        use_BSM = self.use(setting)
        return {name: use_BSM[:, :, m] for m, name in enumerate(self.modalities)}

    def choices(self, sites: Sequence[Site], setting: Mapping[str, float]) -> dict[str, np.ndarray]:
        """``share_BSA`` by modality."""
        return told_choices(sites, self.decisions(setting))

    def steady(self, sites: Sequence[Site], setting: Mapping[str, float]) -> dict[str, np.ndarray]:
        """``share_BA`` by modality."""
        return {name: steady(share_BSA) for name, share_BSA in self.choices(sites, setting).items()}

    def _level(self, setting: Mapping[str, float], modality: str) -> _Level:
        weights = self.conditioned.nearest(setting, self.modalities) if self.conditioned else None
        return _Level(weights, setting.get(DRAW, 0) if self.sampled else threshold_of(setting, modality))

    def _use_BS(self, m: int, level: _Level) -> np.ndarray:
        probability_BSM = self.probability_BSM
        if self.conditioned and level.weights is not None:
            probability_BSM = self.conditioned.probability_LBSM[level.weights]
        limit_BS = np.full(probability_BSM.shape[:2], level.limit, np.float32)
        if self.sampled:  # Gumbel's hard draw is 1 with just this probability, whatever the temperature
            limit_BS = np.random.default_rng([int(level.limit), m]).random(limit_BS.shape, np.float32)
        return (probability_BSM[:, :, m] > limit_BS) & self.present_BSM[:, :, m]

    def video_logits(self, setting: Mapping[str, float]) -> np.ndarray:
        """``logits_BC``: mean over all segments of the sum of the used modalities; nothing used gives zeros."""
        use_BSM = self.use(setting).astype(np.float32)
        return np.einsum("bsmc,bsm->bc", self.logits_BSMC, use_BSM) / self.logits_BSMC.shape[1]

    def score(self, settings: Sequence[Mapping[str, float]]) -> Scored:
        """Score every setting. Separated by modality: each distinct threshold is summed once, then combined."""
        index_P, sums_CLB, rate_LB = self._separated(settings)
        correct_PB = np.empty((len(settings), len(self.label_B)), bool)
        for rows, right_PB in self._correct(index_P, sums_CLB):
            correct_PB[rows] = right_PB
        return Scored(
            correct_PB=correct_PB,
            gmacs_PB={convention: self._gmacs(convention, index_P, rate_LB) for convention in CONVENTIONS},
            rate_PB={name: rate_LB[name][index_P[name]] for name in self.modalities},
        )

    def means(self, settings: Sequence[Mapping[str, float]]) -> Means:
        """The means over videos of what :meth:`score` gives, for very many settings: nothing is kept video by video."""
        index_P, sums_CLB, rate_LB = self._separated(settings)
        accuracy_P = np.empty(len(settings))
        for rows, right_PB in self._correct(index_P, sums_CLB):
            accuracy_P[rows] = np.count_nonzero(right_PB, axis=1) / right_PB.shape[1]
        rate_P = {name: rate_LB[name].mean(1, dtype=np.float64)[index_P[name]] for name in self.modalities}
        segments = self.logits_BSMC.shape[1]
        gmacs_P = {
            convention: (
                self.cost.always_macs[convention]
                + sum(rate_P[name] * self.cost.per_segment_macs[convention][name] for name in self.modalities)
            )
            * (segments / 1e9)
            for convention in CONVENTIONS
        }
        return Means(accuracy_P=accuracy_P, gmacs_P=gmacs_P, rate_P=rate_P)

    def _separated(
        self, settings: Sequence[Mapping[str, float]]
    ) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray], dict[str, np.ndarray]]:
        """By modality: which of its distinct levels each setting takes, and what :meth:`_by_level` gives for these."""
        index_P, sums_CLB, rate_LB = {}, {}, {}
        for m, name in enumerate(self.modalities):
            levels = [self._level(setting, name) for setting in settings]
            place = {level: index for index, level in enumerate(dict.fromkeys(levels))}
            index_P[name] = np.array([place[level] for level in levels], int)
            sums_CLB[name], rate_LB[name] = self._by_level(m, list(place))
        return index_P, sums_CLB, rate_LB

    def _by_level(self, m: int, levels: Sequence[_Level]) -> tuple[np.ndarray, np.ndarray]:
        """``sums_CLB`` of the logits of the segments that each level uses, and ``rate_LB``. Class first: see ``_correct``."""
        videos, _, _, classes = self.logits_BSMC.shape
        sums_CLB = np.empty((classes, len(levels), videos), np.float32)
        rate_LB = np.empty((len(levels), videos), np.float32)
        for row, level in enumerate(levels):
            use_BS = self._use_BS(m, level)
            sums_CLB[:, row] = np.einsum("bsc,bs->bc", self.logits_BSMC[:, :, m], use_BS.astype(np.float32)).T
            rate_LB[row] = use_BS.mean(1, dtype=np.float32)
        return sums_CLB, rate_LB

    def _correct(
        self, index_P: Mapping[str, np.ndarray], sums_CLB: Mapping[str, np.ndarray]
    ) -> Iterator[tuple[slice, np.ndarray]]:
        """Rows of ``correct_PB``, some at a time: whether the class of the largest sum (the first of equals) is true.

        The largest is kept class by class over rows that fit the processor's cache: an argmax over a short last axis takes
        twice the time.
        """
        first, *others = self.modalities
        truth_CB = np.ascontiguousarray(self.truth_BC.T)
        classes, videos = truth_CB.shape
        count = len(index_P[first])
        step = max(1, _CHUNK_VALUES // max(1, videos))
        for start in range(0, count, step):
            rows = slice(start, min(start + step, count))
            right_PB = np.repeat(truth_CB[:1], rows.stop - start, axis=0)
            best_PB = self._total(first, others, 0, index_P, sums_CLB, rows)
            for c in range(1, classes):
                total_PB = self._total(first, others, c, index_P, sums_CLB, rows)
                np.copyto(right_PB, truth_CB[c], where=total_PB > best_PB)
                np.maximum(best_PB, total_PB, out=best_PB)
            yield rows, right_PB

    @staticmethod
    def _total(
        first: str,
        others: Sequence[str],
        c: int,
        index_P: Mapping[str, np.ndarray],
        sums_CLB: Mapping[str, np.ndarray],
        rows: slice,
    ) -> np.ndarray:
        total_PB = sums_CLB[first][c].take(index_P[first][rows], axis=0)
        for name in others:
            total_PB += sums_CLB[name][c].take(index_P[name][rows], axis=0)
        return total_PB

    def _gmacs(
        self, convention: Convention, index_P: Mapping[str, np.ndarray], rate_LB: Mapping[str, np.ndarray]
    ) -> np.ndarray:
        macs_LB = {name: rate_LB[name] * np.float64(self.cost.per_segment_macs[convention][name]) for name in self.modalities}
        first, *others = self.modalities
        macs_PB = (self.cost.always_macs[convention] + macs_LB[first])[index_P[first]]
        for name in others:
            macs_PB += macs_LB[name][index_P[name]]
        macs_PB *= self.logits_BSMC.shape[1]
        macs_PB /= 1e9
        return macs_PB

    def arrays(self) -> dict[str, np.ndarray]:
        """Plain arrays; strings as UTF-8 bytes, so that they fit into safetensors."""
        names = "\n".join([*self.modalities, *self.video_ids]).encode()
        more = {} if self.labels_BC is None else {"labels_BC": self.labels_BC.astype(np.uint8)}
        if self.conditioned is not None:
            more["lambda_LM"] = self.conditioned.lambda_LM.astype(np.float64)
            more["probability_LBSM"] = self.conditioned.probability_LBSM.astype(np.float32)
        return more | {
            "probability_BSM": self.probability_BSM.astype(np.float32),
            "logits_BSMC": self.logits_BSMC.astype(np.float32),
            "present_BSM": self.present_BSM.astype(np.uint8),
            "label_B": self.label_B.astype(np.int64),
            "sampled": np.array([self.sampled], np.uint8),
            "names": np.frombuffer(names, np.uint8).copy(),
            "macs": np.array(
                [
                    [self.cost.per_segment_macs[c][name] for name in self.modalities] + [self.cost.always_macs[c]]
                    for c in CONVENTIONS
                ],
                np.int64,
            ),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> ModalityReplay:
        """The inverse of :meth:`arrays`."""
        modality_count = arrays["probability_BSM"].shape[2]
        names = bytes(arrays["names"]).decode().split("\n")
        modalities = tuple(names[:modality_count])
        macs = arrays["macs"]
        cost = CostTable(
            per_segment_macs={
                c: {name: int(macs[i, m]) for m, name in enumerate(modalities)} for i, c in enumerate(CONVENTIONS)
            },
            always_macs={c: int(macs[i, -1]) for i, c in enumerate(CONVENTIONS)},
            segments=arrays["probability_BSM"].shape[1],
        )
        return cls(
            modalities=modalities,
            probability_BSM=arrays["probability_BSM"],
            logits_BSMC=arrays["logits_BSMC"],
            present_BSM=arrays["present_BSM"].astype(bool),
            label_B=arrays["label_B"],
            labels_BC=arrays["labels_BC"].astype(bool) if "labels_BC" in arrays else None,
            sampled=bool(arrays["sampled"][0]),
            conditioned=Conditioned(lambda_LM=arrays["lambda_LM"], probability_LBSM=arrays["probability_LBSM"])
            if "lambda_LM" in arrays
            else None,
            video_ids=tuple(names[modality_count:]),
            cost=cost,
        )
