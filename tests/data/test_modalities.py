from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from trainables.kit.data import dataset as dataset_module
from trainables.kit.data.assemble import Assembler
from trainables.kit.data.cache import Clip, Frames, SoundTrack
from trainables.kit.data.config import DATA_PRESETS, AudioConfig, DataConfig
from trainables.kit.data.dataset import VideoData
from trainables.kit.data.decode import decode_picture, decode_sound
from trainables.kit.data.draws import Draws
from trainables.kit.data.modalities import MODALITIES, Segments
from trainables.kit.data.modalities.pictures import VideoModality
from trainables.kit.data.modalities.rgb import RGB_MEAN, RGB_STD
from trainables.kit.data.pack import OneClip
from trainables.kit.data.sound import spectrograms, to_16_bits
from trainables.kit.data.spectrogram import SILENCE
from trainables.kit.data.synthetic import SAMPLE_RATE, write_clip

ALL = ("rgb", "audio", "flow", "rgbdiff")
SIZE = 40
FLIP = {"resize": None, "flip": 1.0}
NO_FLIP = {"resize": None, "flip": 0.0}
RANDOM_CROP = {"resize": (32, 40), "flip": 0.0}


def config(**changes: Any) -> DataConfig:
    """Segments of one frame, all modalities, frames of 40 pixels cut to 32."""
    base: dict[str, Any] = {
        "modalities": ALL,
        "frame_size": SIZE,
        "crop_size": 32,
        "segments": {"span_frames": 1, "frames": 1, "stride": 1},
        "augment": NO_FLIP,
    }
    return DataConfig(manifest="unused", **{**base, **changes})


def read(
    modality: str,
    data: DataConfig,
    start: int,
    frames_FHW3: np.ndarray | None = None,
    flow_FHW2: np.ndarray | None = None,
    *,
    augment: bool = False,
) -> torch.Tensor:
    """One segment of one clip, ``TCHW``."""
    if frames_FHW3 is None:
        assert flow_FHW2 is not None
        frames_FHW3 = np.zeros((*flow_FHW2.shape[:3], 3), dtype=np.uint8)
    clip = Clip(
        frames=Frames(frames_FHW3=frames_FHW3, edges_s=np.arange(len(frames_FHW3) + 1) / 10),
        sound=SoundTrack(samples_N=None, start_s=0.0),
        flow_FHW2=flow_FHW2,
    )
    draws = Draws(key=(0,), videos=1, segments=1, share=slice(None)) if augment else None
    video_B, start_BS = np.zeros(1, dtype=np.int64), np.array([[start]])
    return Assembler(OneClip(clip, data), data).inputs(video_B, start_BS, (modality,), draws).tensors[modality][0, 0]


def constant(values_F: np.ndarray, channels: int) -> np.ndarray:
    """A clip whose every frame has one value."""
    return np.broadcast_to(values_F[:, None, None, None], (len(values_F), SIZE, SIZE, channels)).astype(np.uint8)


def imagenet(value: float) -> torch.Tensor:
    """A value of [0, 255] after ImageNet's normalisation, by colour."""
    return (torch.tensor(value) / 255 - torch.tensor(RGB_MEAN)) / torch.tensor(RGB_STD)


def test_shapes_and_names_are_the_papers() -> None:
    data = DataConfig(manifest="unused", modalities=ALL)
    assert {name: MODALITIES[name].shape(data) for name in ALL} == {
        "rgb": (8, 3, 224, 224),
        "audio": (1, 1, 256, 256),
        "flow": (8, 10, 224, 224),
        "rgbdiff": (8, 15, 224, 224),
    }
    charged = {name: MODALITIES[name].policy_charge(data) for name in ALL}
    assert charged == {"rgb": None, "audio": None, "flow": (4, 15, 224, 224), "rgbdiff": (4, 15, 224, 224)}
    assert {name: MODALITIES[name].default_lambda for name in ALL} == {
        "rgb": 1.0,
        "audio": 0.05,
        "flow": 1.0,
        "rgbdiff": 1.0,
    }
    assert all(MODALITIES[name].name == name for name in ALL)


@pytest.mark.parametrize("augment", [NO_FLIP, RANDOM_CROP])
@pytest.mark.parametrize(("step", "mapped"), [(0, 127.5), (10, 132.5), (-20, 117.5)])
def test_a_steady_change_of_brightness_is_its_mapped_difference_everywhere(
    step: int, mapped: float, augment: dict[str, Any]
) -> None:
    frames = constant(127 + step * np.arange(-4, 5), 3)
    x_TCHW = read("rgbdiff", config(augment=augment), 1, frames, augment=True)
    assert x_TCHW.shape == (1, 15, 32, 32)
    expected = imagenet(mapped).repeat(5)[None, :, None, None]
    torch.testing.assert_close(x_TCHW, expected.expand_as(x_TCHW), rtol=0, atol=2e-5)


def test_differences_come_in_order_of_time_then_colour() -> None:
    """Frame f is (10 f^2 / 5, f, 0): differences (2 (2 f + 1), 1, 0)."""
    f = np.arange(8)
    frames = np.stack([constant(values, 1)[..., 0] for values in (2 * f**2, f, 0 * f)], axis=-1)
    x_C = read("rgbdiff", config(), 2, frames)[0, :, 0, 0]
    expected = torch.stack(
        [imagenet((d + 255) / 2)[c] for k in range(2, 7) for c, d in enumerate((2.0 * (2 * k + 1), 1.0, 0.0))]
    )
    torch.testing.assert_close(x_C, expected, rtol=0, atol=1e-5)


def test_flow_pairs_are_interleaved_and_scaled() -> None:
    f = np.arange(9)
    flow = np.stack([constant(10 * f, 1)[..., 0], constant(100 + f, 1)[..., 0]], axis=-1)
    x_TCHW = read("flow", config(), 3, flow_FHW2=flow)
    stored = torch.tensor([30, 103, 40, 104, 50, 105, 60, 106, 70, 107.0])
    expected = ((stored / 255 - 0.5) / 0.226)[None, :, None, None]
    torch.testing.assert_close(x_TCHW, expected.expand(1, 10, 32, 32), rtol=0, atol=1e-5)


@pytest.mark.parametrize("resize", [None, (40, 41)])
def test_a_mirrored_picture_moves_the_other_way(resize: tuple[int, int] | None) -> None:
    flow = np.random.default_rng(0).integers(0, 256, (7, 32, 32, 2), dtype=np.uint8)
    changes = {"frame_size": 32, "crop_size": 32}
    flat = {"resize": None if resize is None else (32, 33)}
    plain = read("flow", config(**changes, augment={**flat, "flip": 0.0}), 0, flow_FHW2=flow, augment=True)
    flipped = read("flow", config(**changes, augment={**flat, "flip": 1.0}), 0, flow_FHW2=flow, augment=True)
    torch.testing.assert_close(flipped[:, 0::2], -plain.flip(-1)[:, 0::2], rtol=0, atol=1e-5)
    torch.testing.assert_close(flipped[:, 1::2], plain.flip(-1)[:, 1::2], rtol=0, atol=1e-5)
    assert not torch.equal(plain, flipped)


@pytest.mark.parametrize(
    ("frames", "start", "differences", "pairs"),
    [
        (10, 2, [2, 3, 4, 5, 6, 7], [2, 3, 4, 5, 6]),
        (10, 9, [4, 5, 6, 7, 8, 9], [4, 5, 6, 7, 8]),  # moved back, to end with the last pair that moves
        (6, 3, [0, 1, 2, 3, 4, 5], [0, 1, 2, 3, 4]),
        (3, 0, [0, 1, 2, 2, 2, 2], [0, 1, 2, 2, 2]),  # entry 2 of the flow is no motion: the last frame stays
        (1, 0, [0, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0]),
    ],
)
def test_a_window_past_the_end_is_moved_back_and_a_short_clip_repeats_its_last_frame(
    frames: int, start: int, differences: list[int], pairs: list[int]
) -> None:
    class Counted:
        frames_N = np.array([frames])

    segments: Any = Segments(
        clips=Counted(),  # type: ignore[arg-type]  # all that is looked at
        config=config(),
        video_B=np.array([0]),
        frame_BST=np.array([[[start]]]),
        sample_BS=np.zeros((1, 1)),
    )
    found: dict[str, Any] = {name: MODALITIES[name] for name in ("rgbdiff", "flow", "rgb")}
    assert found["rgbdiff"].window_indices(segments).tolist() == [[[differences]]]
    assert found["flow"].window_indices(segments).tolist() == [[[pairs]]]
    assert found["rgb"].window_indices(segments).tolist() == [[[[start]]]]


def test_a_training_crop_moves_with_its_video_and_differs_between_modalities() -> None:
    draws = Draws(key=(1, 2, 3), videos=4, segments=2, share=slice(1, None, 2))
    assert draws.crop_B4("rgb").shape == (2, 4)
    assert not np.array_equal(draws.crop_B4("rgb"), draws.crop_B4("flow"))
    whole = Draws(key=(1, 2, 3), videos=4, segments=2, share=slice(None))
    np.testing.assert_array_equal(whole.crop_B4("rgb")[1::2], draws.crop_B4("rgb"))
    np.testing.assert_array_equal(whole.place_BS()[1::2], draws.place_BS())
    np.testing.assert_array_equal(whole.shift_BS2("flow")[1::2], draws.shift_BS2("flow"))


@pytest.fixture(scope="module")
def tiny_all() -> dict[str, Any]:
    return {**DATA_PRESETS["tiny"], "modalities": ALL, "flow": {"method": "dis", "bound": 4.0}}


def test_packed_and_single_clips_give_the_same_batches_in_every_modality(
    clips: Path, tmp_path: Path, tiny_all: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    changes = {**tiny_all, "augment": {"resize": None, "flip": 0.5, "shift_pixels": 2, "shift_steps": 6}}
    data = DataConfig(manifest=str(clips), **changes)
    options: dict[str, Any] = {"modalities": ALL, "segments": 3, "batch_size": 12, "draw": (0, 0, 0)}
    packed = list(VideoData(data, tmp_path).train_batches(**options))
    monkeypatch.setattr(dataset_module, "can_pack", lambda config, frames: False)
    single = list(VideoData(data, tmp_path).train_batches(**options))
    for one, other in zip(packed, single, strict=True):
        assert {name: tuple(x.shape[1:]) for name, x in one.inputs.items()} == {
            name: (3, *MODALITIES[name].shape(data)) for name in ALL
        }
        assert all(torch.equal(one.inputs[name], other.inputs[name]) for name in ALL)
        assert one.present_BSM.all()


def test_any_modality_whose_tracks_are_cached_can_be_read(clips: Path, tmp_path: Path) -> None:
    data = VideoData(DataConfig(manifest=str(clips), **{**DATA_PRESETS["tiny"], "modalities": ("rgb",)}), tmp_path)
    options: dict[str, Any] = {"segments": 2, "batch_size": 3}
    batch = next(data.eval_batches("val", modalities=("rgbdiff", "rgb"), **options))
    assert batch.inputs["rgbdiff"].shape == (3, 2, 1, 15, 32, 32)
    with pytest.raises(AssertionError, match=r"flow needs \{'flow'\}: it belongs in data.modalities or data.also"):
        next(data.eval_batches("val", modalities=("flow",), **options))


class Edges(VideoModality):
    """Made up: brightness differences of neighbouring columns."""

    name = "edges"
    tracks = ("frames",)
    channels = 1
    offset = (0.0,)
    scale = (255.0,)

    def stack(self, window: np.ndarray) -> np.ndarray:
        grey = super().stack(window).astype(np.float32).mean(axis=-3, keepdims=True)
        return np.abs(np.diff(grey, axis=-1, append=grey[..., -1:]))


@pytest.fixture
def edges() -> Iterator[None]:
    MODALITIES["edges"] = Edges()
    yield
    del MODALITIES["edges"]


@pytest.mark.usefixtures("edges")
def test_a_modality_of_ones_own_gives_batches(clips: Path, tmp_path: Path) -> None:
    names = ("rgb", "edges", "audio")
    settings = DataConfig(manifest=str(clips), **{**DATA_PRESETS["tiny"], "modalities": names})
    data = VideoData(settings, tmp_path)
    (batch, *_) = data.train_batches(modalities=names, segments=2, batch_size=4, draw=(0, 0, 0))
    assert batch.inputs["edges"].shape == (4, 2, *MODALITIES["edges"].shape(settings)) == (4, 2, 1, 1, 32, 32)
    assert batch.present_BSM.shape == (4, 2, 3)
    assert 0 < batch.inputs["edges"].mean() < 1


def test_unknown_repeated_and_doubled_names_are_refused_with_what_is_known() -> None:
    for modalities in (("rgb", "edges"), ("rgb", "rgb"), ()):
        with pytest.raises(
            ValidationError, match="modalities must be a choice of rgb, audio, flow, rgbdiff, each once"
        ):
            DataConfig(manifest="unused", modalities=modalities)
    for also in (("rgb",), ("edges",)):
        with pytest.raises(ValidationError, match="also must name others of rgb, audio, flow, rgbdiff"):
            DataConfig(manifest="unused", modalities=("rgb", "audio"), also=also)


def test_settings_of_a_modality_are_those_that_can_change_its_input() -> None:
    def depends(modality: str, **changes: Any) -> bool:
        plain = DataConfig(manifest="unused", modalities=ALL)
        return plain.model_copy(update=changes).settings_of((modality,)) != plain.settings_of((modality,))

    plain = DataConfig(manifest="unused")
    cases: list[tuple[dict[str, Any], tuple[str, ...]]] = [
        ({"frame_rate": 10.0}, ALL),
        ({"segments": plain.segments.model_copy(update={"stride": 2})}, ALL),
        ({"split_seed": 1}, ALL),
        ({"crop_size": 112}, ("rgb", "flow", "rgbdiff")),
        ({"augment": plain.augment.model_copy(update={"flip": 0.1})}, ("rgb", "flow", "rgbdiff")),
        ({"augment": plain.augment.model_copy(update={"shift_steps": 2})}, ("audio",)),
        ({"audio": plain.audio.model_copy(update={"mean": 1.0})}, ("audio",)),
        ({"audio": plain.audio.model_copy(update={"frame_rate": 29.97})}, ("audio",)),
        ({"audio": plain.audio.model_copy(update={"missing": "silence"})}, ("audio",)),
        ({"flow": plain.flow.model_copy(update={"bound": 8.0})}, ("flow",)),
        ({"manifest": "elsewhere", "also": ("rgbdiff",), "modalities": ("rgb",)}, ()),
    ]
    for changes, expected in cases:
        assert tuple(name for name in ALL if depends(name, **changes)) == expected, changes


@pytest.mark.parametrize("grid", [False, True])
@pytest.mark.parametrize(("frame_rate", "sample_rate"), [(10, 16_000), (24, 44_100), (25, 48_000), (30, 22_050)])
@pytest.mark.parametrize("sound_start_s", [0.0, 0.137])
def test_the_sound_window_is_centred_on_the_frames_to_a_millisecond(
    tmp_path: Path, frame_rate: int, sample_rate: int, sound_start_s: float, grid: bool
) -> None:
    """A flash, and a click at its moment: the only spectrogram that fits is the one cut around the click."""
    at = 48  # spans are 32 frames; the middle one of 96 frames starts at 32
    frames = np.zeros((96, 64, 64, 3), dtype=np.uint8)
    frames[at] = 255
    samples = np.zeros(round((96 / frame_rate - sound_start_s) * sample_rate), dtype=np.float32)
    samples[round((at / frame_rate - sound_start_s) * sample_rate)] = 1.0
    path = tmp_path / "clap.mp4"
    write_clip(path, frames, samples, frame_rate=frame_rate, sample_rate=sample_rate, sound_start_s=sound_start_s)
    segments = {"segments": {"grid": grid}}
    data = DataConfig(manifest="unused", frame_size=64, crop_size=64, augment={"resize": (64, 65)}, **segments)
    picture = decode_picture(path, frame_rate="native", frame_size=64)
    flash_s = picture.edges_s[int(picture.frames_FHW3.mean(axis=(1, 2, 3)).argmax())]
    assert flash_s == pytest.approx(at / frame_rate, abs=0.001)
    loaded = dataset_module.load_file(path, data, segments=1)
    assert loaded.read("rgb", [0])[0].mean(dim=(1, 2, 3)).argmax() == 4  # every 4th frame from the 32nd: the 48th
    heard_FT = loaded.read("audio", [0])[0, 0, 0]
    assert off_centre_s(heard_FT, path, flash_s, data.audio) == pytest.approx(0, abs=0.001)


def off_centre_s(heard_FT: torch.Tensor, path: Path, middle_s: float, audio: AudioConfig) -> float:
    """By how much the window of a spectrogram is later than one centred on ``middle_s``: the best fit of all within 10 ms."""
    sound = decode_sound(path, sample_rate=audio.sample_rate)
    assert sound is not None
    first = (middle_s - sound.start_s) * audio.sample_rate - audio.steps * audio.hop / 2
    shift_S = np.arange(-0.01, 0.01, 0.00025)
    first_S = np.rint(first + shift_S * audio.sample_rate).astype(np.int64)
    fits_STF = torch.from_numpy(spectrograms([to_16_bits(sound.samples_N)], [first_S], audio)[0])
    error_S = (fits_STF.float() - heard_FT.T).abs().mean(dim=(1, 2))
    return float(shift_S[int(error_S.argmin())])


def test_on_a_grid_the_packed_spectrogram_is_as_exact(tmp_path: Path) -> None:
    """Noise, sound that begins off the grid of hops, and videos of different places on it."""
    rows, starts_s = [], {"train": 0.0033, "val": 0.1007, "test": 0.2004}
    for split, start_s in starts_s.items():
        noise = np.random.default_rng(0).normal(0, 0.2, round((3.2 - start_s) * SAMPLE_RATE)).astype(np.float32)
        frames = np.zeros((32, 64, 64, 3), dtype=np.uint8)
        write_clip(tmp_path / f"{split}.mp4", frames, noise, sound_start_s=start_s)
        row = {"id": split, "split": split, "path": f"{split}.mp4", "label": 0, "label_name": "a"}
        rows.append(json.dumps(row))
    (tmp_path / "m.jsonl").write_text("\n".join(rows))
    plain = {**DATA_PRESETS["tiny"], "audio": {**DATA_PRESETS["tiny"]["audio"], "mean": 0.0, "std": 1.0}}
    data = VideoData(DataConfig(manifest=str(tmp_path / "m.jsonl"), **plain), tmp_path / "cache")
    clips: Any = data._assembler.clips
    assert clips._columns is not None  # it is packed as a spectrogram
    for split in starts_s:
        (batch,) = data.eval_batches(split, modalities=("rgb", "audio"), segments=4, batch_size=1)
        for segment, x_FT in enumerate(batch.inputs["audio"][0, :, 0, 0]):
            off_s = off_centre_s(x_FT, tmp_path / f"{split}.mp4", 0.4 + 0.8 * segment, data.config.audio)
            assert off_s == pytest.approx(0, abs=0.001), (split, segment)


def test_segments_off_any_grid_are_packed_as_samples_and_read_the_same(
    clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """0.7 s of frames are 70 hops, 0.75 s at 30 frames a second are none: 7 frames of 10, and 5 of 15."""
    for rate, span, whole in ((10.0, 7, True), (15.0, 5, False)):
        segments = {"span_frames": span, "frames": 1, "stride": 1, "grid": True}
        config = DataConfig(manifest=str(clips), **{**DATA_PRESETS["tiny"], "frame_rate": rate, "segments": segments})
        options: dict[str, Any] = {"modalities": ("audio",), "segments": 3, "batch_size": 12, "draw": (0, 0, 0)}
        packed = VideoData(config, tmp_path / str(rate))
        pack: Any = packed._assembler.clips
        assert (pack._columns is not None) is whole
        with monkeypatch.context() as patch:
            patch.setattr(dataset_module, "can_pack", lambda config, frames: False)
            single = VideoData(config, tmp_path / str(rate))
        for one, other in zip(packed.train_batches(**options), single.train_batches(**options), strict=True):
            torch.testing.assert_close(one.inputs["audio"], other.inputs["audio"], rtol=0, atol=0.01)


@pytest.mark.parametrize(
    ("start_s", "length_s", "expected"),
    [
        (0.0, 1.0, [True, True, False, False]),
        (1.0, 1.0, [False, True, True, False]),
        (1.0, 0.1, [False, True, False, False]),
        (0.8, 9.0, [False, True, True, True]),
        (0.79, 9.0, [True, True, True, True]),
        (9.0, 9.0, [False, False, False, False]),
    ],
)
def test_sound_is_absent_where_the_window_lies_outside_the_track_and_only_there(
    start_s: float, length_s: float, expected: list[bool]
) -> None:
    """Four segments of 0.8 s with windows of 0.8 s."""
    data = DataConfig(manifest="unused", **DATA_PRESETS["tiny"])
    sound = SoundTrack(samples_N=np.zeros(round(length_s * SAMPLE_RATE), dtype=np.int16), start_s=start_s)
    frames = Frames(frames_FHW3=np.zeros((32, 32, 32, 3), dtype=np.uint8), edges_s=np.arange(33) / 10)
    assembler = Assembler(OneClip(Clip(frames=frames, sound=sound, flow_FHW2=None), data), data)
    present = assembler.present(np.array([0]), np.array([[0, 8, 16, 24]]), ("audio", "rgb", "rgbdiff"))
    assert present[0, :, 0].tolist() == expected
    assert present[0, :, 1:].all()


def assembled(frame_s: float, sound: SoundTrack, frames: int = 32, **audio: Any) -> Assembler:
    """A clip of ``tiny`` segments (8 frames, windows of 0.8 s) whose frames last ``frame_s`` each."""
    data = DataConfig(
        manifest="unused", **{**DATA_PRESETS["tiny"], "audio": {**DATA_PRESETS["tiny"]["audio"], **audio}}
    )
    picture = Frames(frames_FHW3=np.zeros((frames, 32, 32, 3), dtype=np.uint8), edges_s=np.arange(frames + 1) * frame_s)
    return Assembler(OneClip(Clip(frames=picture, sound=sound, flow_FHW2=None), data), data)


def test_a_given_frame_rate_places_the_window_by_frame_number_not_by_the_files_times() -> None:
    """The file shows 10 frames a second, and its sound begins 2 s late."""
    noise_N = np.random.default_rng(0).integers(-9000, 9000, 10 * SAMPLE_RATE).astype(np.int16)
    sound = SoundTrack(samples_N=noise_N, start_s=2.0)
    plain = {"mean": 0.0, "std": 1.0}
    for audio, first_s in ((plain, 3.2 - 2.0), ({**plain, "frame_rate": 20.0}, 1.8 - 0.4)):
        assembler = assembled(0.1, sound, frames=80, **audio)
        inputs = assembler.inputs(np.array([0]), np.array([[32]]), ("audio",))
        # frames 32 to 39: by the file 3.2 s to 4.0 s, centre 3.6 s; at 20 a second 1.6 s to 2.0 s, centre 1.8 s
        first = np.array([round(first_s * SAMPLE_RATE)])
        expected_TF = spectrograms([noise_N], [first], assembler.config.audio)[0, 0]
        np.testing.assert_array_equal(inputs.tensors["audio"][0, 0, 0, 0].T.numpy(), expected_TF.astype(np.float32))


def test_missing_sound_can_count_as_there_and_is_silence() -> None:
    mute = SoundTrack(samples_N=None, start_s=0.0)
    for missing, there in (("absent", False), ("silence", True)):
        assembler = assembled(0.1, mute, missing=missing, mean=-4.0, std=2.0)
        inputs = assembler.inputs(np.array([0]), np.array([[0, 8]]), ("audio", "rgb"))
        assert inputs.present_BSM[0, :, 0].tolist() == [there, there]
        silence = torch.full((1, 2, 1, 1, 40, 80), (float(np.float16(SILENCE)) + 4) / 2)
        torch.testing.assert_close(inputs.tensors["audio"], silence)
