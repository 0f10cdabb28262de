from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from trainables.contract import Batch
from trainables.errors import InvalidInput
from trainables.kit.data import dataset as dataset_module
from trainables.kit.data.config import DATA_PRESETS, DataConfig
from trainables.kit.data.dataset import VideoData, load_file
from trainables.kit.data.draws import shift_of
from trainables.kit.data.modalities.pictures import shift_pictures
from trainables.kit.data.modalities.rgb import RGB_MEAN, RGB_STD, Rgb
from trainables.kit.data.spectrogram import SILENCE
from trainables.kit.data.synthetic import SAMPLE_RATE, write_clip

Make = Callable[..., Path]
BOTH = ("rgb", "audio")
FIRST = np.zeros((1, 1, 1), dtype=np.int64)  # one segment, one frame, the first


def tiny(manifest: Path | str, **changes: Any) -> DataConfig:
    return DataConfig(manifest=str(manifest), **{**DATA_PRESETS["tiny"], **changes})


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def data(clips: Path, cache: Path) -> VideoData:
    return VideoData(tiny(clips), cache)


def train(data: VideoData, **changes: Any) -> list[Batch]:
    options = {"modalities": BOTH, "segments": 3, "batch_size": 10, "draw": (0, 0, 0), **changes}
    return list(data.train_batches(**options))


def same(one: Batch, other: Batch) -> bool:
    return all(torch.equal(one.inputs[name], other.inputs[name]) for name in one.inputs)


def test_batches_have_the_axes_and_types_of_the_contract(data: VideoData) -> None:
    batch = train(data)[0]
    assert batch.inputs["rgb"].shape == (10, 3, 1, 3, 32, 32)
    assert batch.inputs["audio"].shape == (10, 3, 1, 1, 40, 80)
    assert {tensor.dtype for tensor in batch.inputs.values()} == {torch.float32}
    assert batch.label_B.dtype == torch.int64
    assert batch.present_BSM.shape == (10, 3, 2)
    assert batch.present_BSM.all()
    assert len(data.classes) == 6


def test_an_epoch_shows_every_training_video_once_and_epochs_differ(data: VideoData) -> None:
    first, again, later = train(data), train(data), train(data, draw=(0, 1, 0))
    assert sorted(torch.cat([batch.index_B for batch in first]).tolist()) == list(range(len(data.ids("train"))))
    assert all(same(one, other) for one, other in zip(first, again, strict=True))
    assert [batch.index_B.tolist() for batch in first] != [batch.index_B.tolist() for batch in later]


def test_ranks_together_see_what_one_process_sees(data: VideoData) -> None:
    whole = train(data)
    shares = [train(data, rank=rank, ranks=2) for rank in range(2)]
    assert len(shares[0]) == len(shares[1]) == len(whole)
    for batch, *parts in zip(whole, *shares, strict=True):
        for rank, part in enumerate(parts):
            assert torch.equal(part.index_B, batch.index_B[rank::2])
            assert torch.equal(part.inputs["rgb"], batch.inputs["rgb"][rank::2])
            assert torch.equal(part.inputs["audio"], batch.inputs["audio"][rank::2])


def test_a_last_batch_too_small_for_batch_norm_is_left_out(data: VideoData) -> None:
    count = len(data.ids("train"))
    batches = train(data, batch_size=count - 1)
    assert [len(batch.label_B) for batch in batches] == [count - 1]


def test_segments_do_not_depend_on_the_modalities_asked_for(data: VideoData) -> None:
    both, alone = train(data)[0], train(data, modalities=("audio",))[0]
    assert torch.equal(both.inputs["audio"], alone.inputs["audio"])
    assert alone.present_BSM.shape == (10, 3, 1)


def test_evaluation_takes_every_video_once_in_order_whatever_the_ranks(data: VideoData) -> None:
    options: dict[str, Any] = {"modalities": BOTH, "segments": 4, "batch_size": 4}
    whole = list(data.eval_batches("val", **options))
    assert torch.cat([batch.index_B for batch in whole]).tolist() == list(range(len(data.ids("val"))))
    parts = [batch for rank in range(4) for batch in data.eval_batches("val", **options, rank=rank, ranks=4)]
    assert sorted(torch.cat([batch.index_B for batch in parts]).tolist()) == list(range(len(data.ids("val"))))


def test_packed_and_single_clips_give_the_same_batches(
    clips: Path, cache: Path, data: VideoData, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dataset_module, "can_pack", lambda config, frames: False)
    single = VideoData(tiny(clips), cache)
    assert all(same(one, other) for one, other in zip(train(data), train(single), strict=True))


def test_a_file_loaded_alone_equals_its_row_in_the_data_set(clips: Path, data: VideoData) -> None:
    batch = next(data.eval_batches("val", modalities=BOTH, segments=4, batch_size=1))
    loaded = load_file(clips.parent / "videos" / f"{data.ids('val')[0]}.mp4", tiny(clips), segments=4)
    assert all(torch.equal(batch.inputs[name][0], loaded.read(name, range(4))) for name in BOTH)
    assert torch.equal(batch.inputs["rgb"][0, [2, 0]], loaded.read("rgb", [2, 0]))
    np.testing.assert_allclose(loaded.start_s_S, [0.0, 0.8, 1.6, 2.4], atol=1e-6)
    np.testing.assert_allclose(loaded.end_s_S, [0.8, 1.6, 2.4, 3.2], atol=1e-6)


def test_paper_settings_give_8_frames_of_224_and_a_spectrogram_of_256(make_clip: Make, tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mp4", frames=50, frame_rate=25, size=(64, 80))
    config = DataConfig(manifest="unused")
    loaded = load_file(clip, config, segments=2)
    rgb = loaded.read("rgb", range(2))
    assert rgb.shape == (2, 8, 3, 224, 224)
    assert loaded.read("audio", range(2)).shape == (2, 1, 1, 256, 256)
    np.testing.assert_allclose(loaded.start_s_S, [0, 18 / 25], atol=1e-6)
    np.testing.assert_allclose(loaded.end_s_S, [32 / 25, 2.0], atol=1e-6)
    red = rgb[1, :, 0].mean(dim=(1, 2)) * RGB_STD[0] + RGB_MEAN[0]
    # Every 4th frame from the 18th; converting colours may darken by half a step of brightness.
    np.testing.assert_allclose(red * 255 / 4, np.arange(18, 50, 4), atol=0.7)


def test_paper_training_batch_is_cropped_once_for_all_segments(make_clip: Make, tmp_path: Path) -> None:
    rows = []
    for number, split in enumerate(("train", "train", "val", "test")):
        make_clip(tmp_path / f"{number}.mp4", frames=40, size=(64, 80))
        row = {"id": str(number), "split": split, "path": f"{number}.mp4", "label": 0, "label_name": "grey"}
        rows.append(json.dumps(row))
    (tmp_path / "m.jsonl").write_text("\n".join(rows))
    data = VideoData(DataConfig(manifest=str(tmp_path / "m.jsonl")), tmp_path / "cache")
    (batch,) = data.train_batches(modalities=BOTH, segments=2, batch_size=2, draw=(0, 0, 0))
    assert batch.inputs["rgb"].shape == (2, 2, 8, 3, 224, 224)
    assert batch.inputs["audio"].shape == (2, 2, 1, 1, 256, 256)
    assert torch.isfinite(batch.inputs["rgb"]).all()


@pytest.mark.parametrize("preset", ["tiny", "paper"])
@pytest.mark.parametrize("sound_start_s", [0.0, 0.3])
def test_flash_and_beep_at_one_moment_land_in_one_segment(tmp_path: Path, preset: str, sound_start_s: float) -> None:
    """Both last from 4.0 to 4.8 s of an 8 s clip; the sound track may start late."""
    frames = np.zeros((80, 64, 64, 3), dtype=np.uint8)
    frames[40:48] = 255
    time = np.arange(round((8 - sound_start_s) * SAMPLE_RATE)) / SAMPLE_RATE + sound_start_s
    beep = np.where((time >= 4.0) & (time < 4.8), 0.5 * np.sin(2 * np.pi * 1000 * time), 0)
    path = tmp_path / "flash.mp4"
    write_clip(path, frames, beep, sound_start_s=sound_start_s)
    segments = {"segments": {"span_frames": 8, "frames": 2, "stride": 4, "grid": True}}
    config = DataConfig(manifest="unused", **(DATA_PRESETS["tiny"] if preset == "tiny" else segments))
    loaded = load_file(path, config, segments=10)
    light_S = loaded.read("rgb", range(10)).mean(dim=(1, 2, 3, 4))
    sound_SFT = loaded.read("audio", range(10))[:, 0, 0]
    margin = round(
        max(0.0, config.audio.window_s - 0.8) / 2 / config.audio.hop_s
    )  # the paper's window is wider than a span
    loud_S = sound_SFT[:, :, margin : config.audio.steps - margin].mean(dim=(1, 2))
    assert light_S.argmax() == loud_S.argmax() == 5
    # On the common clock to a hop or two: the beep fills its own segment and does not reach into the next ones.
    loud_ST = sound_SFT.amax(dim=1)[:, margin : config.audio.steps - margin]
    threshold = (loud_ST[5].max() + loud_ST[0].max()) / 2
    share_S = (loud_ST > threshold).float().mean(dim=1)
    assert share_S[5] > 0.95
    assert share_S[[3, 4, 6, 7]].max() < 0.06


def test_a_missing_sound_track_is_absent_and_silent(make_clip: Make, tmp_path: Path) -> None:
    config = tiny("unused")
    loaded = load_file(make_clip(tmp_path / "mute.mp4", sound=False), config, segments=2)
    assert loaded.present("rgb") == [True, True]
    assert loaded.present("audio") == [False, False]
    silence = (np.float16(SILENCE) - config.audio.mean) / config.audio.std
    assert torch.allclose(loaded.read("audio", [0, 1]), torch.full((2, 1, 1, 40, 80), float(silence)))


def test_segments_beside_a_short_sound_track_are_absent(tmp_path: Path) -> None:
    write_clip(tmp_path / "short.mp4", np.zeros((80, 64, 64, 3), dtype=np.uint8), np.zeros(2 * SAMPLE_RATE))
    loaded = load_file(tmp_path / "short.mp4", tiny("unused"), segments=10)
    assert loaded.present("audio") == [True] * 3 + [False] * 7
    assert loaded.present("rgb") == [True] * 10


def test_parts_of_one_file_are_videos_of_their_own(make_clip: Make, tmp_path: Path) -> None:
    parts = [("long", "train", 0, 1.6), ("other", "val", 0, 1.6), ("long", "test", 0, 1.6), ("long", "test", 1.6, 3.2)]
    rows = []
    for number, (name, split, start_s, end_s) in enumerate(parts):
        path, group = f"{name}-{split}.mp4", name + split
        make_clip(tmp_path / path, frames=40)
        row = {"id": str(number), "split": split, "path": path, "label": 0, "label_name": "grey", "group": group}
        rows.append({**row, "start_s": start_s, "end_s": end_s})
    (tmp_path / "m.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    data = VideoData(tiny(tmp_path / "m.jsonl"), tmp_path / "cache")
    (batch,) = data.eval_batches("test", modalities=BOTH, segments=2, batch_size=2)
    red_BS = batch.inputs["rgb"][:, :, 0, 0].mean(dim=(-1, -2)) * RGB_STD[0] + RGB_MEAN[0]
    frame_BS = torch.tensor([[3, 11], [19, 27]])  # segments of 8 frames, of which the fourth is looked at
    torch.testing.assert_close(red_BS * 255 / 4, frame_BS.float(), atol=0.7, rtol=0)
    # All files are the same bytes: one entry for the first 1.6 s, one for the next.
    assert len(list((tmp_path / "cache").glob("frames-*/*.json"))) == 2


def test_broken_manifest_and_undecodable_file_fail_before_training(clips: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.mp4"
    bad.write_text("no video")
    lines = clips.read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    for entry in rows:
        entry["path"] = str(clips.parent / entry["path"])
    rows[0]["path"] = str(bad)
    (tmp_path / "m.jsonl").write_text("\n".join(json.dumps(entry) for entry in rows))
    with pytest.raises(InvalidInput, match=r"bad\.mp4: does not decode"):
        VideoData(tiny(tmp_path / "m.jsonl"), tmp_path / "cache")


def test_shifts_reach_both_ends_and_move_content_by_whole_pixels() -> None:
    assert shift_of(np.array([0.0, 0.5, 0.999]), 2).tolist() == [-2, 0, 2]
    pictures = np.arange(5, dtype=np.uint8)[None, None, None, None, :, None].repeat(5, axis=3).repeat(3, axis=5)
    moved = shift_pictures(pictures, np.array([[[0.5, 0.999]]]), 1)
    assert moved[0, 0, 0, 0, :, 0].tolist() == [0, 0, 1, 2, 3]


def test_random_crop_covers_what_its_scale_says() -> None:
    """At the largest scale, 319, a 224 crop shows 224 * 256 / 319 = 180 of 256 columns."""
    config = DataConfig(manifest="unused")
    ramp = np.broadcast_to(np.arange(256, dtype=np.uint8)[None, None, :, None], (1, 256, 256, 3))
    crop = Rgb().random_crop(ramp, FIRST, np.array([0.999, 0.0, 0.0, 0.9]), config)
    mirrored = Rgb().random_crop(ramp, FIRST, np.array([0.999, 0.0, 0.0, 0.1]), config)
    assert crop.shape == (1, 1, 3, 224, 224)
    assert math.isclose(crop.max().item(), 179, abs_tol=0.5)
    assert torch.allclose(crop.flip(-1), mirrored, atol=1e-3)
