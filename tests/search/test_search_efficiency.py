"""The search benchmark: its closed form is the toy's, its clock loses no pass, its measure is what it says."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from benchmarks.search_efficiency import replayed
from benchmarks.search_efficiency.clock import Moment, Sweep
from benchmarks.search_efficiency.measures import ratio
from benchmarks.search_efficiency.methods import METHODS
from benchmarks.search_efficiency.problem import PASSES, Problem, _config, _table, instances
from trainables.kit.engine.ranks import Ranks
from trainables.toy.system import ToySystem

WHOLE = sum(PASSES.values())
STEADY = instances("steady")[1]


def test_a_table_is_what_the_toy_network_with_these_weights_gives():
    config, system = _config({"lambda.rgb": 0.3, "gamma": 5}, STEADY), ToySystem()
    net = system.build(config, config.data.classes)
    net.quality = 0.7
    with torch.no_grad():
        net.policy.threshold_M.copy_(torch.tensor([0.3, 0.6]))
        for skill in net.recognition.parameters():
            skill.copy_(torch.tensor(0.8))
        data = system.open_data(config, None)
        theirs = system.replay(net, config, data, "val", mode="policy", seed=0, share=Ranks())
    ours = _table(config, STEADY, "val", 0.8, np.array([0.3, 0.6]), 0.7)
    np.testing.assert_allclose(ours.probability_BSM, theirs.probability_BSM, atol=1e-4)
    np.testing.assert_allclose(ours.logits_BSMC, theirs.logits_BSMC, atol=1e-5)
    np.testing.assert_array_equal(ours.label_B, theirs.label_B)
    assert ours.cost == theirs.cost


@pytest.mark.parametrize("name", ["random", "ours+early_stopping"])
def test_a_sweep_trains_what_its_budget_pays_for(name):
    sweep = Sweep(Problem(STEADY), METHODS[name], seed=0, passes=4 * WHOLE)
    history = sweep.run()
    passes = [moment.passes for moment in history]
    assert passes == sorted(passes)
    if name == "random":
        assert (sweep.trials, passes[-1], history[-1].time) == (4, 4 * WHOLE, WHOLE)
    else:
        assert sweep.trials > 4
        assert 0 < sweep.pruned < sweep.trials
        assert passes[-1] < 6 * WHOLE, "what was promoted is finished, and no more"


def test_the_same_seed_gives_the_same_sweep():
    histories = [Sweep(Problem(STEADY), METHODS["ours+early_stopping"], seed=1, passes=2 * WHOLE).run() for _ in range(2)]
    assert histories[0] == histories[1]


def test_the_ratio_is_of_the_passes_to_what_both_reach():
    def moments(*rows: tuple[int, float]) -> list[Moment]:
        return [Moment(time=0.0, passes=passes, hypervolume=volume) for passes, volume in rows]

    assert ratio(moments((10, 0.2), (30, 0.9)), moments((50, 0.5), (120, 0.8))) == pytest.approx(30 / 120)
    assert ratio(moments((10, 0.2), (40, 0.4)), moments((20, 0.5), (60, 0.8))) == pytest.approx(40 / 20)


def test_a_replayed_sweep_pays_for_what_it_trains_and_has_no_run_twice():
    _, rows = replayed.table()
    assert (len(rows), sum(row.conditioned for row in rows)) == (54, 6)
    plain = replayed.replay(replayed.METHODS["random"], seed=0, trials=3)
    assert [moment.passes for moment in plain] == [155, 310, 465]
    ours = [replayed.replay(replayed.METHODS["ours"], seed=0, trials=3) for _ in range(2)]
    assert ours[0] == ours[1]
    assert ours[0][0].passes == 185, "the first trial is the conditioned one"
    assert ours[0][1].passes - ours[0][0].passes == 80, "what is shared is trained once"
