from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from trainables.errors import InvalidInput, ManifestError
from trainables.kit.data import hashing
from trainables.kit.data.config import DataConfig
from trainables.kit.data.fingerprint import data_fingerprint
from trainables.kit.data.hashing import hash_files
from trainables.kit.data.manifest import Video, read_manifest

Write = Callable[..., Path]


def row(name: str, label: int = 0, split: str | None = "train", **changes: Any) -> dict[str, Any]:
    fields = {"id": name, "split": split, "path": f"{name}.mp4", "label": label, "label_name": f"class {label}"}
    return {**fields, **changes}


def test_rows_become_videos_sorted_by_id_with_class_names(write_manifest: Write) -> None:
    path = write_manifest(row("b", 1, "val"), row("a", 0, group="film 7"))
    manifest = read_manifest(path)
    assert manifest.classes == ("class 0", "class 1")
    assert manifest.videos[0] == Video(
        id="a", split="train", path=path.parent.resolve() / "a.mp4", label=0, label_name="class 0", group="film 7"
    )
    assert [video.id for video in manifest.videos] == ["a", "b"]


def test_every_broken_line_is_reported_at_once_with_its_number(write_manifest: Write, tmp_path: Path) -> None:
    without_path = row("e")
    del without_path["path"]
    path = write_manifest(
        row("a"),
        "{not json",
        row("a", path="other.mp4"),
        row("d", split="dev"),
        without_path,
        {**row("f"), "label": "3"},
        row("g", label_name="class 9"),
        row("h", lable=1),
        row("i", 2),
        "[1]",
    )
    (tmp_path / "i.mp4").unlink()
    with pytest.raises(InvalidInput) as caught:
        read_manifest(path)
    told = "\n".join(caught.value.problems)
    for part in (
        "line 2: must be one JSON object",
        "line 3: id must be unique, got 'a' again (first on line 1)",
        "line 4: split must be one of train, val, test, got 'dev'",
        "line 5: must have the field 'path'",
        "line 6: label must be a whole number, got '3'",
        "line 7: label 0 is 'class 0' on line 1, got label_name 'class 9'",
        "line 8: fields must be id, path, label, label_name, split, group, got also lable",
        "line 9: path must name a file",
        "line 10: must be a JSON object, got list",
        "labels must count from 0 without gaps, got none for 1",
    ):
        assert part in told


def test_split_on_some_lines_only_is_an_error(write_manifest: Write) -> None:
    with pytest.raises(InvalidInput, match="for every video or for none, got 1 with and 1 without"):
        read_manifest(write_manifest(row("a"), row("b", split=None)))


def test_missing_and_empty_manifests_are_errors(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="readable"):
        read_manifest(tmp_path / "none.jsonl")
    (tmp_path / "empty.jsonl").write_text("\n")
    with pytest.raises(ManifestError, match="at least one video"):
        read_manifest(tmp_path / "empty.jsonl")


def test_hashes_are_sha256_and_unchanged_files_are_not_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "a.bin"
    file.write_bytes(b"abc")
    cache = tmp_path / "cache"
    known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # FIPS 180-2, example of one block
    assert hash_files([file], cache) == [known]

    def fail(path: Path) -> str:
        raise AssertionError(f"{path} was read again")

    with monkeypatch.context() as patch:
        patch.setattr(hashing, "_hash", fail)
        assert hash_files([file], cache) == [known]
    file.write_bytes(b"abd")
    os.utime(file, ns=(1, 1))
    assert hash_files([file], cache) != [known]


def test_damaged_memory_of_hashes_is_ignored(tmp_path: Path) -> None:
    file = tmp_path / "a.bin"
    file.write_bytes(b"abc")
    (tmp_path / hashing.HASHES_FILE).write_text('{"half')
    assert hash_files([file], tmp_path)[0].startswith("ba7816bf")


def test_fingerprint_follows_content_labels_and_splits_but_not_order(write_manifest: Write, tmp_path: Path) -> None:
    rows = [row(f"v{i}", i % 2, split) for i, split in enumerate(["train", "val", "test", "train"])]

    def fingerprint(*lines: dict[str, Any], content: bytes = b"x") -> str:
        path = write_manifest(*lines)
        (tmp_path / "v0.mp4").write_bytes(content)
        os.utime(tmp_path / "v0.mp4", ns=(0, len(content)))
        return data_fingerprint(DataConfig(manifest=str(path)), tmp_path / "cache")

    first = fingerprint(*rows)
    assert fingerprint(*reversed(rows)) == first
    assert fingerprint(*rows, content=b"yz") != first
    assert fingerprint({**rows[0], "split": "val"}, *rows[1:]) != first
    assert fingerprint({**rows[0], "label": 1, "label_name": "class 1"}, *rows[1:]) != first
