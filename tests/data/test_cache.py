from __future__ import annotations

import multiprocessing
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from trainables.errors import InvalidInput
from trainables.kit.data import cache as cache_module
from trainables.kit.data.cache import Clip, ClipCache, Source, decode_clip
from trainables.kit.data.config import DATA_PRESETS, DataConfig
from trainables.kit.data.flow import FlowTrack
from trainables.kit.data.manifest import read_manifest
from trainables.kit.data.sound import to_16_bits

Make = Callable[..., Path]
CONFIG = DataConfig(manifest="unused", **DATA_PRESETS["tiny"])


def sources(clips: Path, count: int = 6) -> dict[str, Source]:
    return {f"sha{i}": Source(path=video.path) for i, video in enumerate(read_manifest(clips).videos[:count])}


def test_entries_hold_what_decoding_gives(clips: Path, tmp_path: Path) -> None:
    cache, files = ClipCache(tmp_path, CONFIG), sources(clips, 2)
    cache.build(files)
    direct, cached = decode_clip(files["sha1"], CONFIG), cache.read("sha1")
    assert isinstance(cached.frames.frames_FHW3, np.memmap)
    np.testing.assert_array_equal(cached.frames.frames_FHW3, direct.frames.frames_FHW3)
    np.testing.assert_array_equal(cached.frames.edges_s, direct.frames.edges_s)
    assert cached.sound is not None
    assert direct.sound is not None
    assert cached.sound.samples_N is not None
    assert direct.sound.samples_N is not None
    assert cached.sound.samples_N.dtype == np.int16
    np.testing.assert_array_equal(cached.sound.samples_N, direct.sound.samples_N)
    assert cached.flow_FHW2 is None


def test_a_second_build_decodes_nothing_and_a_damaged_entry_is_made_again(
    clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache, files = ClipCache(tmp_path, CONFIG), sources(clips)
    reports: list[tuple[int, int]] = []
    cache.build(files, lambda done, total: reports.append((done, total)))
    assert reports == [(done, 6) for done in range(1, 7)]
    decoded = count(monkeypatch)
    cache.build(files)
    assert decoded == []
    frames = cache.folders["frames"] / "sha3.npy"
    frames.write_bytes(frames.read_bytes()[:-10])
    (cache.folders["sound"] / "sha4.json").unlink()
    cache.build(files)
    assert sorted(decoded) == [("frames", files["sha3"].path.name), ("sound", files["sha4"].path.name)]


def count(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """What is decoded from now on, as (track, file name)."""
    decoded: list[tuple[str, str]] = []
    for track, name in (("frames", "decode_frames"), ("sound", "decode_samples")):
        original = getattr(cache_module, name)

        def counting(source: Source, config: DataConfig, track: str = track, original: Any = original) -> Any:
            decoded.append((track, source.path.name))
            return original(source, config)

        monkeypatch.setattr(cache_module, name, counting)
    return decoded


def test_each_track_is_made_once_whatever_is_asked_for_later(
    clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Picture alone, then with flow, then with sound, then with another bound, then with another sound setting."""
    files, decoded = sources(clips, 2), count(monkeypatch)
    flows: list[FlowTrack] = []
    original = FlowTrack.all

    def counting(track: FlowTrack) -> np.ndarray:
        flows.append(track)
        return original(track)

    monkeypatch.setattr(FlowTrack, "all", counting)

    def build(**changes: object) -> tuple[int, int, int]:
        before = (*(sum(track == name for track, _ in decoded) for name in ("frames", "sound")), len(flows))
        config = DataConfig(manifest="unused", **{**DATA_PRESETS["tiny"], "flow": {"method": "dis"}, **changes})
        ClipCache(tmp_path, config).build(files)
        after = (*(sum(track == name for track, _ in decoded) for name in ("frames", "sound")), len(flows))
        frames, sound, flow = (new - old for old, new in zip(before, after, strict=True))
        return frames, sound, flow

    everything = ("rgb", "audio", "flow")
    assert build(modalities=("rgb",)) == (2, 0, 0)
    assert build(modalities=("rgb",), also=("rgbdiff",)) == (0, 0, 0)
    assert build(modalities=("rgb", "flow")) == (0, 0, 2)
    assert build(modalities=everything) == (0, 2, 0)
    assert build(modalities=everything, flow={"method": "dis", "bound": 5}) == (0, 0, 2)
    assert build(modalities=everything, audio={"mels": 16, "window_s": 0.8}) == (0, 2, 0)  # at another sample rate
    assert build(modalities=everything, audio={"window_s": 0.4}) == (0, 0, 0)
    assert build(modalities=everything) == (0, 0, 0)


def test_all_bad_files_are_reported_together_and_the_good_ones_are_kept(clips: Path, tmp_path: Path) -> None:
    files = sources(clips, 3)
    (tmp_path / "text.mp4").write_text("no video")
    cache = ClipCache(tmp_path / "cache", CONFIG)
    with pytest.raises(InvalidInput) as caught:
        cache.build({**files, "bad0": Source(path=tmp_path / "none.mp4"), "bad1": Source(path=tmp_path / "text.mp4")})
    assert len(caught.value.problems) == 2
    assert "none.mp4: does not exist" in caught.value.problems[0]
    assert "text.mp4: does not decode" in caught.value.problems[1]
    assert cache.missing(files) == []


def test_a_clip_without_sound_has_no_sound_entry(make_clip: Make, tmp_path: Path) -> None:
    cache = ClipCache(tmp_path, CONFIG)
    cache.build({"mute": Source(path=make_clip(tmp_path / "mute.mp4", sound=False))})
    assert sound_of(cache.read("mute")) is None


def test_sound_is_stored_as_16_bits_and_what_is_too_loud_is_cut_off() -> None:
    samples_N = to_16_bits(torch.tensor([0.0, 0.5, -0.5, 1.0, 1.7, -1.7, 0.4 / 32768]))
    assert samples_N.tolist() == [0, 16384, -16384, 32767, 32767, -32768, 0]
    assert samples_N.dtype == np.int16


def sound_of(clip: Clip) -> np.ndarray | None:
    assert clip.sound is not None  # sound was asked for
    return clip.sound.samples_N


def test_decoding_settings_have_folders_of_their_own_and_later_settings_share_one(tmp_path: Path) -> None:
    def folders(**changes: object) -> list[Path]:
        config = CONFIG.model_copy(update={"modalities": ("rgb", "audio", "flow"), **changes})
        return list(ClipCache(tmp_path, config).folders.values())

    def moved(**changes: object) -> list[bool]:
        return [new != old for new, old in zip(folders(**changes), folders(), strict=True)]

    assert moved(frame_size=40) == moved(frame_rate="native") == [True, False, True]
    assert moved(audio=CONFIG.audio.model_copy(update={"sample_rate": 8000})) == [False, True, False]
    assert moved(audio=CONFIG.audio.model_copy(update={"hop": 80, "mels": 9})) == [False, False, False]
    assert moved(flow=CONFIG.flow.model_copy(update={"bound": 5.0})) == [False, False, True]
    assert moved(audio=CONFIG.audio.model_copy(update={"mean": 1.0}), split_seed=4) == [False, False, False]


def _build(folder: Path, files: dict[str, Source], log: Path) -> None:
    original = cache_module.decode_frames

    def counting(source: Source, config: DataConfig) -> cache_module.Frames:
        with log.open("a") as file:
            file.write(f"{source.path.name}\n")
        return original(source, config)

    cache_module.decode_frames = counting
    ClipCache(folder, CONFIG).build(files)


def test_two_builders_at_once_decode_every_file_once(clips: Path, tmp_path: Path) -> None:
    files = sources(clips, 20)
    context = multiprocessing.get_context("spawn")
    builders = [context.Process(target=_build, args=(tmp_path, files, tmp_path / "log")) for _ in range(2)]
    for builder in builders:
        builder.start()
    for builder in builders:
        builder.join(timeout=120)
        assert builder.exitcode == 0
    assert sorted((tmp_path / "log").read_text().split()) == sorted(source.path.name for source in files.values())


def _build_until_killed(folder: Path, files: dict[str, Source]) -> None:
    def die(done: int, _: int) -> None:
        if done == 3:
            os.kill(os.getpid(), 9)

    ClipCache(folder, CONFIG).build(files, die)


def test_a_killed_builder_leaves_whole_entries_and_the_next_one_goes_on(clips: Path, tmp_path: Path) -> None:
    files = sources(clips, 10)
    builder = multiprocessing.get_context("spawn").Process(target=_build_until_killed, args=(tmp_path, files))
    builder.start()
    builder.join(timeout=120)
    assert builder.exitcode == -9
    cache = ClipCache(tmp_path, CONFIG)
    assert 3 <= len(files) - len(cache.missing(files)) < 10
    cache.build(files)
    assert cache.missing(files) == []
    shutil.rmtree(tmp_path / cache.folders["frames"].name)
