"""Headroom: what selections reach, against sums done by hand and by trying every subset."""

import itertools

import numpy as np
import pytest

from trainables.contract import CostTable
from trainables.kit.measure.headroom import headroom
from trainables.kit.measure.replay import ModalityReplay

MACS = {"rgb": 1000, "audio": 100}
ALWAYS = 10
VIDEOS, SEGMENTS, CLASSES = 30, 3, 4


def table_of(logits_BSMC, label_B, present_BSM=None):
    videos, segments, modalities, _ = logits_BSMC.shape
    names = tuple(MACS)[:modalities]
    macs = {c: {name: MACS[name] for name in names} for c in ("paper", "full")}
    return ModalityReplay(
        modalities=names,
        probability_BSM=np.ones((videos, segments, modalities), np.float32),
        logits_BSMC=logits_BSMC.astype(np.float32),
        present_BSM=np.ones((videos, segments, modalities), bool) if present_BSM is None else present_BSM,
        label_B=np.asarray(label_B),
        video_ids=tuple(map(str, range(videos))),
        cost=CostTable(per_segment_macs=macs, always_macs={"paper": ALWAYS, "full": ALWAYS}, segments=segments),
    )


@pytest.fixture
def noisy():
    rng = np.random.default_rng(3)
    return table_of(
        rng.standard_normal((VIDEOS, SEGMENTS, 2, CLASSES)),
        rng.integers(0, CLASSES, VIDEOS),
        rng.random((VIDEOS, SEGMENTS, 2)) < 0.8,
    )


def test_every_rule_ends_with_everything_on(noisy):
    everything = noisy.score([{}]).correct_PB[0]
    rules = headroom(noisy)
    assert (rules["random"].correct_PB[-1] == everything).all()
    assert (rules["confident"].correct_PB[-1] == everything).all()
    assert (everything <= rules["oracle"].correct_PB[-1]).all()


def test_the_policy_is_charged_to_the_rules_that_need_one(noisy):
    rules = headroom(noisy)
    nothing = [rules[rule].gmacs_PB["full"].min() * 1e9 for rule in ("random", "confident", "oracle")]
    assert nothing == pytest.approx([0, ALWAYS * SEGMENTS, ALWAYS * SEGMENTS])


def test_absent_units_are_neither_used_nor_charged():
    logits_BSMC = np.zeros((1, 2, 1, 2))
    logits_BSMC[0, 0, 0] = [0, 5]
    absent = table_of(logits_BSMC, [1], np.array([[[False], [True]]]))
    rules = headroom(absent)
    assert rules["random"].gmacs_PB["full"].max() * 1e9 == pytest.approx(MACS["rgb"])
    assert not rules["oracle"].correct_PB.any()  # the unit that would give the label is the absent one


def test_the_oracle_takes_the_cheapest_right_unit_and_nothing_for_a_video_without_one():
    logits_BSMC = np.zeros((3, 2, 2, 2))
    logits_BSMC[0, :, 0] = logits_BSMC[0, 1, 1] = [0, 1]  # either modality is right: sound is cheaper
    logits_BSMC[1, :, 0] = [0, 1]  # the picture alone
    logits_BSMC[1, :, 1] = [3, 0]
    logits_BSMC[2, ...] = [1, 0]  # nothing is right
    oracle = headroom(table_of(logits_BSMC, [1, 1, 1]))["oracle"]
    assert oracle.correct_PB[-1].tolist() == [True, True, False]
    assert oracle.gmacs_PB["full"][-1] * 1e9 == pytest.approx([MACS["audio"] + 20, MACS["rgb"] + 20, 20])


def test_the_oracle_is_as_good_as_trying_every_subset_where_one_unit_is_enough(noisy):
    """A video that some subset labels right costs the oracle no more than the cheapest such subset of one unit."""
    oracle = headroom(noisy)["oracle"]
    for b in range(VIDEOS):
        units = [u for u in itertools.product(range(SEGMENTS), range(2)) if noisy.present_BSM[b][u]]
        right = [u for u in units if noisy.logits_BSMC[b][u].argmax() == noisy.label_B[b]]
        if right:
            cheapest = min([MACS["rgb"], MACS["audio"]][m] for _, m in right)
            assert oracle.correct_PB[-1, b]
            assert oracle.gmacs_PB["full"][-1, b] * 1e9 <= cheapest + ALWAYS * SEGMENTS + 1e-6


def test_the_surest_unit_comes_first():
    logits_BSMC = np.zeros((1, 3, 1, 2))
    logits_BSMC[0, :, 0] = [[2, 0], [0, 3], [1, 0]]  # surest: the second, which says class 1
    confident = headroom(table_of(logits_BSMC, [1]))["confident"]
    assert confident.correct_PB[:, 0].tolist() == [
        False,
        True,
        True,
        False,
    ]  # 0, 1, 2, 3 units: sums 0:0, 0:3, 2:3, 3:3


def test_equal_seeds_give_equal_draws(noisy):
    assert (headroom(noisy, seed=1)["random"].correct_PB == headroom(noisy, seed=1)["random"].correct_PB).all()
    assert (headroom(noisy, seed=1)["random"].correct_PB != headroom(noisy, seed=2)["random"].correct_PB).any()
