from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch

from tests.data import damage
from trainables.kit.data import cache as cache_module
from trainables.kit.data.cache import ClipCache, Source, decode_clip, decode_frames, save
from trainables.kit.data.config import DATA_PRESETS, DataConfig
from trainables.kit.data.dataset import VideoData, load_file
from trainables.kit.data.decode import decode_picture
from trainables.kit.data.jpeg import JpegTrack, decode, encode
from trainables.kit.data.manifest import read_manifest

SMALL = {**DATA_PRESETS["tiny"], "modalities": ("rgb", "audio", "flow"), "also": ("rgbdiff",), "cache": "jpeg"}
RANDOM_CROP = {"resize": (32, 40), "flip": 0.5}


def psnr(one: np.ndarray, other: np.ndarray) -> float:
    return 10 * np.log10(255**2 / np.mean((one.astype(float) - other) ** 2))


def smooth(height: int, width: int, channels: int, phase: float) -> np.ndarray:
    y, x = np.mgrid[:height, :width]
    waves = [127 + 100 * np.sin(y / (9 + c) + phase) * np.cos(x / (11 + c)) for c in range(channels)]
    return np.stack(waves, axis=-1).astype(np.uint8)


@pytest.mark.parametrize(("channels", "least_db"), [(3, 40.0), (2, 44.0)])
def test_a_picture_keeps_its_size_its_channels_and_nearly_its_values(channels: int, least_db: float) -> None:
    image = smooth(64, 84, channels, 0.0)
    back = decode(encode(image), channels)
    assert back.shape == image.shape
    assert psnr(back, image) > least_db


def test_a_track_reads_like_the_array_of_its_pictures(tmp_path: Path) -> None:
    pictures = [encode(smooth(32, 40, 3, phase)) for phase in range(6)]
    whole = np.stack([decode(picture, 3) for picture in pictures])
    save(tmp_path / "a.jpegs", JpegTrack.of(pictures, (32, 40, 3)))
    track = JpegTrack.open(tmp_path / "a.jpegs")
    assert track.shape == (6, 32, 40, 3)
    index = np.array([[5, 0, 0], [3, 5, 1]])
    rows, columns = slice(3, 30), slice(8, 40)
    np.testing.assert_array_equal(track[index, rows, columns], whole[index, rows, columns])
    np.testing.assert_array_equal(track[np.array(2), slice(None), slice(None)], whole[2])


def test_only_the_frames_asked_for_are_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    from trainables.kit.data import jpeg

    track = JpegTrack.of([encode(smooth(32, 40, 3, phase)) for phase in range(6)], (32, 40, 3))
    decoded = []
    monkeypatch.setattr(jpeg, "decode", lambda data, channels: decoded.append(1) or decode(data, channels))
    track[np.array([4, 4, 1]), slice(None), slice(None)]
    assert len(decoded) == 2


def test_the_format_follows_from_the_settings_alone_and_is_one_of_them() -> None:
    def stored(**changes: Any) -> str:
        return DataConfig(manifest="unused", **changes).cache_format

    assert stored() == "jpeg"
    assert stored(**DATA_PRESETS["tiny"]) == "raw"
    assert stored(cache="raw") == "raw"
    plain = DataConfig(manifest="unused")
    for name, same in (("jpeg", True), ("raw", False)):
        explicit = plain.model_copy(update={"cache": name})
        for modality in ("rgb", "flow", "rgbdiff"):
            assert (explicit.settings_of((modality,)) == plain.settings_of((modality,))) is same
        assert explicit.settings_of(("audio",)) == plain.settings_of(("audio",))
    elsewhere = plain.model_copy(update={"cache_url": "s3://bucket/cache"})
    assert elsewhere.settings_of(("rgb", "audio")) == plain.settings_of(("rgb", "audio"))


def test_cached_frames_are_near_the_decoded_ones_and_formats_have_folders_of_their_own(
    clips: Path, tmp_path: Path
) -> None:
    source = Source(path=read_manifest(clips).videos[0].path)
    config = DataConfig(manifest="unused", **{**SMALL, "frame_size": 64})
    cache = ClipCache(tmp_path, config)
    cache.build({"a": source})
    assert sorted(path.suffix for path in cache.folders["frames"].glob("a.*")) == [".jpegs", ".json"]
    frames = cache.read("a").frames.frames_FHW3
    direct = decode_picture(source.path, frame_rate=10.0, frame_size=64).frames_FHW3
    everything = slice(None)
    assert psnr(frames[np.arange(frames.shape[0]), everything, everything], direct) > 35  # grainy 64x64 clips
    raw = ClipCache(tmp_path, config.model_copy(update={"cache": "raw"}))
    assert [raw.folders[t] == cache.folders[t] for t in ("frames", "sound", "flow")] == [False, True, False]


@pytest.mark.parametrize("augment", [SMALL["augment"], RANDOM_CROP])
def test_a_file_gives_what_its_cache_gives(clips: Path, tmp_path: Path, augment: dict[str, Any]) -> None:
    """JPEG's losses included: a network sees in ``predict`` what it was measured on."""
    data = VideoData(DataConfig(manifest=str(clips), **{**SMALL, "augment": augment}), tmp_path)
    names = ("rgb", "audio", "flow", "rgbdiff")
    batch = next(data.eval_batches("val", modalities=names, segments=4, batch_size=1))
    video = next(v for v in read_manifest(clips).videos if v.id == data.ids("val")[0])
    loaded = load_file(video.path, data.config, segments=4)
    for name in names:
        assert torch.equal(loaded.read(name, range(4)), batch.inputs[name][0])


def test_flow_is_computed_from_what_is_cached(clips: Path, tmp_path: Path) -> None:
    source = Source(path=read_manifest(clips).videos[0].path)
    config = DataConfig(manifest="unused", **SMALL)
    ClipCache(tmp_path, config.model_copy(update={"modalities": ("rgb",)})).build({"a": source})
    both = ClipCache(tmp_path, config)
    both.build({"a": source})
    stored, direct = both.read("a").flow_FHW2, decode_clip(source, config).flow_FHW2
    assert stored is not None
    assert direct is not None
    index, everything = np.arange(stored.shape[0]), slice(None)
    np.testing.assert_array_equal(stored[index, everything, everything], direct[index, everything, everything])


def test_what_another_home_of_the_cache_holds_is_fetched_and_not_decoded(
    clips: Path, tmp_path: Path, make_clip: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {f"v{i}": Source(path=video.path) for i, video in enumerate(read_manifest(clips).videos[:3])}
    files["mute"] = Source(path=make_clip(tmp_path / "mute.mp4", sound=False))
    config = DataConfig(
        manifest="unused", **{**DATA_PRESETS["tiny"], "cache": "jpeg", "cache_url": f"memory://{tmp_path.name}"}
    )
    first = ClipCache(tmp_path / "one", config)
    first.build({name: files[name] for name in ("v0", "v1", "mute")})
    first.publish(["v0", "v1", "mute"])
    decoded: list[str] = []
    original = cache_module.decode_frames
    monkeypatch.setattr(cache_module, "decode_frames", lambda s, c: decoded.append(s.path.name) or original(s, c))
    second = ClipCache(tmp_path / "two", config)
    second.build(files)
    assert decoded == [files["v2"].path.name]
    for name in ("v0", "v1", "mute"):
        assert first.record("sound", name) == second.record("sound", name)
        for track in ("frames", "sound"):
            one, two = (c.folders[track] / f"{name}.{'jpegs' if track == 'frames' else 'npy'}" for c in (first, second))
            assert one.exists() == two.exists() == (name != "mute" or track == "frames")
            assert not one.exists() or one.read_bytes() == two.read_bytes()


@pytest.mark.parametrize("matrix", [2, 1, 6])  # unspecified, BT.709, BT.601
@pytest.mark.parametrize("full_range", [False, True])
@pytest.mark.parametrize("size", [(64, 96), (128, 194)])
def test_cached_colours_are_those_of_the_file_whatever_its_matrix_and_range(
    tmp_path: Path, matrix: int, full_range: bool, size: tuple[int, int]
) -> None:
    """Clips of one colour, as the file says it: brightness 100, differences -38 and 72."""
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("libx264", rate=10, options={"crf": "1"})
        stream.height, stream.width, stream.pix_fmt = *size, "yuv420p"
        stream.codec_context.colorspace, stream.codec_context.color_range = matrix, 2 if full_range else 1
        for number in range(3):
            frame = av.VideoFrame(size[1], size[0], "yuv420p")
            for plane, value in zip(frame.planes, (100, 90, 200), strict=True):
                plane.update(bytes([value]) * plane.buffer_size)
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    red, blue = (0.2126, 0.0722) if matrix == 1 else (0.299, 0.114)
    brightness, scale = (100 / 255, 255) if full_range else ((100 - 16) / 219, 224)
    r, b = brightness + 2 * (1 - red) * 72 / scale, brightness + 2 * (1 - blue) * -38 / scale
    expected = 255 * np.array([r, (brightness - red * r - blue * b) / (1 - red - blue), b])
    for stored in ("raw", "jpeg"):
        config = DataConfig(manifest="unused", frame_size=64, crop_size=64, cache=stored)
        frames = decode_frames(Source(path=path), config).frames_FHW3
        colour = frames[np.array([1]), slice(None), slice(None)].mean(axis=(0, 1, 2))
        np.testing.assert_allclose(colour, expected, atol=2.5)


def test_a_turned_picture_of_odd_size_is_cached_upright(tmp_path: Path) -> None:
    config = DataConfig(manifest="unused", frame_size=33, crop_size=32, modalities=("rgb",))
    source = Source(path=damage.on_its_side(tmp_path / "phone.mp4"))
    whole = (np.arange(30), slice(None), slice(None))
    coded, exact = (
        decode_frames(source, config.model_copy(update={"cache": name})).frames_FHW3[whole] for name in ("jpeg", "raw")
    )
    assert coded.shape == exact.shape == (30, 44, 33, 3)
    assert psnr(coded, exact) > 19  # blocks of strong colours; 10 where one of them is turned the other way
