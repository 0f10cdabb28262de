"""Video files through AR-Net: as measured, and nothing that is skipped is read."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from tests.trainables.arnet_parts import arnet_config, new_model
from trainables.arnet.predict import Runner
from trainables.arnet.system import ArNetSystem
from trainables.contract import CONVENTIONS
from trainables.kit.engine.ranks import Ranks

SYSTEM = ArNetSystem()
FRAMES = 5
MODES = ("policy", "all_on", "only.low", "only.lowest", "multi_scale", "lstm", "frames.4")
KNOBS = {"bias.cost": 0.0, "bias.skip": 0.0}


@pytest.fixture(scope="module")
def made(clips, media_cache):
    config = arnet_config({"data": {"segments": {"test": FRAMES}}}, str(clips))
    data = SYSTEM.open_data(config, media_cache)
    torch.manual_seed(0)
    model = SYSTEM.build(config, len(data.classes)).eval()
    with torch.no_grad():
        model.policy.actions.weight.mul_(30)  # decisions that differ from frame to frame
    return config, data, model


@pytest.mark.parametrize("mode", MODES)
@torch.no_grad()
def test_a_file_is_labelled_as_its_video_was_measured(made, clips, mode):
    config, data, model = made
    table = SYSTEM.replay(model, config, data, "val", mode=mode, seed=0, share=Ranks())
    scored, logits_BC = table.score([{}]), table.video_logits({})
    files = SYSTEM.val_files(config)
    for b, name in enumerate(list(table.video_ids)[:3]):
        found = SYSTEM.predict(model, config, files[name], knobs=KNOBS, mode=mode)
        np.testing.assert_allclose(found.probability_C, torch.from_numpy(logits_BC[b]).softmax(-1), atol=1e-4)
        for convention in CONVENTIONS:
            assert found.gmacs[convention] == pytest.approx(scored.gmacs_PB[convention][0, b], rel=1e-6)
        used = {site: [d.choice == "use" for d in found.decisions if d.site == site] for site in scored.rate_PB}
        assert {site: np.mean(row) for site, row in used.items()} == pytest.approx(
            {site: rate_PB[0, b] for site, rate_PB in scored.rate_PB.items()}
        )


def test_skipped_frames_are_neither_read_nor_looked_at(made, clips, monkeypatch):
    config, _, model = made
    file = next(iter(SYSTEM.val_files(config).values()))
    runner = Runner(model, config, {"bias.skip": 1e6}, "policy")
    taken: list[int] = []
    look = runner._frame
    monkeypatch.setattr(runner, "_frame", lambda x, t, progress: taken.append(t) or look(x, t, progress))
    found = runner.predict(file)
    assert len(taken) < FRAMES
    assert found.gmacs["full"] == pytest.approx(len(taken) * runner.cost.per_segment_macs["full"]["look"] / 1e9)
    assert len(found.decisions) == FRAMES * len(SYSTEM.sites(config)[0].shares)


def test_a_stream_ends_with_the_prediction_of_the_whole_video(made):
    config, _, model = made
    file = next(iter(SYSTEM.val_files(config).values()))
    pieces = list(SYSTEM.stream(model, config, file, knobs=KNOBS, mode="policy"))
    whole = SYSTEM.predict(model, config, file, knobs=KNOBS, mode="policy")
    assert [piece.index for piece in pieces] == list(range(FRAMES))
    assert pieces[-1].probability_C == whole.probability_C
    assert pieces[-1].gmacs == whole.gmacs


@torch.no_grad()
def test_the_number_of_frames_is_a_knob_where_it_is_measured(made, clips):
    config, data, model = made
    more = arnet_config({"data": {"segments": {"test": FRAMES}}, "knobs": {"frames": [2], "sampled": True}}, str(clips))
    knobs = {knob.name: knob.values for knob in SYSTEM.knobs(more)}
    assert knobs["frames"] == (2, FRAMES)
    assert knobs["sampled"] == (0, 1)
    table = SYSTEM.replay(model, more, data, "val", mode="policy", seed=0, share=Ranks())
    assert table.decisions({"frames": 2})["look"].shape[1] == 2
    assert table.decisions({})["look"].shape[1] == FRAMES
    assert table.score([{}, {"frames": 2}]).gmacs_PB["paper"].mean(1)[1] < table.score([{}]).gmacs_PB["paper"].mean()
    file = next(iter(SYSTEM.val_files(config).values()))
    found = SYSTEM.predict(model, more, file, knobs={"frames": 2}, mode="policy")
    assert {d.index for d in found.decisions} == {0, 1}


def test_drawn_actions_differ_from_draw_to_draw_and_are_the_same_again(made):
    config, data, model = made
    with torch.no_grad():
        tables = [SYSTEM.replay(model, config, data, "val", mode="sampled", seed=0, share=Ranks()) for _ in range(2)]
    chosen = [table.choices(SYSTEM.sites(config), {"draw": n})["frame"] for table in tables for n in (0, 1)]
    np.testing.assert_array_equal(chosen[0], chosen[2])
    assert (chosen[0] != chosen[1]).any()


def test_the_parts_compute_what_the_whole_does(made):
    config, _, model = made
    parts = SYSTEM.networks(model, config)
    assert list(parts) == ["recognition.high", "recognition.medium", "recognition.low", "policy"]
    policy = parts["policy"]
    with torch.no_grad():
        actions_NA, _, hidden, _ = policy.module(*policy.inputs.values())
    assert actions_NA.shape == (2, 7)
    assert hidden.shape == (2, config.policy.lstm)
    json.dumps({name: part.site for name, part in parts.items()})
    assert new_model(config).classes == 4
