"""Frames decoded one by one are those of a whole decoding, and what is not asked for is left out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.data.test_dataset import tiny
from trainables.errors import DecodeError
from trainables.kit.data.cache import Source, decode_frames, lazy_frames
from trainables.kit.data.config import DataConfig
from trainables.kit.data.seek import SeekTrack
from trainables.kit.data.synthetic import ENCODER_OPTIONS, write_clip

ALL = slice(None)
FRAMES = 96
LONG_GOP = {**ENCODER_OPTIONS, "g": "96", "bf": "3"}
SHORT_GOP = {**ENCODER_OPTIONS, "g": "8", "bf": "2", "sc_threshold": "0"}  # else noise has key frames everywhere


def clip(path: Path, options: dict[str, str]) -> Path:
    noise = np.random.default_rng(3).integers(0, 255, (FRAMES, 48, 64, 3), dtype=np.uint8)
    write_clip(path, noise, None, frame_rate=25, encoder_options=options)
    return path


def config(rate: object) -> DataConfig:
    return DataConfig(manifest="x", frame_rate=rate, frame_size=32, crop_size=32, augment={"resize": None})


@pytest.mark.parametrize("options", [LONG_GOP, SHORT_GOP], ids=["long groups", "short groups"])
@pytest.mark.parametrize("rate", ["native", 10.0, 30.0])
def test_frames_read_in_any_order_are_those_of_a_whole_decoding(tmp_path, rate, options):
    path = clip(tmp_path / "a.mp4", options)
    whole, lazy = decode_frames(Source(path=path), config(rate)), lazy_frames(Source(path=path), config(rate))
    track = lazy.frames_FHW3
    assert isinstance(track, SeekTrack)
    np.testing.assert_allclose(lazy.edges_s, whole.edges_s, atol=1e-9)
    # Forwards, backwards, neighbours of frames that were left out before, then all.
    last = len(lazy.edges_s) - 2
    for index in ([2, 20], [[21, 22], [3, 19]], [last, 0], list(range(last + 1))):
        expected = whole.frames_FHW3[np.array(index)]
        assert (track[np.array(index), slice(4, 20), slice(0, 9)] == expected[..., 4:20, 0:9, :]).all()
    assert track.shape == whole.frames_FHW3.shape


def test_frames_before_the_key_frame_of_what_is_wanted_are_not_decoded(tmp_path):
    track = lazy_frames(Source(path=clip(tmp_path / "a.mp4", SHORT_GOP)), config("native")).frames_FHW3
    assert isinstance(track, SeekTrack)
    track[np.array([83]), ALL, ALL]
    assert track.decoded <= 4  # 80 is the key frame
    track[np.array([90]), ALL, ALL]
    assert track.decoded <= 4 + 8


def test_a_file_of_another_codec_is_decoded_whole(tmp_path):
    import av

    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuvj420p"
        for value in range(6):
            picture = np.full((48, 64, 3), 40 * value, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    assert isinstance(lazy_frames(Source(path=path), config("native")).frames_FHW3, np.ndarray)


def test_a_cut_off_file_is_told_before_anything_is_decoded(tmp_path):
    path = clip(tmp_path / "a.mp4", {**LONG_GOP, "movflags": "+faststart"})
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DecodeError):
        lazy_frames(Source(path=path), tiny("unused"))
