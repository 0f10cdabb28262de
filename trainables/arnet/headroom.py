"""What selections of a resolution or a skip for each frame would reach, from the warmed-up networks' outputs on every frame.

Three rules, each scored as if it were a policy:

* ``random``: so many frames at each resolution, drawn with equal probability, the others skipped. It needs no policy.
* ``confident``: a frame takes the resolution whose own certainty, less a price times its cost, is largest; computed are so many
  frames, those where that is most. It sees what it skips, but no label.
* ``oracle``: for each video the cheapest frames of one resolution that give the right label, and nothing for one that none gives.

Imports no torch. Axes: ``B`` video, ``S`` frame, ``M`` resolution, ``C`` class, ``P`` setting.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping

import numpy as np

from trainables.arnet.actions import LOOK
from trainables.contract import CONVENTIONS, Convention, Scored
from trainables.kit.measure.headroom import cheapest_right, confidence, joined, margin
from trainables.kit.measure.replay import ModalityReplay

DRAWS = 8
SETTINGS_AT_MOST = 400  # numbers of frames of each resolution that are tried at random
PRICES = (0.0, 0.02, 0.05, 0.1, 0.2, 0.4, 0.8)  # of certainty, for the cost of the highest resolution


def headroom(table: ModalityReplay, look: Mapping[Convention, int], *, lowest: str, seed: int = 0) -> dict[str, Scored]:
    """Each rule by name. ``look``: multiply-accumulates of the policy's look at a frame; it looks at all of them.

    ``lowest``: the resolution that is the policy's own: at random, it costs the looks as well.
    """
    rng = np.random.default_rng(seed)
    shape = table.present_BSM.shape[:2]
    every_look = {c: look[c] * shape[1] / 1e9 for c in CONVENTIONS}
    draws = [np.argsort(rng.random(shape), axis=1) for _ in range(DRAWS)]
    oracle = joined([_ranked(table, m, _best_first(table)[:, :, m]) for m in range(len(table.modalities))])
    return {
        "random": joined([_random(table, order_BS, every_look, lowest) for order_BS in draws]),
        "confident": joined([_confident(table, price, every_look) for price in PRICES]),
        "oracle": _looking(cheapest_right(oracle, every_look)),
    }


def _random(table: ModalityReplay, order_BS: np.ndarray, every_look: Mapping[Convention, float], lowest: str) -> Scored:
    """Frames in a drawn order: the first so many at the first resolution, the next at the second, and so on."""
    count_PM = _counts(table.logits_BSMC.shape[1], len(table.modalities))
    logits_BSMC = np.take_along_axis(table.logits_BSMC, order_BS[:, :, None, None], 1)
    sums_BKMC = np.pad(logits_BSMC.cumsum(1), ((0, 0), (1, 0), (0, 0), (0, 0)))
    total_PBC = np.stack([_in_turn(sums_BKMC, counts_M) for counts_M in count_PM])
    own = table.modalities.index(lowest) if lowest in table.modalities else None
    looks_P = np.zeros(len(count_PM)) if own is None else (count_PM[:, own] > 0).astype(float)
    count_PBM = np.broadcast_to(count_PM[:, None], (len(count_PM), len(order_BS), len(table.modalities)))
    return _scored(table, total_PBC, count_PBM, looks_P[:, None], every_look)


def _in_turn(sums_BKMC: np.ndarray, counts_M: np.ndarray) -> np.ndarray:
    """``total_BC`` of the first so many frames at the first resolution, the next at the second, and so on."""
    ends_M = counts_M.cumsum()
    each = [sums_BKMC[:, end, m] - sums_BKMC[:, end - counts_M[m], m] for m, end in enumerate(ends_M)]
    return np.sum(each, axis=0)


def _confident(table: ModalityReplay, price: float, every_look: Mapping[Convention, float]) -> Scored:
    """So many frames of each video, from none to all."""
    cost_M = np.array([table.cost.per_segment_macs["full"][name] for name in table.modalities], float)
    worth_BSM = confidence(table.logits_BSMC) - price * cost_M / cost_M.max()
    level_BS = worth_BSM.argmax(-1)
    order_BS = np.argsort(-worth_BSM.max(-1), axis=1, kind="stable")
    logits_BSC = np.take_along_axis(table.logits_BSMC, level_BS[..., None, None], 2)[:, :, 0]
    sums_BKC = np.pad(np.take_along_axis(logits_BSC, order_BS[..., None], 1).cumsum(1), ((0, 0), (1, 0), (0, 0)))
    taken_BSM = np.take_along_axis(np.eye(len(cost_M))[level_BS], order_BS[..., None], 1)
    count_BKM = np.pad(taken_BSM.cumsum(1), ((0, 0), (1, 0), (0, 0)))
    looks_P1 = np.ones((sums_BKC.shape[1], 1))
    return _scored(table, sums_BKC.swapaxes(0, 1), count_BKM.swapaxes(0, 1), looks_P1, every_look)


def _best_first(table: ModalityReplay) -> np.ndarray:
    """``order_BSM``: frames by how far the true class is ahead at each resolution."""
    return np.argsort(-margin(table.logits_BSMC, table.truth_BC), axis=1, kind="stable")


def _ranked(table: ModalityReplay, m: int, order_BS: np.ndarray) -> Scored:
    """The first one, two, ... frames at one resolution, without what decides."""
    sums_BSC = np.take_along_axis(table.logits_BSMC[:, :, m], order_BS[..., None], 1).cumsum(1)
    videos, frames, _ = sums_BSC.shape
    count_PBM = np.zeros((frames, videos, len(table.modalities)))
    count_PBM[:, :, m] = np.arange(1, frames + 1)[:, None]
    return _scored(table, sums_BSC.swapaxes(0, 1), count_PBM, np.zeros((frames, 1)), dict.fromkeys(CONVENTIONS, 0.0))


def _scored(
    table: ModalityReplay,
    total_PBC: np.ndarray,
    count_PBM: np.ndarray,
    looks_PB: np.ndarray,
    every_look: Mapping[Convention, float],
) -> Scored:
    """``looks_PB``: 1 where the policy looks at every frame, else 0."""
    videos, frames = table.present_BSM.shape[:2]
    macs = {
        c: np.array([table.cost.per_segment_macs[c][name] for name in table.modalities], float) for c in CONVENTIONS
    }
    rates = {name: count_PBM[..., m] / frames for m, name in enumerate(table.modalities)}
    return Scored(
        correct_PB=table.truth_BC[np.arange(videos), total_PBC.argmax(-1)],
        gmacs_PB={c: count_PBM @ macs[c] / 1e9 + looks_PB * every_look[c] for c in CONVENTIONS},
        rate_PB={**rates, LOOK: np.broadcast_to(looks_PB, total_PBC.shape[:2])},
    )


def _looking(scored: Scored) -> Scored:
    """The same with every frame looked at, which is charged already."""
    rate_PB = {**scored.rate_PB, LOOK: np.ones(scored.correct_PB.shape)}
    return Scored(correct_PB=scored.correct_PB, gmacs_PB=scored.gmacs_PB, rate_PB=rate_PB)


def _counts(frames: int, levels: int) -> np.ndarray:
    """``count_PM``: numbers of frames of each resolution, together at most all; in steps, where there are too many."""
    for step in range(1, frames + 1):
        found = list(_sums(frames, levels, step))
        if len(found) <= SETTINGS_AT_MOST:
            break
    return np.array(found)


def _sums(frames: int, levels: int, step: int) -> Iterator[tuple[int, ...]]:
    each = sorted({*range(0, frames + 1, step), frames})
    return (counts for counts in itertools.product(each, repeat=levels) if sum(counts) <= frames)
