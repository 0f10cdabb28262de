"""Replay table of systems that choose modalities a segment: any thresholds become table arithmetic.

The policy is fed logits, never its own decisions, so a decision changes nothing that comes after it. Storing the
policy's probabilities and every recognition net's weighted segment logits once is therefore enough to score any
threshold exactly (specs of AdaMML, "Free after training"). Importing this module does not import torch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from trainables.contract import CONVENTIONS, Convention, CostTable, Scored

DEFAULT_THRESHOLD = 0.5
_CHUNK_BYTES = 64 * 2**20


@dataclass(frozen=True, kw_only=True)
class ModalityReplay:
    """What one inference pass found.

    ``probability_BSM``: policy's probability of use. ``logits_BSMC``: segment logits, already times the fusion weight.
    ``present_BSM``: False where the file has no such signal: never used, never charged. A forced mode (all on, random)
    is stored as probabilities 0 and 1, so that every threshold gives the forced decision.
    """

    modalities: tuple[str, ...]
    probability_BSM: np.ndarray
    logits_BSMC: np.ndarray
    present_BSM: np.ndarray
    label_B: np.ndarray
    video_ids: tuple[str, ...]
    cost: CostTable

    def use(self, setting: Mapping[str, float]) -> np.ndarray:
        """``use_BSM``: probability above the modality's threshold (knob ``threshold.NAME``, default 0.5), and present."""
        thresholds_M = np.array([setting.get(f"threshold.{name}", DEFAULT_THRESHOLD) for name in self.modalities])
        return (self.probability_BSM > thresholds_M) & self.present_BSM

    def video_logits(self, setting: Mapping[str, float]) -> np.ndarray:
        """``logits_BC``: mean over all segments of the sum of the used modalities; nothing used gives zeros."""
        use_BSM = self.use(setting).astype(np.float32)
        return np.einsum("bsmc,bsm->bc", self.logits_BSMC, use_BSM) / self.logits_BSMC.shape[1]

    def score(self, settings: Sequence[Mapping[str, float]]) -> Scored:
        """Score every setting. Separated by modality: each distinct threshold is summed once, then combined."""
        count, (videos, segments, _, classes) = len(settings), self.logits_BSMC.shape
        correct_PB = np.empty((count, videos), bool)
        rate_PB = {name: np.empty((count, videos), np.float32) for name in self.modalities}
        sums, rates = self._by_threshold(settings)
        step = max(1, _CHUNK_BYTES // (4 * videos * classes))
        for start in range(0, count, step):
            chunk = range(start, min(start + step, count))
            total_PBC = np.zeros((len(chunk), videos, classes), np.float32)
            for name in self.modalities:
                values = [settings[p].get(f"threshold.{name}", DEFAULT_THRESHOLD) for p in chunk]
                total_PBC += np.stack([sums[name][value] for value in values])
                rate_PB[name][list(chunk)] = np.stack([rates[name][value] for value in values])
            correct_PB[list(chunk)] = total_PBC.argmax(-1) == self.label_B
        return Scored(
            correct_PB=correct_PB,
            gmacs_PB={convention: self._gmacs(convention, rate_PB, segments) for convention in CONVENTIONS},
            rate_PB=rate_PB,
        )

    def _by_threshold(self, settings: Sequence[Mapping[str, float]]) -> tuple[dict, dict]:
        sums: dict[str, dict[float, np.ndarray]] = {}
        rates: dict[str, dict[float, np.ndarray]] = {}
        for m, name in enumerate(self.modalities):
            sums[name], rates[name] = {}, {}
            for value in {setting.get(f"threshold.{name}", DEFAULT_THRESHOLD) for setting in settings}:
                use_BS = (self.probability_BSM[:, :, m] > value) & self.present_BSM[:, :, m]
                sums[name][value] = np.einsum("bsc,bs->bc", self.logits_BSMC[:, :, m], use_BS.astype(np.float32))
                rates[name][value] = use_BS.mean(1, dtype=np.float32)
        return sums, rates

    def _gmacs(self, convention: Convention, rate_PB: Mapping[str, np.ndarray], segments: int) -> np.ndarray:
        macs_PB = np.full_like(rate_PB[self.modalities[0]], self.cost.always_macs[convention], dtype=np.float64)
        for name in self.modalities:
            macs_PB += rate_PB[name].astype(np.float64) * self.cost.per_segment_macs[convention][name]
        return macs_PB * segments / 1e9

    def arrays(self) -> dict[str, np.ndarray]:
        """Plain arrays; strings as UTF-8 bytes, so that they fit into safetensors."""
        names = "\n".join([*self.modalities, *self.video_ids]).encode()
        return {
            "probability_BSM": self.probability_BSM.astype(np.float32),
            "logits_BSMC": self.logits_BSMC.astype(np.float32),
            "present_BSM": self.present_BSM.astype(np.uint8),
            "label_B": self.label_B.astype(np.int64),
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
            video_ids=tuple(names[modality_count:]),
            cost=cost,
        )
