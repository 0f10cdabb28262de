"""The budget controller keeps the running mean of a stream at the budget, whatever comes."""

from __future__ import annotations

import numpy as np
import pytest

from explorer.fronts.controller import BudgetController
from trainables.contract import CostTable
from trainables.errors import UserError
from trainables.kit.measure.replay import ModalityReplay

VIDEOS, SEGMENTS = 400, 10
THRESHOLDS = (0.95, 0.8, 0.6, 0.4, 0.2, 0.05)
AFTER = 200  # videos from which on the mean must keep to the budget


@pytest.fixture(scope="module")
def gmacs_PB() -> np.ndarray:
    """Costs of videos of a replay table whose policy likes some videos more than others."""
    rng = np.random.default_rng(0)
    liking_B = rng.beta(2, 2, VIDEOS)
    noise = rng.normal(0, 0.15, (VIDEOS, SEGMENTS, 2))
    macs = {"rgb": 1_000_000, "audio": 250_000}
    table = ModalityReplay(
        modalities=("rgb", "audio"),
        probability_BSM=np.clip(liking_B[:, None, None] + noise, 0.01, 0.99).astype(np.float32),
        logits_BSMC=np.zeros((VIDEOS, SEGMENTS, 2, 3), np.float32),
        present_BSM=np.ones((VIDEOS, SEGMENTS, 2), bool),
        label_B=np.zeros(VIDEOS, int),
        video_ids=tuple(map(str, range(VIDEOS))),
        cost=CostTable(
            per_segment_macs={"paper": macs, "full": macs},
            always_macs={"paper": 50_000, "full": 50_000},
            segments=SEGMENTS,
        ),
    )
    settings = [{"threshold.rgb": t, "threshold.audio": t} for t in THRESHOLDS]
    return table.score(settings).gmacs_PB["full"]


def stream(kind: str, gmacs_PB: np.ndarray) -> np.ndarray:
    """The order of a stream's videos."""
    rng = np.random.default_rng(1)
    if kind == "shuffled":
        return rng.integers(0, VIDEOS, 1500)
    dear_B = np.argsort(gmacs_PB.mean(0))
    if kind == "drifting":  # from the cheapest videos to the dearest, slowly
        place_N = np.linspace(0, VIDEOS - 1, 1500) + rng.normal(0, 80, 1500)
        return dear_B[np.clip(place_N, 0, VIDEOS - 1).astype(int)]
    assert kind == "jumping"  # only cheap videos, then only dear ones, and back
    cheap, dear = dear_B[: VIDEOS // 3], dear_B[-VIDEOS // 3 :]
    return np.concatenate([rng.choice(part, 500) for part in (cheap, dear, cheap)])


@pytest.mark.parametrize("kind", ["shuffled", "drifting", "jumping"])
@pytest.mark.parametrize("share", [0.4, 0.55, 0.7])
def test_the_running_mean_keeps_within_two_percent_of_the_budget(kind, share, gmacs_PB):
    order_N = stream(kind, gmacs_PB)
    # What is asked for must be in reach of every part of the stream.
    parts = np.array_split(order_N, 10)
    lowest = max(gmacs_PB[0, part].mean() for part in parts)
    highest = min(gmacs_PB[-1, part].mean() for part in parts)
    mean_P = gmacs_PB.mean(1)
    budget = max(lowest + share * (highest - lowest), mean_P[0])
    controller = BudgetController(mean_P, budget)
    worst = 0.0
    for number, video in enumerate(order_N):
        setting = controller.choose()
        controller.spent(gmacs_PB[setting, video], setting)
        if number >= AFTER:
            worst = max(worst, abs(controller.mean / budget - 1))
    assert worst <= 0.02


def test_one_fixed_setting_misses_the_budget_that_the_controller_keeps(gmacs_PB):
    mean_P, order_N = gmacs_PB.mean(1), stream("drifting", gmacs_PB)
    budget = (mean_P[2] + mean_P[3]) / 2
    fixed = [gmacs_PB[p, order_N].mean() for p in range(len(mean_P))]
    assert min(abs(mean / budget - 1) for mean in fixed) > 0.02


def test_a_budget_that_equals_a_settings_cost_takes_that_setting():
    controller = BudgetController([1.0, 2.0, 4.0], 2.0)
    for _ in range(10):
        assert controller.choose() == 1
        controller.spent(2.0, 1)
    assert controller.mean == 2.0


def test_between_two_settings_both_are_used_in_proportion():
    controller, chosen = BudgetController([1.0, 2.0], 1.25), []
    for _ in range(400):
        chosen.append(controller.choose())
        controller.spent([1.0, 2.0][chosen[-1]], chosen[-1])
    assert np.mean(chosen) == pytest.approx(0.25, abs=0.03)


def test_more_than_the_dearest_setting_is_not_used_up_and_less_than_the_cheapest_is_refused():
    controller = BudgetController([1.0, 2.0], 9.0)
    for _ in range(50):
        assert controller.choose() == 1
        controller.spent(2.0, 1)
    with pytest.raises(UserError, match=r"at least what the cheapest setting costs, 1 GFLOPs.*got 0.5"):
        BudgetController([1.0, 2.0], 0.5)
