"""What was chosen at each site, as shares of its units. Imports no torch.

Axes: ``B`` video, ``U`` unit (a segment, a frame), ``A`` choice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from trainables.contract import Site


def told_choices(sites: Sequence[Site], shares: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """``share_BUA`` of the sites whose shares (``share_BU`` by name) tell what was chosen; see :attr:`Site.told`.

    A share that a table lacks is 0: a baseline of one modality has measured nothing of the others.
    """
    return {site.name: _told(site, shares) for site in sites if site.told}


def _told(site: Site, shares: Mapping[str, np.ndarray]) -> np.ndarray:
    nothing_BU = np.zeros_like(next(iter(shares.values())), np.float32)
    said = [None if name is None else np.asarray(shares.get(name, nothing_BU), np.float32) for name in site.told]
    rest = 1 - np.sum([each for each in said if each is not None], axis=0)
    return np.stack([rest if each is None else each for each in said], -1)


def chosen(choice_BU: np.ndarray, count: int, *, unasked: int) -> np.ndarray:
    """``share_BUA``, one-hot, of the choices' indices; where nothing was asked (``unasked``) the one before still holds."""
    units = np.arange(choice_BU.shape[1])
    last_BU = np.maximum.accumulate(np.where(choice_BU != unasked, units, 0), axis=1)
    held_BU = np.take_along_axis(choice_BU, last_BU, axis=1)
    return (held_BU[..., None] == np.arange(count)).astype(np.float32)


def steady(share_BUA: np.ndarray) -> np.ndarray:
    """``share_BA``: 1 for the choice that every unit of a video got. For sites whose units are whole, not shares of their parts."""
    return share_BUA.min(axis=1)
