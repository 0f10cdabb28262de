"""Replay table of systems whose decisions bear on later ones: what one inference pass found, setting by setting.

Where a decision changes what the policy sees next (a frame that is skipped is not looked at), thresholds cannot be moved in a
table afterwards. So the last and light part of the network runs once for each of a grid of settings of the knobs, and the table
holds the outcome of each: the video's logits, what was computed, what it cost. Importing this module does not import torch.

Axes: ``L`` setting, ``B`` video, ``U`` unit (a frame, a segment; of a block), ``C`` class, ``P`` setting that is asked for.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from trainables.contract import CONVENTIONS, Convention, Scored, Site
from trainables.kit.measure.choices import chosen, steady, told_choices


@dataclass(frozen=True, kw_only=True)
class SettingReplay:
    """``settings``: values of the knobs, the default first; a setting that is asked for is answered by the nearest one.

    ``logits_LBC``: of the whole video. ``share``: by name, ``share_LBU`` used of every unit: bool, or in [0, 1] where a unit has
    parts. ``units_L``: how many of the units a setting has (a number of frames is a knob); the others are padding.
    ``gmacs``: ``gmacs_LB`` by convention. ``choice``: by site, ``choice_LBU`` that the policy made (an index into the site's
    choices; :data:`NOT_ASKED` where it did not look), which says more than what was then computed. ``steady_parts``: by site whose
    units have parts, ``share_LBA`` of the parts that got the same choice in every unit.
    """

    settings: tuple[Mapping[str, float], ...]
    logits_LBC: np.ndarray
    share: Mapping[str, np.ndarray]
    units_L: np.ndarray
    gmacs: Mapping[Convention, np.ndarray]
    label_B: np.ndarray
    video_ids: tuple[str, ...]
    labels_BC: np.ndarray | None = None
    choice: Mapping[str, np.ndarray] = field(default_factory=dict)
    steady_parts: Mapping[str, np.ndarray] = field(default_factory=dict)

    @property
    def truth_BC(self) -> np.ndarray:
        """Multi-hot true classes."""
        classes = self.logits_LBC.shape[-1]
        return np.eye(classes, dtype=bool)[self.label_B] if self.labels_BC is None else self.labels_BC

    def row(self, setting: Mapping[str, float]) -> int:
        """The measured setting nearest to ``setting``; a knob that it does not name has its default.

        Distances count by a knob's range. Knobs' values are measured ones: what is in between is not interpolated.
        """
        names = list(self.settings[0])
        value_LK = np.array([[known[name] for name in names] for known in self.settings], float)
        wanted_K = np.array([setting.get(name, self.settings[0][name]) for name in names], float)
        range_K = np.maximum(value_LK.max(0) - value_LK.min(0), 1e-12) if names else np.ones(0)
        return int((np.abs(value_LK - wanted_K) / range_K).sum(1).argmin())

    def score(self, settings: Sequence[Mapping[str, float]]) -> Scored:
        """Look every setting up."""
        rows_P = np.array([self.row(setting) for setting in settings])
        video_B, truth_BC = np.arange(len(self.label_B)), self.truth_BC
        correct_LB = truth_BC[video_B, self.logits_LBC.argmax(-1)]
        return Scored(
            correct_PB=correct_LB[rows_P],
            gmacs_PB={convention: self.gmacs[convention][rows_P] for convention in CONVENTIONS},
            rate_PB={name: self._rate_LB(share_LBU)[rows_P] for name, share_LBU in self.share.items()},
        )

    def _rate_LB(self, share_LBU: np.ndarray) -> np.ndarray:
        there_LU = np.arange(share_LBU.shape[2]) < self.units_L[:, None]
        used_LB = (share_LBU * there_LU[:, None]).sum(2, dtype=np.float64)
        return used_LB / np.maximum(self.units_L, 1)[:, None]

    def video_logits(self, setting: Mapping[str, float]) -> np.ndarray:
        """``logits_BC``."""
        return self.logits_LBC[self.row(setting)]

    def decisions(self, setting: Mapping[str, float]) -> dict[str, np.ndarray]:
        """``share_BU`` by name: what was computed."""
        row = self.row(setting)
        return {name: share_LBU[row][:, : self.units_L[row]] for name, share_LBU in self.share.items()}

    def choices(self, sites: Sequence[Site], setting: Mapping[str, float]) -> dict[str, np.ndarray]:
        """``share_BUA`` by site: of the choices that are kept, and else of those that the shares tell."""
        row = self.row(setting)
        kept = {site.name: site for site in sites if site.name in self.choice}
        return told_choices([site for site in sites if site.name not in kept], self.decisions(setting)) | {
            name: chosen(self.choice[name][row][:, : self.units_L[row]], len(site.choices), unasked=NOT_ASKED)
            for name, site in kept.items()
        }

    def steady(self, sites: Sequence[Site], setting: Mapping[str, float]) -> dict[str, np.ndarray]:
        """``share_BA`` by site: where units have parts, as was measured."""
        row = self.row(setting)
        whole = [site for site in sites if site.name in self.choice]
        found = {name: steady(share_BUA) for name, share_BUA in self.choices(whole, setting).items()}
        return found | {s.name: self.steady_parts[s.name][row] for s in sites if s.name in self.steady_parts}

    def arrays(self) -> dict[str, np.ndarray]:
        """Plain arrays; strings as UTF-8 bytes, so that they fit into safetensors."""
        about = {"video_ids": self.video_ids, "settings": [dict(setting) for setting in self.settings]}
        more = {} if self.labels_BC is None else {"labels_BC": self.labels_BC.astype(np.uint8)}
        return more | {
            "logits_LBC": self.logits_LBC.astype(np.float32),
            "units_L": self.units_L.astype(np.int64),
            "label_B": self.label_B.astype(np.int64),
            **{_SHARE + name: _plain(array) for name, array in self.share.items()},
            **{_CHOICE + name: array for name, array in self.choice.items()},
            **{_STEADY + name: array.astype(np.float32) for name, array in self.steady_parts.items()},
            **{_GMACS + convention: array.astype(np.float64) for convention, array in self.gmacs.items()},
            "about": np.frombuffer(json.dumps(about).encode(), np.uint8).copy(),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> SettingReplay:
        """The inverse of :meth:`arrays`."""
        about = json.loads(bytes(arrays["about"]).decode())
        of = {prefix: _below(arrays, prefix) for prefix in (_SHARE, _CHOICE, _STEADY)}
        return cls(
            settings=tuple(about["settings"]),
            logits_LBC=arrays["logits_LBC"],
            share={name: a.astype(bool) if a.dtype == np.uint8 else a for name, a in of[_SHARE].items()},
            units_L=arrays["units_L"],
            gmacs={convention: arrays[_GMACS + convention] for convention in CONVENTIONS},
            label_B=arrays["label_B"],
            video_ids=tuple(about["video_ids"]),
            labels_BC=arrays["labels_BC"].astype(bool) if "labels_BC" in arrays else None,
            choice=of[_CHOICE],
            steady_parts=of[_STEADY],
        )


NOT_ASKED = 255
_SHARE, _CHOICE, _STEADY, _GMACS = "share.", "choice.", "steady.", "gmacs."


def joined(tables: Sequence[SettingReplay]) -> SettingReplay:
    """Tables of the same videos under different settings as one; those with fewer units are padded."""
    first = tables[0]
    units = max(int(table.units_L.max()) for table in tables)
    return SettingReplay(
        settings=tuple(setting for table in tables for setting in table.settings),
        logits_LBC=np.concatenate([table.logits_LBC for table in tables]),
        share={n: np.concatenate([_padded(t.share[n], units, 0) for t in tables]) for n in first.share},
        units_L=np.concatenate([table.units_L for table in tables]),
        gmacs={c: np.concatenate([table.gmacs[c] for table in tables]) for c in CONVENTIONS},
        label_B=first.label_B,
        video_ids=first.video_ids,
        labels_BC=first.labels_BC,
        choice={n: np.concatenate([_padded(t.choice[n], units, NOT_ASKED) for t in tables]) for n in first.choice},
        steady_parts={n: np.concatenate([t.steady_parts[n] for t in tables]) for n in first.steady_parts},
    )


def _padded(array_LBU: np.ndarray, units: int, value: int) -> np.ndarray:
    missing = units - array_LBU.shape[2]
    return np.pad(array_LBU, ((0, 0), (0, 0), (0, missing)), constant_values=value)


def _plain(array: np.ndarray) -> np.ndarray:
    return array.astype(np.uint8) if array.dtype == bool else array.astype(np.float32)


def _below(arrays: Mapping[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
