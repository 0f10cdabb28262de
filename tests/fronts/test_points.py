"""Operating points: the ladder of budgets, cross-fitting, and that the reported accuracy is honest."""

import json
from dataclasses import dataclass, field

import numpy as np
import pytest

from explorer.fronts import Measured, OperatingPoint, halves, operating_points
from explorer.fronts.points import candidate_settings
from trainables.contract import CONVENTIONS, CostTable, Knob, Scored
from trainables.errors import StageFailed
from trainables.kit.measure.replay import ModalityReplay

THRESHOLDS = (0.05, 0.1, 0.2, 0.3, 0.4, 0.45, 0.5, 0.55, 0.6, 0.7, 0.8, 0.9, 0.95)
KNOBS = tuple(Knob(name=f"threshold.{name}", default=0.5, values=THRESHOLDS) for name in ("rgb", "audio"))
COST = CostTable(
    per_segment_macs={"paper": {"rgb": 10**9, "audio": 10**8}, "full": {"rgb": 2 * 10**9, "audio": 2 * 10**8}},
    always_macs={"paper": 10**7, "full": 2 * 10**7},
    segments=5,
)


@dataclass(frozen=True)
class Table:
    """A replay of one knob ``x``: setting x costs x GMACs in every video, and is right where the column says so."""

    label_B: np.ndarray
    correct_by_x: dict[float, list[int]]
    gmacs_by_x: dict[float, list[float]] = field(default_factory=dict)
    video_ids: tuple[str, ...] = ()

    def score(self, settings):
        correct_PB = np.array([self.correct_by_x[s["x"]] for s in settings], dtype=bool)
        gmacs_PB = np.array([self.gmacs_by_x.get(s["x"], [s["x"]] * len(self.label_B)) for s in settings], dtype=float)
        return Scored(
            correct_PB=correct_PB, gmacs_PB=dict.fromkeys(CONVENTIONS, gmacs_PB), rate_PB={"x": np.ones_like(gmacs_PB)}
        )

    def arrays(self):
        return {}


def x_knob(*values: float, default: float) -> Knob:
    return Knob(name="x", default=default, values=values)


def x_cost(macs: int) -> CostTable:
    return CostTable(
        per_segment_macs={c: {"x": macs} for c in CONVENTIONS}, always_macs=dict.fromkeys(CONVENTIONS, 0), segments=1
    )


def noise_replay(seed: int, videos: int = 200, classes: int = 4, segments: int = 5) -> ModalityReplay:
    """Logits and probabilities that know nothing of the labels."""
    rng = np.random.default_rng(seed)
    return ModalityReplay(
        modalities=("rgb", "audio"),
        probability_BSM=rng.random((videos, segments, 2), dtype=np.float32),
        logits_BSMC=rng.standard_normal((videos, segments, 2, classes), dtype=np.float32),
        present_BSM=np.ones((videos, segments, 2), bool),
        label_B=np.arange(videos) % classes,
        video_ids=tuple(map(str, range(videos))),
        cost=COST,
    )


# --- honesty ----------------------------------------------------------------------------------------------------------


def test_cross_fit_on_noise_gives_chance_where_the_naive_choice_is_optimistic():
    chance, tables, videos = 0.25, 40, 200
    reported, naive = [], []
    for seed in range(tables):
        table = noise_replay(seed, videos)
        points = operating_points(table, None, KNOBS, cost=COST)
        dearest = [p for p in points if p.selection == "budget"][-1]
        reported.append(dearest.val.accuracy)
        naive.append(table.score([dearest.knobs]).correct_PB.mean())  # valued on the videos that chose it
    error = np.sqrt(chance * (1 - chance) / (videos * tables))
    assert abs(np.mean(reported) - chance) < 3 * error
    assert np.mean(naive) - chance > 10 * error


def test_cross_fit_on_noise_keeps_every_budget_at_chance():
    accuracies = [
        p.val.accuracy for seed in range(20) for p in operating_points(noise_replay(seed), None, KNOBS, cost=COST)
    ]
    assert np.mean(accuracies) == pytest.approx(0.25, abs=0.01)


def test_each_video_is_judged_by_the_thresholds_that_the_other_half_chose():
    label_B = np.arange(8) % 2
    first_B = halves(label_B, 0)
    # x = 1 is right exactly on the first half, x = 2 exactly on the second: each half chooses what fails on the other.
    table = Table(label_B, {0.5: [0] * 8, 1.0: first_B.astype(int).tolist(), 2.0: (~first_B).astype(int).tolist()})
    points = operating_points(table, None, [x_knob(1.0, 2.0, default=0.5)], cost=x_cost(2 * 10**9))
    assert points[-1].val.accuracy == 0.0
    assert table.score([points[-1].knobs]).correct_PB.mean() == 0.5


def test_default_point_is_valued_on_all_videos_without_any_choice():
    table = noise_replay(3)
    default = operating_points(table, None, KNOBS, cost=COST)[0]
    assert default.selection == "default" and default.budget_gmacs is None
    assert default.knobs == {"threshold.rgb": 0.5, "threshold.audio": 0.5}
    assert default.val.accuracy == pytest.approx(table.score([{}]).correct_PB.mean())


def test_test_split_is_valued_with_the_deployable_knobs():
    val, test = noise_replay(1), noise_replay(2, videos=50)
    for point in operating_points(val, test, KNOBS, cost=COST):
        scored = test.score([point.knobs])
        assert point.test is not None and point.test.videos == 50
        assert point.test.accuracy == pytest.approx(scored.correct_PB.mean())
        assert point.test.gflops["full"] == pytest.approx(scored.gmacs_PB["full"].mean())


# --- the ladder of budgets --------------------------------------------------------------------------------------------


def test_each_budget_gets_its_most_accurate_affordable_setting():
    by_half_B = np.argsort(np.argsort(~halves(np.zeros(8, int), 0), kind="stable")) % 4  # 0 to 3 within each half
    columns = {x: (by_half_B < right).astype(int).tolist() for x, right in {1.0: 1, 2.0: 2, 4.0: 4}.items()}
    table = Table(np.zeros(8, int), columns)
    points = operating_points(table, None, [x_knob(1.0, 2.0, 4.0, default=1.0)], cost=x_cost(4 * 10**9), levels=3)
    assert [(p.knobs["x"], p.val.accuracy, p.val.gflops["full"]) for p in points] == [
        (1.0, 0.25, 1.0),
        (2.0, 0.5, 2.0),
        (4.0, 1.0, 4.0),
    ]
    assert [p.budget_gmacs for p in points] == [None, pytest.approx(2.0), pytest.approx(4.0)]


def test_ties_go_to_the_cheaper_setting():
    table = Table(np.zeros(8, int), {1.0: [0] * 8, 2.0: [1] * 8, 4.0: [1] * 8})
    points = operating_points(table, None, [x_knob(4.0, 2.0, 1.0, default=1.0)], cost=x_cost(4 * 10**9))
    assert [p.knobs["x"] for p in points] == [1.0, 2.0]


def test_budgets_span_from_the_cheapest_setting_to_everything_on_with_the_policy():
    points = operating_points(noise_replay(5), None, KNOBS, cost=COST, levels=12)
    everything = COST.at_rates_gmacs("full", {"rgb": 1.0, "audio": 1.0})
    budgets = [p.budget_gmacs for p in points if p.budget_gmacs is not None]
    assert budgets == sorted(budgets)
    assert max(budgets) <= everything * (1 + 1e-9)
    cheapest = noise_replay(5).score([{"threshold.rgb": 0.95, "threshold.audio": 0.95}]).gmacs_PB["full"].mean()
    assert min(budgets) == pytest.approx(cheapest)


def test_no_two_points_have_equal_knobs():
    points = operating_points(noise_replay(7), None, KNOBS, cost=COST, levels=40)
    assert len({p.identity for p in points}) == len(points)


def test_costs_of_both_conventions_and_rates_are_reported():
    default = operating_points(noise_replay(1), None, KNOBS, cost=COST)[0]
    for convention in CONVENTIONS:
        assert default.val.gflops[convention] == pytest.approx(COST.at_rates_gmacs(convention, default.val.rates))


def test_without_knobs_there_is_the_default_alone():
    points = operating_points(noise_replay(1), None, (), cost=COST)
    assert [p.selection for p in points] == ["default"]


def test_knobs_that_need_a_new_inference_are_left_alone():
    segments = Knob(name="segments", default=10, values=(5, 10), by="inference")
    points = operating_points(noise_replay(1), None, (*KNOBS, segments), cost=COST)
    assert all("segments" not in p.knobs for p in points)


def test_a_cost_that_is_not_finite_fails_the_stage():
    table = Table(np.zeros(2, int), {1.0: [1, 1]}, gmacs_by_x={1.0: [1.0, float("nan")]})
    with pytest.raises(StageFailed, match=r"joint.*not finite"):
        operating_points(table, None, [x_knob(1.0, default=1.0)], cost=x_cost(10**9), stage="joint")


def test_a_free_table_has_no_ladder():
    table = Table(np.zeros(2, int), {0.0: [1, 1], 1.0: [1, 1]}, gmacs_by_x={1.0: [0.0, 0.0]})
    points = operating_points(table, None, [x_knob(1.0, default=0.0)], cost=x_cost(0))
    assert [p.val.gflops["full"] for p in points] == [0.0]


def test_a_single_video_is_measured():
    table = Table(np.zeros(1, int), {1.0: [1], 2.0: [1]})
    assert all(
        p.val.videos == 1 for p in operating_points(table, None, [x_knob(1.0, 2.0, default=1.0)], cost=x_cost(10**9))
    )


# --- settings, halves, storage ----------------------------------------------------------------------------------------


def test_settings_of_two_knobs_are_the_whole_grid_defaults_first():
    settings = candidate_settings(KNOBS)
    assert len(settings) == 13 * 13
    assert settings[0] == {"threshold.rgb": 0.5, "threshold.audio": 0.5}
    assert len({tuple(s.values()) for s in settings}) == len(settings)


@pytest.mark.parametrize("count", [0, 1, 3, 5, 11, 40])
def test_settings_stay_within_the_limit_whatever_the_number_of_knobs(count):
    knobs = [Knob(name=f"k{i}", default=0.33, values=THRESHOLDS) for i in range(count)]
    settings = candidate_settings(knobs, limit=2000)
    assert 1 <= len(settings) <= 2001
    assert settings[0] == dict.fromkeys((k.name for k in knobs), 0.33)
    assert all(len(s) == count for s in settings)


@pytest.mark.parametrize("videos", [0, 1, 2, 7, 60])
def test_halves_are_equal_in_all_and_in_every_class(videos):
    label_B = np.random.default_rng(0).integers(0, 5, videos)
    first_B = halves(label_B, seed=3)
    assert abs(int(first_B.sum()) - int((~first_B).sum())) <= 1
    for label in set(label_B.tolist()):
        inside = first_B[label_B == label]
        assert abs(int(inside.sum()) - int((~inside).sum())) <= 1


def test_halves_depend_on_the_seed_alone():
    label_B = np.arange(40) % 4
    assert (halves(label_B, 1) == halves(label_B, 1)).all()
    assert (halves(label_B, 1) != halves(label_B, 2)).any()


def test_point_survives_json():
    for point in operating_points(
        noise_replay(1), noise_replay(2), KNOBS, cost=COST, key="abc", stage="joint", epoch=4
    ):
        assert OperatingPoint.from_dict(json.loads(json.dumps(point.to_dict()))) == point


def test_correct_bitmap_gives_back_each_video():
    table = noise_replay(1, videos=13)
    default = operating_points(table, None, KNOBS, cost=COST)[0]
    assert (default.val.correct_B() == table.score([{}]).correct_PB[0]).all()


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_measured_refuses_what_is_not_finite(bad):
    with pytest.raises(ValueError, match="accuracy="):
        Measured(accuracy=bad, gflops={"full": 1.0}, rates={}, correct="80", videos=1)
