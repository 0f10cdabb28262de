"""How often each choice is taken: by site, by unit (segment or frame) and by class. Pure; what tables, pictures and the page show.

Axes: ``B`` video, ``U`` unit, ``A`` choice of a site, ``K`` column.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from explorer.report.page.decimals import short
from trainables.contract import Json, Site

SKIP = "skip"  # a choice whose name begins so computes nothing
_DIGITS = 3


@dataclass(frozen=True, kw_only=True)
class Columns:
    """``names``: of sites that only use or skip their own, of others the choices, those that compute first.

    ``share_BUK``: of the site's units; of choices that several sites have, the mean over these. ``stacked``: columns add up to 1.
    """

    names: tuple[str, ...]
    share_BUK: np.ndarray
    stacked: bool
    unit: str

    @property
    def skips(self) -> list[bool]:
        """Which columns compute nothing."""
        return [name.startswith(SKIP) for name in self.names]


def columns_of(sites: Sequence[Site], choices: Mapping[str, np.ndarray], shares: Mapping[str, np.ndarray]) -> Columns:
    """``choices``: ``share_BUA`` by site; sites without any show their ``shares`` (``share_BU``) instead. At least one site."""
    shown: dict[str, np.ndarray] = {}
    several = [site for site in sites if site.name in choices and not _binary(site)]
    for name in dict.fromkeys(name for site in several for name in ordered(site.choices)):
        found = [choices[s.name][..., s.choices.index(name)] for s in several if name in s.choices]
        shown[name] = np.sum(found, axis=0) / len(several)
    for site in sites:
        if site.name in choices and _binary(site):
            shown[site.name] = choices[site.name][..., site.choices.index("use")]
        elif site.name not in choices:
            shown |= {name: np.asarray(shares[name], np.float32) for name in site.shares if name in shares}
    stacked = len(several) == len(sites)
    unit = next((axis for axis in sites[0].axes if axis in ("segment", "frame")), "unit")
    return Columns(names=tuple(shown), share_BUK=np.stack(list(shown.values()), -1), stacked=stacked, unit=unit)


def chosen(
    sites: Sequence[Site],
    choices: Mapping[str, np.ndarray],
    columns: Columns,
    label_B: np.ndarray,
    classes: int,
    steady: Mapping[str, np.ndarray] = MappingProxyType({}),
) -> dict[str, Json]:
    """Means over videos. ``by_class`` is null for a class without a video; ``sites``: each one's own choices.

    ``steady`` (``share_BA`` by site): how much of these never changes within a video.
    """
    mean_BK = columns.share_BUK.mean(1)
    of_class = [label_B == c for c in range(classes)]
    return {
        "unit": columns.unit,
        "columns": list(columns.names),
        "skips": columns.skips,
        "stacked": columns.stacked,
        "mean": _row(mean_BK.mean(0)),
        "by_unit": [_row(share_K) for share_K in columns.share_BUK.mean(0)],
        "by_class": [_row(mean_BK[those].mean(0)) if those.any() else None for those in of_class],
        "sites": {s.name: _of_site(s, choices[s.name].mean(1)) for s in sites if s.name in choices},
        "steady": {s.name: _of_site(s, steady[s.name]) for s in sites if s.name in steady},
    }


def ordered(choices: Sequence[str]) -> tuple[str, ...]:
    """Those that compute come first."""
    return tuple(reversed(choices)) if choices[0].startswith(SKIP) else tuple(choices)


def _binary(site: Site) -> bool:
    return site.choices == (SKIP, "use")


def _of_site(site: Site, share_BA: np.ndarray) -> dict[str, float]:
    mean_A = share_BA.mean(0)
    return {name: short(mean_A[site.choices.index(name)], _DIGITS) for name in ordered(site.choices)}


def _row(values: np.ndarray) -> list[float]:
    return [short(value, _DIGITS) for value in values]
