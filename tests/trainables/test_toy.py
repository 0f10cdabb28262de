"""The toy's planted front: gamma and temperature at their peaks beat all others, at every lambda."""

import moocore
import numpy as np
import pytest
import torch

from trainables.kit.engine.ranks import Ranks
from trainables.toy import surface
from trainables.toy.config import ToyConfig
from trainables.toy.data import ToyData
from trainables.toy.model import ToyNet
from trainables.toy.system import ToySystem

LAMBDAS = (0.1, 0.3, 1.0, 3.0)
PEAK = {"gamma": surface.PEAK_GAMMA}


def trained(**fields):
    """Accuracy and GFLOPs of a fully trained toy, by closed form: skill 1, thresholds where lambda puts them."""
    config = ToyConfig.model_validate(fields)
    net = ToyNet(config, config.data.classes)
    with torch.no_grad():
        for parameter in net.recognition.parameters():
            parameter.fill_(1.0)
        net.policy.threshold_M.copy_(torch.tensor([surface.threshold(config, m) for m in ("rgb", "audio")]))
        table = ToySystem().replay(net, config, ToyData(config), "val", mode="policy", seed=0, share=Ranks())
        scored = table.score([{}])
    return scored.correct_PB.mean(), scored.gmacs_PB["full"].mean()


def at(weight: float, **fields):
    return trained(**{"lambda": {"rgb": weight, "audio": weight / 4}, **PEAK, **fields})


def test_a_larger_lambda_never_costs_more():
    assert (np.diff([at(weight)[1] for weight in LAMBDAS]) < 0).all()


def area(**fields) -> float:
    """Hypervolume of the trade-offs over a grid of lambda: log cost against accuracy, everything on and 0.5 as reference."""
    points = [at(float(weight), **fields) for weight in np.geomspace(0.05, 8, 24)]
    losses = np.array([[np.log(gflops), -accuracy] for accuracy, gflops in points])
    return moocore.hypervolume(losses, ref=[np.log(0.66), -0.5])


@pytest.mark.parametrize(
    "worse", [{"gamma": 10.0}, {"temperature": {"initial": 0.3}}, {"temperature": {"anneal": {"decay": 0.5}}}], ids=str
)
def test_away_from_the_peak_the_trade_offs_over_lambda_are_worse(worse):
    assert area() > 1.03 * area(**worse)


def test_quality_is_one_at_the_peak_and_less_elsewhere():
    assert surface.quality(ToyConfig.model_validate(PEAK)) == 1.0
    assert surface.quality(ToyConfig.model_validate({"gamma": 0.0})) < 1.0


def test_using_everything_is_not_the_best_that_can_be_done():
    everything = trained(**{"lambda": {"rgb": 0.0, "audio": 0.0}, **PEAK})
    assert max(at(weight)[0] for weight in LAMBDAS) > everything[0]
