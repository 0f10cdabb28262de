from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import numpy as np
import pytest
import torch

from trainables.errors import UserError
from trainables.kit.data import flow as flow_module
from trainables.kit.data.cache import ClipCache, Source
from trainables.kit.data.config import DATA_PRESETS, DataConfig, FlowConfig
from trainables.kit.data.dataset import load_file
from trainables.kit.data.flow import NO_MOTION, FlowTrack, to_bits

Make = Callable[..., Path]
METHODS: tuple[Literal["tvl1", "dis"], ...] = ("tvl1", "dis")


def moving(right: int, down: int, *, frames: int = 3, side: int = 64) -> np.ndarray:
    """A smooth random texture that moves by whole pixels a frame, uint8 ``[F, H, W, 3]``."""
    wide = side + 2 * frames * max(abs(right), abs(down), 1)
    noise = np.random.default_rng(0).random((wide, wide))
    rows, columns = np.meshgrid(np.fft.fftfreq(wide), np.fft.fftfreq(wide), indexing="ij")
    smooth = np.fft.ifft2(np.fft.fft2(noise) * np.exp(-((rows**2 + columns**2) * 200))).real
    picture = (255 * (smooth - smooth.min()) / np.ptp(smooth)).astype(np.uint8)
    middle = (wide - side) // 2
    tops, lefts = (middle - step * np.arange(frames) for step in (down, right))
    views = [picture[top : top + side, left : left + side] for top, left in zip(tops, lefts, strict=True)]
    return np.stack(views)[..., None].repeat(3, axis=-1)


def pixels(stored: np.ndarray, bound: float = 20.0) -> np.ndarray:
    return stored / 255 * 2 * bound - bound


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("right", "down"), [(3, 0), (-2, 1), (0, -4)])
def test_flow_of_a_moving_picture_is_its_motion(method: Literal["tvl1", "dis"], right: int, down: int) -> None:
    flow = FlowTrack(moving(right, down), FlowConfig(method=method)).all()
    assert flow.shape == (3, 64, 64, 2)
    assert flow.dtype == np.uint8
    inner = pixels(flow[:2, 8:-8, 8:-8])
    # A step of the 8 bits is 40 / 255 = 0.16 pixels.
    np.testing.assert_allclose(np.median(inner, axis=(1, 2)), [[right, down]] * 2, atol=0.16)
    assert np.abs(inner - [right, down]).mean() < 0.3
    assert (flow[2] == NO_MOTION).all()


@pytest.mark.parametrize("method", METHODS)
def test_a_still_clip_and_a_black_one_do_not_move(method: Literal["tvl1", "dis"]) -> None:
    for frames in (moving(0, 0), np.zeros((2, 32, 40, 3), dtype=np.uint8)):
        assert (FlowTrack(frames, FlowConfig(method=method)).all() == NO_MOTION).all()


def test_a_mirrored_clip_moves_the_other_way() -> None:
    frames = moving(3, 1)
    plain, mirrored = (FlowTrack(f, FlowConfig(method="dis")).all()[0] for f in (frames, frames[:, :, ::-1]))
    inner = (slice(8, -8), slice(8, -8))
    expected = np.median(pixels(plain[inner]), axis=(0, 1)) * [-1, 1]
    np.testing.assert_allclose(np.median(pixels(mirrored[inner]), axis=(0, 1)), expected, atol=0.16)


def test_motion_is_stored_in_8_bits_up_to_the_bound() -> None:
    motion = np.array([-np.inf, -25.0, -20.0, -10.0, 0.0, 0.2, 10.0, 20.0, 1e9, np.nan])
    assert to_bits(motion, 20.0).tolist() == [0, 0, 0, 64, 128, 129, 191, 255, 255, 128]
    assert to_bits(np.array([-5.0, 0.0, 2.5, 5.0]), 5.0).tolist() == [0, 128, 191, 255]


def test_reading_a_box_of_some_entries_equals_computing_all() -> None:
    frames = moving(1, 1, frames=5, side=40)
    whole = FlowTrack(frames, FlowConfig(method="dis")).all()
    index = np.array([[[3, 1]], [[4, 1]]])
    box = FlowTrack(frames, FlowConfig(method="dis"))[index, slice(2, 12), slice(5, 25)]
    np.testing.assert_array_equal(box, whole[index, 2:12, 5:25])


def test_only_the_pairs_of_the_segments_asked_for_are_computed(
    make_clip: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    computed: list[np.ndarray] = []

    def counting(motion: np.ndarray, bound: float) -> np.ndarray:
        computed.append(motion)
        return to_bits(motion, bound)

    monkeypatch.setattr(flow_module, "to_bits", counting)
    changes = {**DATA_PRESETS["tiny"], "modalities": ("rgb", "flow"), "also": ("rgbdiff",), "flow": {"method": "dis"}}
    config = DataConfig(manifest="unused", **changes)
    loaded = load_file(make_clip(tmp_path / "a.mp4", frames=80), config)
    assert loaded.read("rgb", range(10)).shape == (10, 1, 3, 32, 32)
    assert loaded.read("rgbdiff", range(10)).shape == (10, 1, 15, 32, 32)
    assert loaded.present("flow") == [True] * 10
    assert not computed
    some = loaded.read("flow", [2, 7])
    assert some.shape == (2, 1, 10, 32, 32)
    assert len(computed) == 2 * 5
    assert torch.equal(loaded.read("flow", [7]), some[1:])
    assert len(computed) == 2 * 5
    assert loaded.read("flow", []).shape == (0, 1, 10, 32, 32)


@pytest.mark.parametrize("found", [None, "plain"])
def test_flow_without_opencv_is_refused_before_anything_is_decoded(
    make_clip: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, found: str | None
) -> None:
    plain: Any = ModuleType("cv2")
    plain.__version__ = "4.14.0"
    monkeypatch.setitem(sys.modules, "cv2", None if found is None else plain)
    config = DataConfig(manifest="unused", **{**DATA_PRESETS["tiny"], "modalities": ("flow",)})
    cache = ClipCache(tmp_path / "cache", config)
    with pytest.raises(UserError, match=r"modality flow needs OpenCV.*adaptive-video-explorer\[flow\]"):
        cache.build({"sha": Source(path=make_clip(tmp_path / "a.mp4"))})
    assert cache.record("frames", "sha") is None


def test_cached_flow_needs_no_opencv(make_clip: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    changes = {**DATA_PRESETS["tiny"], "modalities": ("flow",), "flow": {"method": "dis"}}
    cache = ClipCache(tmp_path / "cache", DataConfig(manifest="unused", **changes))
    files = {"sha": Source(path=make_clip(tmp_path / "a.mp4"))}
    cache.build(files)
    monkeypatch.setitem(sys.modules, "cv2", None)
    cache.build(files)
    assert cache.read("sha").whole("flow").shape == (20, 32, 32, 2)
