"""What AdaMML reads and computes to measure in each decision mode."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest
import torch

from tests.trainables.adamml_parts import tiny_config
from trainables.adamml.config import AdaMMLConfig
from trainables.adamml.model import AdaMML
from trainables.adamml.system import AdaMMLSystem
from trainables.contract import Batch
from trainables.kit.data.modalities import MODALITIES
from trainables.kit.engine.ranks import Ranks

VIDEOS, CLASSES = 5, 3


class NoiseData:
    """Noise of the right shape; the last site has no signal in video 0, a stand-in of the policy's nowhere."""

    classes = tuple(f"class-{c}" for c in range(CLASSES))

    def __init__(self, config: AdaMMLConfig) -> None:
        self.config = config
        self.asked: list[tuple[str, ...]] = []

    def ids(self, split: str) -> Sequence[str]:
        return tuple(f"{split}-{b}" for b in range(VIDEOS))

    def eval_batches(
        self, split: str, *, modalities: Sequence[str], segments: int, batch_size: int, rank: int = 0, ranks: int = 1
    ) -> Iterator[Batch]:
        self.asked.append(tuple(modalities))
        index_B = torch.arange(rank, VIDEOS, ranks)
        generator = torch.Generator().manual_seed(0)
        shapes = {name: MODALITIES[name].shape(self.config.data) for name in modalities}
        present_BSM = torch.ones(len(index_B), segments, len(modalities), dtype=torch.bool)
        for column, name in enumerate(modalities):
            if name == self.config.data.modalities[-1]:
                present_BSM[index_B == 0, :, column] = False
            if name in self.config.data.also:
                present_BSM[:, :, column] = False
        yield Batch(
            inputs={n: torch.randn(VIDEOS, segments, *s, generator=generator)[index_B] for n, s in shapes.items()},
            label_B=index_B % CLASSES,
            present_BSM=present_BSM,
            index_B=index_B,
        )

    def train_batches(self, **_: Any) -> Iterator[Batch]:
        raise AssertionError


@pytest.mark.parametrize(
    ("mode", "asked", "rates"),
    [
        ("policy", ("rgb", "flow", "rgbdiff"), None),
        ("all_on", ("rgb", "flow"), {"rgb": 1.0, "flow": 0.8}),
        ("only.flow", ("flow",), {"flow": 0.8}),
        ("fused.max", ("rgb", "flow"), {"rgb": 1.0, "flow": 0.8}),
    ],
)
def test_only_what_a_mode_needs_is_read_and_a_stand_in_is_no_site(mode, asked, rates):
    data = {"modalities": ["rgb", "flow"], "segments": {"test": 4}}
    config = tiny_config({"data": data, "policy": {"sees": {"flow": "rgbdiff"}}})
    system, noise = AdaMMLSystem(), NoiseData(config)
    torch.manual_seed(0)
    model = AdaMML(config, CLASSES).eval()
    with torch.no_grad():
        table = system.replay(model, config, noise, "val", mode=mode, seed=0, share=Ranks())
    assert set(noise.asked) == {asked}
    arrays = table.arrays()
    assert arrays["logits_BSMC"].shape == (VIDEOS, 4, 1 if mode.startswith("only.") else 2, CLASSES)
    assert np.isfinite(arrays["logits_BSMC"]).all()
    there_BM = arrays["present_BSM"].all(1)
    assert there_BM[:, -1].tolist() == [False, True, True, True, True]
    if rates:
        scored = table.score([{}])
        assert {name: float(rate.mean()) for name, rate in scored.rate_PB.items()} == pytest.approx(rates)
        assert table.video_logits({}).any()


def measured(config: AdaMMLConfig, mode: str):
    torch.manual_seed(0)
    model = AdaMML(config, CLASSES).eval()
    with torch.no_grad():
        return AdaMMLSystem().replay(model, config, NoiseData(config), "val", mode=mode, seed=0, share=Ranks())


def test_fc2_is_charged_its_own_linear_layers_instead_of_the_networks():
    config = tiny_config({"data": {"modalities": ["rgb", "audio"]}})
    fc2, weighted = (measured(config, mode).score([{}]).gmacs_PB for mode in ("fused.fc2", "fused.weighted"))
    features = 96 + 64
    extra = features * 128 + 128 * CLASSES - features * CLASSES
    segments = config.data.segments.test
    np.testing.assert_allclose(fc2["full"] - weighted["full"], extra * segments / 1e9, rtol=1e-6)
    np.testing.assert_allclose(fc2["paper"], weighted["paper"])


def test_drawn_test_decisions_use_the_policys_probabilities_and_charge_it():
    config = tiny_config({"test_decisions": "sample"})
    system = AdaMMLSystem()
    assert {stage.mode for stage in system.stages(config) if stage.name in ("joint", "finetune")} == {"sampled"}
    drawn, by_threshold = measured(config, "sampled"), measured(config, "policy")
    np.testing.assert_array_equal(drawn.probability_BSM, by_threshold.probability_BSM)
    assert drawn.cost == by_threshold.cost
    rates = drawn.score(system.default_settings(config)).rate_PB["rgb"].mean(1)
    assert len(rates) == 8 and len(set(rates.tolist())) > 1
    assert rates.mean() == pytest.approx(drawn.probability_BSM[..., 0].mean(), abs=0.1)
