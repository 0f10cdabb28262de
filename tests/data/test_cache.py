from __future__ import annotations

import multiprocessing
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from trainables.errors import InvalidInput
from trainables.kit.data import cache as cache_module
from trainables.kit.data.cache import ClipCache, decode_clip
from trainables.kit.data.config import DATA_PRESETS, DataConfig
from trainables.kit.data.manifest import read_manifest
from trainables.kit.data.spectrogram import SILENCE

Make = Callable[..., Path]
CONFIG = DataConfig(manifest="unused", **DATA_PRESETS["tiny"])


def sources(clips: Path, count: int = 6) -> dict[str, Path]:
    return {f"sha{i}": video.path for i, video in enumerate(read_manifest(clips).videos[:count])}


def test_entries_hold_what_decoding_gives(clips: Path, tmp_path: Path) -> None:
    cache, files = ClipCache(tmp_path, CONFIG), sources(clips, 2)
    cache.build(files)
    direct, cached = decode_clip(files["sha1"], CONFIG), cache.read("sha1")
    assert isinstance(cached.frames_FHW3, np.memmap)
    np.testing.assert_array_equal(cached.frames_FHW3, direct.frames_FHW3)
    np.testing.assert_array_equal(cached.edges_s, direct.edges_s)
    assert cached.sound_TF is not None
    assert direct.sound_TF is not None
    assert cached.sound_TF.dtype == np.float16
    np.testing.assert_array_equal(cached.sound_TF, direct.sound_TF)


def test_a_second_build_decodes_nothing_and_a_damaged_entry_is_made_again(
    clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache, files = ClipCache(tmp_path, CONFIG), sources(clips)
    reports: list[tuple[int, int]] = []
    cache.build(files, lambda done, total: reports.append((done, total)))
    assert reports == [(done, 6) for done in range(1, 7)]
    decoded: list[Path] = []

    def counting(path: Path, config: DataConfig) -> cache_module.Clip:
        decoded.append(path)
        return decode_clip(path, config)

    monkeypatch.setattr(cache_module, "decode_clip", counting)
    cache.build(files)
    assert decoded == []
    rgb = cache.folder / "sha3.rgb.npy"
    rgb.write_bytes(rgb.read_bytes()[:-10])
    (cache.folder / "sha4.json").unlink()
    cache.build(files)
    assert sorted(decoded) == sorted([files["sha3"], files["sha4"]])


def test_all_bad_files_are_reported_together_and_the_good_ones_are_kept(clips: Path, tmp_path: Path) -> None:
    files = sources(clips, 3)
    (tmp_path / "text.mp4").write_text("no video")
    cache = ClipCache(tmp_path / "cache", CONFIG)
    with pytest.raises(InvalidInput) as caught:
        cache.build({**files, "bad0": tmp_path / "none.mp4", "bad1": tmp_path / "text.mp4"})
    assert len(caught.value.problems) == 2
    assert "none.mp4: does not exist" in caught.value.problems[0]
    assert "text.mp4: does not decode" in caught.value.problems[1]
    assert cache.missing(files) == []


def test_a_clip_without_sound_has_no_sound_entry(make_clip: Make, tmp_path: Path) -> None:
    cache = ClipCache(tmp_path, CONFIG)
    cache.build({"mute": make_clip(tmp_path / "mute.mp4", sound=False)})
    assert cache.read("mute").sound_TF is None


def test_silence_is_stored_as_the_floor(tmp_path: Path, make_clip: Make) -> None:
    clip = decode_clip(make_clip(tmp_path / "late.mp4", sound_start_s=0.5), CONFIG)
    assert clip.sound_TF is not None
    assert clip.sound_TF.min() >= np.float16(SILENCE)


def test_decoding_settings_have_folders_of_their_own_and_later_settings_share_one(tmp_path: Path) -> None:
    def folder(**changes: object) -> Path:
        return ClipCache(tmp_path, CONFIG.model_copy(update=changes)).folder

    assert folder(frame_size=40) != folder()
    assert folder(frame_rate="native") != folder()
    assert folder(audio=CONFIG.audio.model_copy(update={"hop": 80})) != folder()
    assert folder(audio=CONFIG.audio.model_copy(update={"mean": 1.0}), split_seed=4) == folder()


def _build(folder: Path, files: dict[str, Path], log: Path) -> None:
    def counting(path: Path, config: DataConfig) -> cache_module.Clip:
        with log.open("a") as file:
            file.write(f"{path.name}\n")
        return decode_clip(path, config)

    cache_module.decode_clip = counting
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
    assert sorted((tmp_path / "log").read_text().split()) == sorted(path.name for path in files.values())


def _build_until_killed(folder: Path, files: dict[str, Path]) -> None:
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
    shutil.rmtree(cache.folder)
