"""AR-Net's headroom: what selections of resolutions reach, against sums done by hand."""

import numpy as np
import pytest

from trainables.arnet.headroom import _counts, headroom
from trainables.contract import CostTable
from trainables.kit.measure.replay import ModalityReplay

MACS = {"r64": 1000, "r24": 10}
LOOK = {"paper": 5, "full": 5}
FRAMES, CLASSES = 3, 2
LOOKS = LOOK["full"] * FRAMES


def table_of(logits_BSMC, label_B) -> ModalityReplay:
    logits_BSMC = np.asarray(logits_BSMC, np.float32)
    first_BSM = np.zeros(logits_BSMC.shape[:3], np.float32)
    first_BSM[..., 0] = 1
    return ModalityReplay(
        modalities=tuple(MACS),
        probability_BSM=first_BSM,
        logits_BSMC=logits_BSMC,
        present_BSM=np.ones(first_BSM.shape, bool),
        label_B=np.asarray(label_B),
        video_ids=tuple(map(str, range(len(logits_BSMC)))),
        cost=CostTable(
            per_segment_macs={"paper": MACS, "full": MACS}, always_macs={"paper": 0, "full": 0}, segments=FRAMES
        ),
    )


@pytest.fixture
def noisy() -> ModalityReplay:
    rng = np.random.default_rng(1)
    return table_of(rng.standard_normal((20, FRAMES, 2, CLASSES)), rng.integers(0, CLASSES, 20))


def test_the_oracle_takes_the_cheapest_right_frame_and_nothing_for_a_video_without_one():
    logits = np.zeros((3, FRAMES, 2, CLASSES))
    logits[..., 0] = 1  # everything says the first class ...
    logits[0, 2, 1] = [0, 5]  # ... but the last frame of the first video at the low resolution
    logits[1, 0, 0] = [0, 5]  # and the first frame of the second at the high one
    oracle = headroom(table_of(logits, [1, 1, 1]), LOOK, lowest="r24")["oracle"]
    assert oracle.correct_PB[-1].tolist() == [True, True, False]
    assert oracle.gmacs_PB["full"][-1] * 1e9 == pytest.approx([LOOKS + 10, LOOKS + 1000, LOOKS])
    assert oracle.gmacs_PB["full"][0] * 1e9 == pytest.approx([LOOKS] * 3)
    assert oracle.rate_PB["r64"][-1] == pytest.approx([0, 1 / FRAMES, 0])


def test_the_surest_frames_come_first_and_a_price_prefers_the_lower_resolution():
    logits = np.zeros((1, FRAMES, 2, CLASSES))
    logits[0, :, 0] = [[0, 1], [9, 0], [0, 2]]
    logits[0, :, 1] = [[0, 0], [8, 0], [0, 0]]
    confident = headroom(table_of(logits, [0]), LOOK, lowest="r24")["confident"]
    cost = confident.gmacs_PB["full"][:, 0] * 1e9
    without_price, dearest = cost[: FRAMES + 1], cost[-FRAMES - 1 :]
    assert without_price == pytest.approx([LOOKS, LOOKS + 1000, LOOKS + 2000, LOOKS + 3000])
    assert dearest == pytest.approx([LOOKS, LOOKS + 10, LOOKS + 20, LOOKS + 30])
    assert confident.correct_PB[1, 0] and confident.correct_PB[-FRAMES, 0]


def test_random_looks_only_where_the_policy_s_own_resolution_is_drawn_and_ends_with_everything(noisy):
    random = headroom(noisy, LOOK, lowest="r24")["random"]
    cost = random.gmacs_PB["full"][:, 0] * 1e9
    low, high = random.rate_PB["r24"][:, 0], random.rate_PB["r64"][:, 0]
    assert cost == pytest.approx(FRAMES * (1000 * high + 10 * low) + LOOKS * (low > 0))
    assert (low + high <= 1 + 1e-9).all()
    everything = noisy.score([{}])
    for p in np.flatnonzero(high > 1 - 1e-9):
        assert (random.correct_PB[p] == everything.correct_PB[0]).all()


def test_the_oracle_is_at_least_as_accurate_as_any_single_resolution(noisy):
    rules = headroom(noisy, LOOK, lowest="r24")
    for m in range(2):
        alone = noisy.logits_BSMC[:, :, m].sum(1).argmax(-1) == noisy.label_B
        assert (alone <= rules["oracle"].correct_PB[-1]).all()


def test_numbers_of_frames_are_all_where_they_are_few_and_steps_where_they_are_many():
    assert len(_counts(3, 2)) == 10
    many = _counts(16, 4)
    assert len(many) <= 400
    assert many.sum(1).max() == 16
    assert [16, 0, 0, 0] in many.tolist()
