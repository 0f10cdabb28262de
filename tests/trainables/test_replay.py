"""The replay table: exact table arithmetic, whatever the thresholds."""

import numpy as np
import pytest

from trainables.contract import CostTable
from trainables.kit.measure.replay import ModalityReplay

VIDEOS, SEGMENTS, CLASSES = 40, 5, 3
MACS = {"rgb": 1000, "audio": 100}
ALWAYS = 10


@pytest.fixture
def table():
    rng = np.random.default_rng(0)
    macs = {"paper": MACS, "full": {name: 2 * value for name, value in MACS.items()}}
    return ModalityReplay(
        modalities=("rgb", "audio"),
        probability_BSM=rng.random((VIDEOS, SEGMENTS, 2)).astype(np.float32),
        logits_BSMC=rng.standard_normal((VIDEOS, SEGMENTS, 2, CLASSES)).astype(np.float32),
        present_BSM=rng.random((VIDEOS, SEGMENTS, 2)) < 0.9,
        label_B=rng.integers(0, CLASSES, VIDEOS),
        video_ids=tuple(f"v{b} ä" for b in range(VIDEOS)),
        cost=CostTable(per_segment_macs=macs, always_macs={"paper": ALWAYS, "full": ALWAYS}, segments=SEGMENTS),
    )


SETTINGS = [{}, {"threshold.rgb": 0.2}, {"threshold.rgb": 0.2, "threshold.audio": 0.9}, {"threshold.rgb": 1.0}]


@pytest.mark.parametrize("p", range(len(SETTINGS)))
def test_score_equals_scoring_each_video_by_hand(table, p):
    scored = table.score(SETTINGS)
    setting = SETTINGS[p]
    for b in range(VIDEOS):
        logits, used = np.zeros(CLASSES), {"rgb": 0, "audio": 0}
        for s in range(SEGMENTS):
            for m, name in enumerate(table.modalities):
                threshold = setting.get(f"threshold.{name}", 0.5)
                if table.probability_BSM[b, s, m] > threshold and table.present_BSM[b, s, m]:
                    logits += table.logits_BSMC[b, s, m]
                    used[name] += 1
        assert scored.correct_PB[p, b] == (logits.argmax() == table.label_B[b])
        macs = sum(used[name] * MACS[name] for name in MACS) + ALWAYS * SEGMENTS
        assert scored.gmacs_PB["paper"][p, b] == pytest.approx(macs / 1e9)
        assert scored.rate_PB["rgb"][p, b] == pytest.approx(used["rgb"] / SEGMENTS)


def test_full_convention_charges_its_own_macs(table):
    scored = table.score([{}])
    used = {name: scored.rate_PB[name].mean() * SEGMENTS for name in MACS}
    expected = (sum(2 * MACS[name] * used[name] for name in MACS) + ALWAYS * SEGMENTS) / 1e9
    assert scored.gmacs_PB["full"].mean() == pytest.approx(expected)


def test_a_table_comes_back_from_its_arrays_unchanged(table):
    again = ModalityReplay.from_arrays(table.arrays())
    assert again.video_ids == table.video_ids
    assert again.modalities == table.modalities
    assert again.cost == table.cost
    np.testing.assert_array_equal(again.score(SETTINGS).correct_PB, table.score(SETTINGS).correct_PB)


def test_absent_segments_are_never_used_nor_charged(table):
    use_BSM = table.use({"threshold.rgb": -1.0, "threshold.audio": -1.0})
    np.testing.assert_array_equal(use_BSM, table.present_BSM)
