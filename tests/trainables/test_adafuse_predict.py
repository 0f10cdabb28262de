"""Video files through AdaFuse: as measured, channel shares told with every frame."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.trainables.adafuse_parts import adafuse_config, make_decisive
from trainables.adafuse.system import AdaFuseSystem
from trainables.contract import CONVENTIONS
from trainables.kit.engine.ranks import Ranks

SYSTEM = AdaFuseSystem()
FRAMES = 4
MODES = ("policy", "all_on", "lstm", "threshold", "ada_skip")


@pytest.fixture(scope="module")
def made(clips, media_cache):
    config = adafuse_config({"data": {"segments": {"test": FRAMES}}, "knobs": {"keep": [0], "skip": [0]}}, str(clips))
    data = SYSTEM.open_data(config, media_cache)
    torch.manual_seed(0)
    model = SYSTEM.build(config, len(data.classes)).eval()
    make_decisive(model, 0.5)
    return config, data, model


@pytest.mark.parametrize("mode", MODES)
@torch.no_grad()
def test_a_file_is_labelled_as_its_video_was_measured(made, mode):
    config, data, model = made
    table = SYSTEM.replay(model, config, data, "val", mode=mode, seed=0, share=Ranks())
    scored, logits_BC = table.score([{}]), table.video_logits({})
    files = SYSTEM.val_files(config)
    for b, name in enumerate(list(table.video_ids)[:3]):
        found = SYSTEM.predict(model, config, files[name], knobs={}, mode=mode)
        np.testing.assert_allclose(found.probability_C, torch.from_numpy(logits_BC[b]).softmax(-1), atol=1e-3)
        for convention in CONVENTIONS:
            assert found.gmacs[convention] == pytest.approx(scored.gmacs_PB[convention][0, b], rel=1e-5)
        told = {site: [d.share for d in found.decisions if d.site == site] for site in scored.rate_PB}
        assert {site: np.mean(row) for site, row in told.items()} == pytest.approx(
            {site: rate_PB[0, b] for site, rate_PB in scored.rate_PB.items()}, abs=1e-6
        )


def test_a_prediction_tells_every_share_of_every_frame(made):
    config, _, model = made
    file = next(iter(SYSTEM.val_files(config).values()))
    found = SYSTEM.predict(model, config, file, knobs={"bias.skip": 1e6}, mode="policy")
    shares = [share for site in SYSTEM.sites(config) for share in site.shares]
    assert {(d.site, d.index) for d in found.decisions} == {(name, t) for name in shares for t in range(FRAMES)}
    assert all(d.choice == "skip" and d.share == 0 for d in found.decisions)
    cost = SYSTEM.cost(config, len(found.probability_C))
    assert found.gmacs["full"] == pytest.approx(cost.at_rates_gmacs("full", dict.fromkeys(shares, 0.0)))


@torch.no_grad()
def test_the_number_of_frames_and_drawing_are_knobs_where_they_are_measured(made, clips):
    config, data, model = made
    changes = {
        "data": {"segments": {"test": FRAMES}},
        "knobs": {"keep": [0], "skip": [0], "frames": [2], "sampled": True},
    }
    more = adafuse_config(changes, str(clips))
    knobs = {knob.name: knob.values for knob in SYSTEM.knobs(more)}
    assert knobs["frames"] == (2, FRAMES)
    assert knobs["sampled"] == (0, 1)
    table = SYSTEM.replay(model, more, data, "val", mode="policy", seed=0, share=Ranks())
    assert table.decisions({"frames": 2})["layer1.1.kept"].shape[1] == 2
    assert table.decisions({})["layer1.1.kept"].shape[1] == FRAMES
    scored = table.score([{}, {"frames": 2}, {"sampled": 1}])
    gmacs = scored.gmacs_PB["paper"].mean(1)
    assert gmacs[1] < gmacs[0]
    assert (scored.rate_PB["layer1.1.kept"][2] != scored.rate_PB["layer1.1.kept"][0]).any()
    file = next(iter(SYSTEM.val_files(config).values()))
    assert {d.index for d in SYSTEM.predict(model, more, file, knobs={"frames": 2}, mode="policy").decisions} == {0, 1}


@torch.no_grad()
def test_drawn_decisions_differ_from_draw_to_draw_and_are_the_same_again(made):
    config, data, model = made
    tables = [SYSTEM.replay(model, config, data, "val", mode="sampled", seed=0, share=Ranks()) for _ in range(2)]
    shares = [table.decisions({"draw": n})["layer2.1.kept"] for table in tables for n in (0, 1)]
    np.testing.assert_array_equal(shares[0], shares[2])
    assert (shares[0] != shares[1]).any()


@torch.no_grad()
def test_the_exported_network_computes_what_a_measurement_does(made):
    config, data, model = made
    (video,) = SYSTEM.networks(model, config).values()
    batch = next(data.eval_batches("val", modalities=("rgb",), segments=FRAMES, batch_size=2))
    logits_NC, computed_NTP, kept_NTP, reused_NTP = video.module(batch.inputs["rgb"][:, :, 0], torch.zeros(2, 3))
    table = SYSTEM.replay(model, config, data, "val", mode="policy", seed=0, share=Ranks())
    np.testing.assert_allclose(logits_NC, table.video_logits({})[:2], atol=1e-4)
    for p, site in enumerate(SYSTEM.sites(config)):
        for name, share_NTP in zip(site.shares, (computed_NTP, kept_NTP, reused_NTP), strict=True):
            np.testing.assert_allclose(share_NTP[:, :, p], table.decisions({})[name][:2], atol=1e-6)
    skipped = video.module(*(x if n == "x" else x + torch.tensor([1e6, 0, 0]) for n, x in video.inputs.items()))
    assert float(skipped[2].sum() + skipped[3].sum()) == 0
