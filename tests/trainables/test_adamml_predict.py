"""Prediction on files: together as alone, segment by segment as at once, and nothing read that is skipped."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from tests.trainables.adamml_parts import new_model, tiny_config
from trainables.adamml.config import AdaMMLConfig
from trainables.adamml.predict import Runner, videos_at_once
from trainables.adamml.system import AdaMMLSystem
from trainables.contract import Prediction
from trainables.errors import DecodeError, UserError
from trainables.kit.data import dataset as dataset_module
from trainables.kit.data.dataset import load_file
from trainables.kit.data.seek import SeekTrack

SYSTEM = AdaMMLSystem()
SEGMENTS = 5
THRESHOLDS: dict[str, float] = {}  # of the fixture


@pytest.fixture(scope="module")
def videos(clips: Path) -> list[Path]:
    rows = [json.loads(line) for line in clips.read_text().splitlines()]
    return [clips.parent / row["path"] for row in rows[:10]]


@pytest.fixture(scope="module")
def net(videos):
    """An untrained network, and thresholds in the middle of what its policy says of these videos: half is used."""
    config = tiny_config({"data": {"segments": {"test": SEGMENTS}}})
    model = new_model(config).eval()
    with torch.no_grad():
        for head in model.policy.heads.values():
            head.weight.mul_(20)  # so far apart that rounding decides nothing
        loaded = [load_file(video, config.data) for video in videos]
        seen = {m: torch.stack([each.read(m, range(SEGMENTS)) for each in loaded]) for m in model.modalities}
        probability_NM = model.policy.probability(model.policy(seen)).flatten(0, 1)
    middle_2M = probability_NM.sort(0).values[len(probability_NM) // 2 - 1 :][:2]
    THRESHOLDS.update({f"threshold.{m}": float(t) for m, t in zip(model.modalities, middle_2M.mean(0), strict=True)})
    return model, config


def one(net, video, mode="policy") -> Prediction:
    return SYSTEM.predict(*net, video, knobs=THRESHOLDS, mode=mode)


def choices(decisions) -> list[str]:
    return [decision.choice for decision in decisions]


def test_several_videos_together_are_predicted_as_each_alone(net, videos):
    together = list(SYSTEM.predict_many(*net, videos, knobs=THRESHOLDS, mode="policy"))
    used = [choice for found in together for choice in choices(found.decisions)]
    assert {"use", "skip"} == set(used)
    for video, found in zip(videos, together, strict=True):
        alone = one(net, video)
        assert found.decisions == alone.decisions
        assert found.probability_C == pytest.approx(alone.probability_C, abs=1e-5)
        assert found.gmacs == pytest.approx(alone.gmacs)


def test_fewer_videos_are_held_in_memory_where_their_inputs_are_large():
    assert videos_at_once(tiny_config()) == 32
    # 10 segments of 8 frames of 224 pixels and a spectrogram: 51 MB a video.
    data = {"modalities": ["rgb", "audio"], "segments": {"test": 10}}
    assert videos_at_once(AdaMMLConfig.model_validate({"data": {"manifest": "none", **data}})) == 5


def test_a_broken_file_is_answered_by_its_error_and_the_others_by_their_prediction(net, videos, tmp_path):
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no video")
    answers = list(SYSTEM.predict_many(*net, [videos[0], broken, videos[1]], knobs=THRESHOLDS, mode="policy"))
    assert isinstance(answers[1], UserError) and "broken.mp4" in str(answers[1])
    assert [answers[0].decisions, answers[2].decisions] == [one(net, v).decisions for v in videos[:2]]
    with pytest.raises(DecodeError):
        one(net, broken)


@pytest.mark.parametrize("mode", ["policy", "all_on", "only.audio", "fused.fc2"])
def test_a_stream_ends_with_the_prediction_of_the_whole_video(net, videos, mode):
    at_once, steps = one(net, videos[3], mode), list(SYSTEM.stream(*net, videos[3], knobs=THRESHOLDS, mode=mode))
    assert [step.index for step in steps] == list(range(SEGMENTS))
    assert [d for step in steps for d in step.decisions] == list(at_once.decisions)
    assert steps[-1].probability_C == pytest.approx(at_once.probability_C, abs=1e-5)
    assert steps[-1].gmacs == pytest.approx(at_once.gmacs)
    spent = [step.gmacs["full"] for step in steps]
    assert spent == sorted(spent)


def test_sound_is_not_decoded_where_nothing_asks_for_it(net, videos, monkeypatch):
    def refuse(*arguments):
        raise AssertionError("sound was decoded")

    sound = next(name for name in ("decode_samples", "decode_spectrogram") if hasattr(dataset_module, name))
    monkeypatch.setattr(dataset_module, sound, refuse)
    assert set(choices(one(net, videos[0], "only.rgb").decisions)) == {"use", "skip"}
    with pytest.raises(AssertionError, match="sound"):
        one(net, videos[0], "only.audio")


def test_frames_of_skipped_segments_are_not_decoded(net, videos, monkeypatch):
    class LastSegment(Runner):
        def _wanted(self, pieces, seen, state):
            wanted_BSM = torch.zeros(len(pieces), SEGMENTS, 2, dtype=torch.bool)
            wanted_BSM[:, -1, 0] = True
            return wanted_BSM, None

    asked: set[int] = set()
    decode = SeekTrack._decode

    def note(self: SeekTrack, positions: list[int]) -> None:
        asked.update(positions)
        decode(self, positions)

    monkeypatch.setattr(SeekTrack, "_decode", note)
    model, config = net
    runner = LastSegment(model=model, config=config, knobs={}, cost=SYSTEM.cost(config, 4), mode="all_on")
    (found,) = runner.predict(videos[:1])
    assert choices(found.decisions) == ["skip"] * (2 * SEGMENTS - 2) + ["use", "skip"]
    assert len(asked - {0}) == config.data.segments.frames  # frame 0 tells the size of them all
