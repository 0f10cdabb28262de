"""The replay table: exact table arithmetic, whatever the thresholds."""

from dataclasses import replace

import numpy as np
import pytest

from trainables.contract import CostTable, Knob
from trainables.kit.measure.objective import BUDGETS, accuracy_over_budgets
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


def test_means_are_those_of_the_scores_of_very_many_settings(table):
    levels = np.linspace(0, 1, 70)
    settings = [{"threshold.rgb": a, "threshold.audio": b} for a in levels for b in levels]
    scored, means = table.score(settings), table.means(settings)
    np.testing.assert_array_equal(means.accuracy_P, scored.correct_PB.mean(1))
    for name in MACS:
        np.testing.assert_allclose(means.rate_P[name], scored.rate_PB[name].mean(1), rtol=1e-6)
    for convention, gmacs_PB in scored.gmacs_PB.items():
        np.testing.assert_allclose(means.gmacs_P[convention], gmacs_PB.mean(1), rtol=1e-6)


def test_of_equal_sums_the_first_class_is_taken(table):
    nothing = table.score([{"threshold.rgb": 1.0, "threshold.audio": 1.0}])
    np.testing.assert_array_equal(nothing.correct_PB[0], table.label_B == 0)


def test_a_table_comes_back_from_its_arrays_unchanged(table):
    again = ModalityReplay.from_arrays(table.arrays())
    assert again.video_ids == table.video_ids
    assert again.modalities == table.modalities
    assert again.cost == table.cost
    np.testing.assert_array_equal(again.score(SETTINGS).correct_PB, table.score(SETTINGS).correct_PB)


def test_absent_segments_are_never_used_nor_charged(table):
    use_BSM = table.use({"threshold.rgb": -1.0, "threshold.audio": -1.0})
    np.testing.assert_array_equal(use_BSM, table.present_BSM)


def test_a_joint_threshold_stands_for_every_modality(table):
    joint, each = {"threshold.joint": 0.3}, {"threshold.rgb": 0.3, "threshold.audio": 0.3}
    np.testing.assert_array_equal(table.use(joint), table.use(each))


def test_drawn_decisions_follow_the_probabilities_and_repeat_for_the_same_draw(table):
    sampled = replace(table, sampled=True, present_BSM=np.ones_like(table.present_BSM))
    uses = np.stack([sampled.use({"draw": n}) for n in range(400)])
    np.testing.assert_allclose(uses.mean(0), table.probability_BSM, atol=0.12)
    again = ModalityReplay.from_arrays(sampled.arrays())
    np.testing.assert_array_equal(again.use({"draw": 7}), uses[7])
    scored = sampled.score([{"draw": 3}, {}])
    np.testing.assert_allclose(scored.rate_PB["rgb"], uses[[3, 0]][..., 0].mean(2), rtol=1e-6)


def test_any_of_several_labels_is_right(table):
    labels_BC = np.eye(CLASSES, dtype=bool)[table.label_B]
    labels_BC[:, 0] = True
    several = replace(table, labels_BC=labels_BC)
    predicted_B = table.video_logits({}).argmax(-1)
    expected_B = (predicted_B == table.label_B) | (predicted_B == 0)
    np.testing.assert_array_equal(several.score([{}]).correct_PB[0], expected_B)
    np.testing.assert_array_equal(ModalityReplay.from_arrays(several.arrays()).truth_BC, labels_BC)


def test_accuracy_over_budgets_is_the_mean_of_the_best_within_each():
    macs = {"x": 90}
    table = ModalityReplay(
        modalities=("x",),
        probability_BSM=np.array([0.9, 0.5], np.float32).reshape(2, 1, 1),
        logits_BSMC=np.array([[0, 1], [0, 1]], np.float32).reshape(2, 1, 1, 2),
        present_BSM=np.ones((2, 1, 1), bool),
        label_B=np.array([1, 1]),  # right where the modality is used: unused gives zeros, and class 0
        video_ids=("a", "b"),
        cost=CostTable(
            per_segment_macs={"paper": macs, "full": macs}, always_macs={"paper": 10, "full": 10}, segments=1
        ),
    )
    knobs = [
        Knob(name="threshold.x", default=0.5, values=(0.2, 0.8)),
        Knob(name="segments", default=10, values=(3, 10), by="inference"),
    ]
    # Threshold 0.2 uses both videos: accuracy 1 at the whole cost. 0.5 and 0.8 use the first: 0.5 at 55 % of the cost, which
    # the budgets 0.84, 0.71 and 0.59 allow; the other 12 of 16 allow nothing.
    assert accuracy_over_budgets(table, knobs, all_on_gmacs=100 / 1e9) == pytest.approx((1 + 3 * 0.5) / 16)
    assert accuracy_over_budgets(table, (), all_on_gmacs=100 / 1e9) == pytest.approx(4 * 0.5 / 16)


def test_budgets_end_at_one_thirteenth_and_a_half():
    assert 1 / BUDGETS[-1] == pytest.approx(13.45, abs=0.01)
