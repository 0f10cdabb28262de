from __future__ import annotations

import hashlib
import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from explorer.errors import CheckpointMissing, UserError
from explorer.store import Store
from explorer.store.checksums import CHECKSUMS, broken_files

KEY = "0123456789abcdef0123"


def result(store: Store, key: str = KEY, content: bytes = b"weights", **more: str) -> Path:
    """A finished stage in the working folder of ``key``."""
    folder = store.work(key) / "result"
    (folder / "epochs" / "0001").mkdir(parents=True)
    (folder / "weights.safetensors").write_bytes(content)
    (folder / "epochs" / "0001" / "val.safetensors").write_bytes(content * 2)
    (folder / "stage.json").write_text(json.dumps({"key": key}))
    for name, text in more.items():
        (folder / f"{name}.json").write_text(text)
    return folder


def test_what_is_published_is_found_and_whole(tmp_path: Path) -> None:
    store = Store(tmp_path)
    assert not store.has(KEY)
    assert store.keys() == ()
    final = store.publish(KEY, result(store, points='[{"epoch": 1}]'))
    assert final == store.path(KEY) == tmp_path / KEY
    assert (final / "epochs" / "0001" / "val.safetensors").read_bytes() == b"weightsweights"
    assert store.stage_info(KEY) == {"key": KEY}
    assert store.points(KEY) == [{"epoch": 1}]
    assert store.keys() == (KEY,)


def test_a_missing_checkpoint_says_so(tmp_path: Path) -> None:
    store = Store(tmp_path / "not-yet-there")
    for ask in (store.path, store.stage_info):
        with pytest.raises(CheckpointMissing, match=KEY):
            ask(KEY)
    assert store.points(KEY) == []
    assert store.keys() == ()


def test_a_checkpoint_without_points_has_none(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.publish(KEY, result(store))
    assert store.points(KEY) == []


def test_the_working_folder_stays_for_the_next_process_and_goes_when_published(tmp_path: Path) -> None:
    work = Store(tmp_path).work(KEY)
    (work / "resume.pt").write_bytes(b"epoch 3")
    store = Store(tmp_path)
    assert (store.work(KEY) / "resume.pt").read_bytes() == b"epoch 3"
    assert store.keys() == ()
    store.publish(KEY, result(store))
    assert not work.exists()


def test_two_areas_do_not_share_a_working_folder(tmp_path: Path) -> None:
    assert Store(tmp_path, area="a").work(KEY) != Store(tmp_path, area="b").work(KEY)


def test_a_folder_from_elsewhere_is_copied(tmp_path: Path) -> None:
    elsewhere = result(Store(tmp_path / "other"))
    store = Store(tmp_path / "store")
    store.publish(KEY, elsewhere)
    assert store.has(KEY)
    assert elsewhere.is_dir()


@pytest.mark.parametrize("damage", ["flip", "truncate", "remove"])
@pytest.mark.parametrize("name", ["weights.safetensors", "epochs/0001/val.safetensors", "stage.json", CHECKSUMS])
def test_a_damaged_file_is_found_by_the_next_process_and_can_be_trained_again(
    tmp_path: Path, name: str, damage: str
) -> None:
    store = Store(tmp_path)
    file = store.publish(KEY, result(store)) / name
    content = file.read_bytes()
    if damage == "flip":
        file.write_bytes(content[:-3] + bytes([content[-3] ^ 1]) + content[-2:])
    elif damage == "truncate":
        file.write_bytes(content[:-1])
    else:
        file.unlink()
    fresh = Store(tmp_path)
    assert not fresh.has(KEY)
    with pytest.raises(CheckpointMissing):
        fresh.path(KEY)
    fresh.publish(KEY, result(fresh, content=b"again"))
    assert (Store(tmp_path).path(KEY) / "weights.safetensors").read_bytes() == b"again"


def test_damaged_points_are_never_read(tmp_path: Path) -> None:
    store = Store(tmp_path)
    folder = store.publish(KEY, result(store, points='[{"accuracy": 0.5}]'))
    (folder / "points.json").write_text('[{"accuracy": 0.9}]')
    assert store.points(KEY) == []
    assert not store.has(KEY)


def test_a_checkpoint_is_hashed_once_a_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(tmp_path)
    store.publish(KEY, result(store))
    fresh = Store(tmp_path)
    assert fresh.has(KEY)
    monkeypatch.setattr("explorer.store.store.broken_files", lambda *_, **__: pytest.fail("hashed again"))
    assert fresh.has(KEY)
    assert fresh.path(KEY).is_dir()


def test_the_first_to_publish_wins_and_the_others_copy_is_dropped(tmp_path: Path) -> None:
    first, second = Store(tmp_path, area="a"), Store(tmp_path, area="b")
    ours, theirs = result(first, content=b"first"), result(second, content=b"second")
    first.publish(KEY, ours)
    assert second.publish(KEY, theirs) == tmp_path / KEY
    assert (second.path(KEY) / "weights.safetensors").read_bytes() == b"first"
    assert not theirs.exists()


# --- other processes --------------------------------------------------------------------------------------------------

PUBLISHER = """
import sys
from pathlib import Path
from explorer.store import Store
root, area, count = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
store = Store(root, area=area)
print("ready", flush=True)
sys.stdin.readline()
for number in range(count):
    key = f"key{number:04d}"
    if store.has(key):
        continue
    folder = store.work(key) / "result"
    folder.mkdir(parents=True, exist_ok=True)
    for file in range(int(sys.argv[4])):
        (folder / f"{file}.bin").write_bytes(area.encode() * 4000)
    store.publish(key, folder)
"""


def start(root: Path, area: str, count: int, files: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", PUBLISHER, str(root), area, str(count), str(files)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    return process


def go(process: subprocess.Popen[bytes]) -> None:
    assert process.stdin is not None
    process.stdin.write(b"go\n")
    process.stdin.flush()


def end(process: subprocess.Popen[bytes]) -> int:
    code = process.wait(timeout=60)
    for stream in (process.stdin, process.stdout):
        assert stream is not None
        stream.close()
    return code


def wait_for_more_than(count: int, root: Path) -> None:
    """Wait until more than ``count`` checkpoints can be seen."""
    deadline = time.monotonic() + 60
    while sum(not path.name.startswith(".") for path in root.iterdir()) <= count:
        assert time.monotonic() < deadline
        time.sleep(0.005)


def writers_of(folder: Path) -> set[bytes]:
    """Whose bytes a checkpoint holds; each publisher writes one letter."""
    return {bytes([byte]) for file in folder.glob("*.bin") for byte in file.read_bytes()}


@pytest.mark.kills
def test_a_publisher_killed_at_any_moment_leaves_no_half_checkpoint(tmp_path: Path) -> None:
    draw = random.Random(0)
    files = 60  # many, so that a kill often falls between two of them
    visible: list[Path] = []
    for _ in range(8):
        process = start(tmp_path, "a", 10_000, files)
        go(process)
        wait_for_more_than(len(visible), tmp_path)
        time.sleep(draw.uniform(0, 0.03))
        process.send_signal(signal.SIGKILL)
        end(process)
        visible = [path for path in tmp_path.iterdir() if not path.name.startswith(".")]
        assert all(broken_files(path) == () for path in visible)
        assert all(len(list(path.glob("*.bin"))) == files for path in visible)
    process = start(tmp_path, "a", len(visible) + 3, files)  # and the next process goes on
    go(process)
    assert end(process) == 0
    assert len(Store(tmp_path).keys()) == len(visible) + 3


def test_two_racing_publishers_leave_one_whole_checkpoint_a_key(tmp_path: Path) -> None:
    count = 60
    processes = [start(tmp_path, area, count, 6) for area in ("a", "b")]
    for process in processes:
        go(process)
    assert [end(process) for process in processes] == [0, 0]
    store = Store(tmp_path)
    keys = store.keys()
    assert len(keys) == count
    assert all(store.has(key) for key in keys)
    assert all(len(writers_of(store.path(key))) == 1 for key in keys)
    assert not any((tmp_path / ".work").glob("*/*"))


@pytest.mark.parametrize("key", ["", "..", ".work", "../elsewhere", "/etc"])
def test_a_key_that_leads_out_of_the_store_is_refused(tmp_path: Path, key: str) -> None:
    with pytest.raises(UserError, match="a stage key must be"):
        Store(tmp_path).has(key)


@pytest.mark.parametrize("name", ["../outside", "/outside", "a/../../outside", ""])
def test_a_file_outside_of_the_checkpoint_makes_it_a_broken_one(tmp_path: Path, name: str) -> None:
    (tmp_path / "outside").write_bytes(b"x")
    folder = tmp_path / "key"
    folder.mkdir()
    sums = {"sha256": hashlib.sha256(b"x").hexdigest(), "bytes": 1}
    (folder / "checksums.json").write_text(json.dumps({name: sums}))
    assert broken_files(folder) == (name,)
