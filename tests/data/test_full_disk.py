"""What the commands that write say, and leave, when the disk takes nothing more."""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from explorer.cli.app import run
from tests.data import damage

Words = Callable[[Path], Sequence[str]]
MISSING_VIDEOS = 60  # lines of files that are not there: measured in no time, and 300 bytes of records each


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return damage.good(tmp_path_factory.mktemp("clip") / "a.mp4")


@pytest.fixture
def sources(tmp_path: Path, clip: Path) -> Path:
    """Class folders of 300 videos, and a manifest of one real file among many that are not there."""
    folder = tmp_path / "sources"
    for label in "ab":
        (folder / "classes" / label).mkdir(parents=True)
        for number in range(150):
            (folder / "classes" / label / f"{label}{number}.mp4").touch()
    shutil.copy(clip, folder / "clip.mp4")
    return folder


def check_words(place: Path, sources: Path) -> list[str]:
    rows = [{"id": "a", "path": str(sources / "clip.mp4"), "label": 0, "label_name": "a"}]
    rows += [{**rows[0], "id": f"{n}", "path": f"{n}-{'x' * 80}.mp4"} for n in range(MISSING_VIDEOS)]
    if not (place / "m.jsonl").exists():
        (place / "m.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return ["data", "check", str(place / "m.jsonl")]


def import_words(place: Path, sources: Path) -> list[str]:
    return ["data", "import", str(sources / "classes"), "--out", str(place / "i.jsonl")]


def synth_words(place: Path, sources: Path) -> list[str]:
    return ["data", "synth", str(place / "demo"), "--videos", "36", "--seconds", "3.2"]


def prepare_words(place: Path, sources: Path) -> list[str]:
    rows = [
        {"id": split, "split": split, "path": f"{split}.mp4", "label": 0, "label_name": "a"}
        for split in ("train", "val", "test")
    ]
    for row in rows:
        shutil.copy(sources / "clip.mp4", sources / row["path"])
    (sources / "p.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    space = ["data", "prepare", str(sources / "p.jsonl"), "--space", "quickstart"]
    return [*space, "--workers", "1", "-o", f"storage={place / 'runs'}"]


COMMANDS: dict[str, Callable[[Path, Path], list[str]]] = {
    "check": check_words,
    "import": import_words,
    "synth": synth_words,
    "prepare": prepare_words,
}


@contextmanager
def files_up_to(size: int) -> Iterator[None]:
    """No file of this process may grow beyond ``size`` bytes: what it writes after that fails, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def is_one_sentence(told: str) -> bool:
    errors = [line for line in told.splitlines() if line.startswith("error: ")]
    return len(errors) == 1 and "Traceback" not in told


@pytest.mark.parametrize("name", COMMANDS)
def test_a_file_that_cannot_grow_is_told_in_a_sentence_and_the_same_command_goes_on(
    name: str, sources: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = tmp_path / "place"
    place.mkdir()
    words = COMMANDS[name](place, sources)
    with files_up_to(4_000):
        code = run(words)
    told = capsys.readouterr().err
    assert code in (1, 2)
    assert is_one_sentence(told), told
    assert os.strerror(27) in told  # EFBIG: it failed for that, and for nothing else
    assert not list(place.rglob("*.tmp"))
    kept = (place / "m.check.jsonl").read_bytes() if name == "check" else b""
    assert run(words) == (1 if name == "check" else 0)  # of the check's files one alone is there
    if name == "check":
        assert kept.count(b"\n") > 5  # so many were measured before
        assert f"{MISSING_VIDEOS} missing_file" in capsys.readouterr().out
        rows = list(map(json.loads, (place / "m.check.jsonl").read_text().splitlines()))
        assert len(rows) == MISSING_VIDEOS + 1


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of its own, 128 kB large."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", str(place)]
    if (
        os.geteuid()
        or shutil.which("mount") is None
        or subprocess.run(mount, capture_output=True, check=False).returncode
    ):
        pytest.skip("only root may mount a disk, and not everywhere")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)  # a file that could not be written may still be open


@pytest.mark.parametrize("name", COMMANDS)
def test_a_full_disk_is_told_in_a_sentence(
    name: str, small_disk: Path, sources: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = COMMANDS[name](small_disk, sources)
    with (small_disk / "filler").open("wb") as filler:
        filler.write(bytes(shutil.disk_usage(small_disk).free - 4096))
    assert run(words) in (1, 2)
    told = capsys.readouterr().err
    assert is_one_sentence(told), told
    assert "No space left on device" in told or "GB free; make room" in told


@pytest.mark.parametrize("name", COMMANDS)
def test_a_read_only_disk_is_told_in_a_sentence(
    name: str, small_disk: Path, sources: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = COMMANDS[name](small_disk, sources)
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    before = sorted(small_disk.rglob("*"))
    assert run(words) in (1, 2)
    assert is_one_sentence(told := capsys.readouterr().err), told
    assert sorted(small_disk.rglob("*")) == before
