"""``explorer data prepare`` as a person runs it: real clips, real processes."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from explorer.cli.app import run
from explorer.errors import UserError
from explorer.prepare import prepare
from explorer.run import spread
from explorer.spec.load import load_space
from explorer.spec.space import SearchSpace
from tests.data import damage
from trainables.kit.data import cache as cache_module

MANIFEST_FILES = 36


def space_of(clips: Path, storage: Path, *overrides: str) -> SearchSpace:
    return load_space("quickstart", [f"data.manifest={clips}", f"storage={storage}", *overrides])


def command(clips: Path, storage: Path, *more: str) -> list[str]:
    space = ["data", "prepare", str(clips), "--space", "quickstart", "-o", f"storage={storage}"]
    return [*space, *more]


def entries(storage: Path) -> dict[str, tuple[int, bytes]]:
    """Every finished entry: when its record was written, and its bytes."""
    found = {}
    for record in sorted((storage / "cache").glob("*-*/*.json")):
        array = record.with_suffix(".npy")
        found[f"{record.parent.name}/{record.stem}"] = (record.stat().st_mtime_ns, array.read_bytes())
    return found


def test_it_says_what_was_done_and_a_second_run_decodes_nothing(
    clips: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(command(clips, tmp_path, "--json")) == 0
    first = json.loads(capsys.readouterr().out)
    assert (first["videos"], first["made"], first["stored"]) == (MANIFEST_FILES, MANIFEST_FILES, "raw")
    before = entries(tmp_path)
    assert run(command(clips, tmp_path)) == 0
    assert "nothing to decode: all 36 videos are cached" in capsys.readouterr().out
    assert entries(tmp_path) == before


def test_a_sweeps_own_preparation_finds_everything_done(clips: Path, tmp_path: Path) -> None:
    space = space_of(clips, tmp_path)
    prepare(space)
    before = entries(tmp_path)
    packs = {path: path.stat().st_mtime_ns for path in (tmp_path / "cache").glob("*/pack-*")}
    space.load_system().prepare_data(space.base_config(), space.cache_folder)
    assert entries(tmp_path) == before
    assert packs
    assert packs == {path: path.stat().st_mtime_ns for path in (tmp_path / "cache").glob("*/pack-*")}


def test_a_second_sweep_over_the_same_data_decodes_nothing(
    clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another search on the same storage, from its preparation to its batches."""
    decoded: list[str] = []
    for name in ("read_picture", "decode_picture", "decode_sound"):
        original = getattr(cache_module, name)

        def counting(path: Path, *rest: Any, _original: Any = original, **how: Any) -> Any:
            decoded.append(path.name)
            return _original(path, *rest, **how)

        monkeypatch.setattr(cache_module, name, counting)
    first = space_of(clips, tmp_path)
    first.load_system().prepare_data(first.base_config(), first.cache_folder)
    assert len(decoded) == 2 * MANIFEST_FILES  # picture and sound
    decoded.clear()
    second = space_of(clips, tmp_path, "name=second", "seed=5", "budget.trials=3", "sampler=random")
    system, config = second.load_system(), second.base_config()
    system.prepare_data(config, second.cache_folder)
    data = system.open_data(config, second.cache_folder)
    for batch in data.eval_batches("val", modalities=("rgb", "audio"), segments=4, batch_size=4):
        assert len(batch.label_B)
    assert next(iter(data.train_batches(modalities=("rgb", "audio"), segments=3, batch_size=8, draw=(0, 0, 0))))
    assert decoded == []


def test_the_forecast_is_near_the_truth_whatever_it_is_reckoned_from(clips: Path, tmp_path: Path) -> None:
    here = tmp_path / "clips"
    shutil.copytree(clips.parent, here)
    from_headers = prepare(space_of(here / clips.name, tmp_path / "a"))
    assert run(["data", "check", str(here / clips.name), "--json"]) == 0
    from_check = prepare(space_of(here / clips.name, tmp_path / "b"))
    jpeg = prepare(space_of(here / clips.name, tmp_path / "c", "data.cache=jpeg", "data.frame_size=64"))
    assert from_headers.basis.startswith("headers of a sample")
    assert from_check.basis == "measured by data check"
    for done, slack in ((from_headers, 0.03), (from_check, 0.03), (jpeg, 0.35)):  # tiny JPEGs are mostly headers
        assert done.need_bytes == pytest.approx(done.cache_bytes, rel=slack)


def test_folders_of_pictures_are_prepared_like_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = []
    for number, split in enumerate(("train", "train", "val", "test")):
        damage.frame_folder(tmp_path / "frames" / str(number), frames=24 + number)
        row = {"id": str(number), "split": split, "path": f"frames/{number}", "label": 0, "label_name": "a", "fps": 12}
        rows.append(json.dumps(row))
    (tmp_path / "m.jsonl").write_text("\n".join(rows))
    overrides = ["-o", "data.cache=jpeg", "-o", "data.frame_size=48"]
    assert run([*command(tmp_path / "m.jsonl", tmp_path / "runs", "--json"), *overrides]) == 0
    assert json.loads(capsys.readouterr().out)["made"] == 4
    assert run([*command(tmp_path / "m.jsonl", tmp_path / "runs"), *overrides]) == 0
    assert "nothing to decode: all 4 videos are cached" in capsys.readouterr().out


def test_a_disk_that_cannot_hold_it_is_refused_before_anything_is_decoded(
    clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=5_000_000))
    with pytest.raises(UserError, match=r"the cache of 36 videos needs about .* has 0.0 GB free; make room"):
        prepare(space_of(clips, tmp_path))
    assert not list((tmp_path / "cache").glob("*-*/*.npy"))


def test_a_killed_run_goes_on_with_the_files_that_were_not_done(clips: Path, tmp_path: Path) -> None:
    arguments = [sys.executable, "-m", "explorer.cli.app", *command(clips, tmp_path / "killed", "--workers", "1")]
    process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while len(entries(tmp_path / "killed")) < 8 and time.monotonic() < deadline:
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    before = entries(tmp_path / "killed")
    assert 8 <= len(before) < 2 * MANIFEST_FILES  # two tracks a file
    assert run(command(clips, tmp_path / "killed")) == 0
    after = entries(tmp_path / "killed")
    assert {name: after[name] for name in before} == before  # neither written again nor changed
    assert run(command(clips, tmp_path / "whole")) == 0
    whole = entries(tmp_path / "whole")
    assert {name: content for name, (_, content) in after.items()} == {n: content for n, (_, content) in whole.items()}


def test_what_other_settings_left_is_told_and_deleted_on_request(clips: Path, tmp_path: Path) -> None:
    prepare(space_of(clips, tmp_path, "data.frame_size=40"))
    done = prepare(space_of(clips, tmp_path))
    folders = sorted(path.name for path in (tmp_path / "cache").glob("frames-*"))
    assert len(folders) == 2
    assert done.stale_bytes > 1_000_000
    cleaned = prepare(space_of(clips, tmp_path), clean=True)
    assert (cleaned.made, cleaned.stale_bytes) == (0, done.stale_bytes)
    assert len(list((tmp_path / "cache").glob("frames-*"))) == 1
    assert prepare(space_of(clips, tmp_path)).stale_bytes == 0


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["toy"], "must read videos, got toy of system toy"),
        (["clips.jsonl"], "a manifest needs --space SPACE"),
        (
            ["quickstart", "--address", "127.0.0.1:1"],
            "--address must be that of a running Ray cluster, got 127.0.0.1:1",
        ),
        (["quickstart", "--to", "nosuch://place"], "data.cache_url must be a folder or a URL that fsspec can open"),
    ],
)
def test_wrong_input_ends_with_exit_2_and_the_remedy(
    arguments: list[str], told: str, clips: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["-o", f"storage={tmp_path}"]
    if arguments[0] == "quickstart":
        options += ["-o", f"data.manifest={clips}"]
    assert run(["data", "prepare", *arguments, *options]) == 2
    assert told in capsys.readouterr().err


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An object store on loopback."""
    server_module = pytest.importorskip("moto.server")
    pytest.importorskip("s3fs")
    server = server_module.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    settings = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_DEFAULT_REGION": "us-east-1"}
    for name, value in {**settings, "AWS_ENDPOINT_URL": f"http://{host}:{port}"}.items():
        monkeypatch.setenv(name, value)
    import s3fs

    s3fs.S3FileSystem.clear_instance_cache()
    s3fs.S3FileSystem().mkdir("videos")
    yield "s3://videos/cache"
    server.stop()


@pytest.mark.server
def test_an_object_store_is_filled_once_and_other_machines_fetch_from_it(
    bucket: str, clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(command(clips, tmp_path / "one", "--to", bucket)) == 0

    def refuse(*_: Any) -> None:
        raise AssertionError("it was to be fetched")

    monkeypatch.setattr(cache_module, "decode_frames", refuse)
    monkeypatch.setattr(cache_module, "decode_samples", refuse)
    assert run(command(clips, tmp_path / "two", "-o", f"data.cache_url={bucket}")) == 0
    one, two = (entries(tmp_path / name) for name in ("one", "two"))
    assert {n: content for n, (_, content) in one.items()} == {n: content for n, (_, content) in two.items()}


@pytest.mark.ray
def test_all_nodes_of_a_cluster_decode_and_a_broken_file_is_named(
    clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = tmp_path / "clips"
    shutil.copytree(clips.parent, here)
    manifest = here / clips.name
    broken = here / "videos" / "clip_00003.mp4"
    whole = broken.read_bytes()
    broken.write_bytes(whole[: len(whole) // 2])
    monkeypatch.setattr(spread, "CHUNK", 4)
    space = space_of(manifest, tmp_path / "spread")
    with spread.spread_over("local") as make:
        with pytest.raises(UserError, match=r"videos that do not decode: 1 problem\n.*clip_00003.mp4"):
            prepare(space, make=make)
        broken.write_bytes(whole)
        decode, main = spread._decode, os.getpid()

        def killer(root: Path, config: dict[str, Any], files: dict[str, Any]) -> dict[str, str | None]:
            if os.getpid() != main and any(source.path.name == "clip_00005.mp4" for source in files.values()):
                os.kill(os.getpid(), 9)
            return decode(root, config, files)

        monkeypatch.setattr(spread, "_decode", killer)
        other = space_of(manifest, tmp_path / "other")
        with pytest.raises(UserError, match=r"1 problem\n.*clip_00005.mp4: its decoder died"):
            prepare(other, make=make)
        monkeypatch.setattr(spread, "_decode", decode)
        assert prepare(space, make=make).made == 1
        assert prepare(other, make=make).made == 1
    prepare(space_of(clips, tmp_path / "here"))
    one, two = (entries(tmp_path / name) for name in ("spread", "here"))
    assert {n: content for n, (_, content) in one.items()} == {n: content for n, (_, content) in two.items()}


@pytest.mark.ray
def test_a_node_that_joined_a_running_cluster_decodes_for_it(clips: Path, tmp_path: Path) -> None:
    from ray.cluster_utils import Cluster

    # The head has no CPU to give, so every file that is decoded was decoded on the other node.
    nodes = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    try:
        nodes.add_node(num_cpus=1)
        words = command(clips, tmp_path / "nodes", "--address", nodes.address, "--json")
        done = subprocess.run(
            [sys.executable, "-m", "explorer.cli.app", *words], capture_output=True, text=True, timeout=200, check=False
        )
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["made"] == MANIFEST_FILES
    finally:
        nodes.shutdown()
    prepare(space_of(clips, tmp_path / "here"))
    one, two = (entries(tmp_path / name) for name in ("nodes", "here"))
    assert {n: content for n, (_, content) in one.items()} == {n: content for n, (_, content) in two.items()}
