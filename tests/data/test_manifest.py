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
from trainables.kit.data.manifest import write_manifest as write_manifest_file

Write = Callable[..., Path]


def row(name: str, label: Any = 0, split: Any = "train", **changes: Any) -> dict[str, Any]:
    fields = {"id": name, "split": split, "path": f"{name}.mp4", "label": label, "label_name": f"class {label}"}
    return {**fields, **changes}


def test_rows_become_videos_sorted_by_id_with_class_names(write_manifest: Write) -> None:
    path = write_manifest(row("b", 1, "val"), row("a", 0, group="film 7"))
    manifest = read_manifest(path)
    assert manifest.classes == ("class 0", "class 1")
    assert manifest.videos[0] == Video(
        id="a",
        split="train",
        path=path.parent.resolve() / "a.mp4",
        labels=(0,),
        label_names=("class 0",),
        group="film 7",
    )
    assert [video.id for video in manifest.videos] == ["a", "b"]
    assert [video.label for video in manifest.videos] == [0, 1]
    assert not manifest.multi_label


def test_several_labels_and_parts_of_a_file(write_manifest: Write) -> None:
    several = {"labels": [1, 0], "label_names": ["class 1", "class 0"], "label": None, "label_name": None}
    one = {**several, "labels": [0], "label_names": ["class 0"]}
    manifest = read_manifest(
        write_manifest(
            row("a", **several, path="film.mp4", start_s=0, end_s=2.5),
            row("b", **one, path="film.mp4", start_s=2.5),
        )
    )
    first, second = manifest.videos
    assert (first.labels, first.label_names, first.label) == ((1, 0), ("class 1", "class 0"), 1)
    assert (first.start_s, first.end_s, second.start_s, second.end_s) == (0, 2.5, 2.5, None)
    assert manifest.multi_label
    assert manifest.classes == ("class 0", "class 1")


def test_a_written_manifest_reads_as_what_was_written(write_manifest: Write, tmp_path: Path) -> None:
    manifest = read_manifest(write_manifest(row("a", group="é\u2028", start_s=1.5), row("b", 1, "val", path="b c.mp4")))
    written = tmp_path / "new" / "m.jsonl"
    write_manifest_file(written, manifest.videos, multi_label=False)
    assert read_manifest(written).videos == manifest.videos
    write_manifest_file(tmp_path / "m.jsonl", manifest.videos, multi_label=False)
    assert '"path": "b c.mp4"' in (tmp_path / "m.jsonl").read_text()  # below its folder: relative


def test_every_broken_line_is_reported_at_once_with_its_number(write_manifest: Write, tmp_path: Path) -> None:
    without_path = row("e")
    del without_path["path"]
    path = write_manifest(
        row("a"),
        "{not json",
        row("a", path="other.mp4"),
        row("d", split="dev", label=None, start_s=-1, end_s=True),
        {**without_path, "split": "no", "label_name": ""},
        {**row("f"), "label": "3"},
        row("g", label_name="class 9"),
        row("h", lable=1),
        row("i", 2),
        "[1]",
        row("j", labels=[0], label_names=["class 0"]),
        row("k", label=None, label_name=None, labels=[0, 0], label_names=["class 0", "class 0"]),
        row("l", start_s=3, end_s=2),
    )
    (tmp_path / "i.mp4").unlink()
    with pytest.raises(InvalidInput) as caught:
        read_manifest(path)
    told = "\n".join(caught.value.problems)
    for part in (
        "line 2: must be one JSON object",
        "line 3: id must be unique, got 'a' again (first on line 1)",
        "line 4: split must be one of train, val, test, got 'dev'",
        "line 4: must have the field 'label', got ",
        "line 4: start_s must be seconds, 0 or more, got -1",
        "line 4: end_s must be seconds, 0 or more, got True",
        "line 5: split must be one of train, val, test, got 'no'",
        "line 5: label_name must be a text, got ''",
        "line 5: must have the field 'path'",
        "line 6: label must be a whole number, got '3'",
        "line 7: label 0 is 'class 0' on line 1, got label_name 'class 9'",
        "line 8: fields must be id, path, label, label_name, labels, label_names, split, group, start_s, end_s, fps, sha256, "
        "got also lable",
        "line 9: path must name a file",
        "line 10: must be a JSON object, got list",
        "line 11: must have label and label_name or labels and label_names, got both",
        "line 12: labels must be different and as many as label_names, got [0, 0]",
        "line 13: end_s must be above start_s, got 3 to 2",
        "labels must count from 0 without gaps, got none for 1",
    ):
        assert part in told


def test_split_on_some_lines_only_is_an_error(write_manifest: Write) -> None:
    with pytest.raises(InvalidInput, match="for every video or for none, got 1 with and 1 without"):
        read_manifest(write_manifest(row("a"), row("b", split=None)))


def test_labels_on_some_lines_only_is_an_error(write_manifest: Write) -> None:
    several = row("b", label=None, label_name=None, labels=[0], label_names=["class 0"])
    with pytest.raises(InvalidInput, match=r"labels .* for every video or for none, got 1 with and 1 without"):
        read_manifest(write_manifest(row("a"), several))


@pytest.mark.parametrize("together", [{"group": "film 7"}, {"path": "film.mp4"}])
def test_a_source_in_two_splits_is_a_leak(write_manifest: Write, together: dict[str, str]) -> None:
    rows = [row("a", start_s=0, end_s=1, **together), row("b", split="test", start_s=1, end_s=2, **together)]
    with pytest.raises(InvalidInput, match=r"film.* must be in one split, got test, train"):
        read_manifest(write_manifest(*rows))
    rows[1]["split"] = "train"
    assert len(read_manifest(write_manifest(*rows)).videos) == 2


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
        patch.setattr(hashing, "hash_path", fail)
        assert hash_files([file], cache) == [known]
    file.write_bytes(b"abd")
    os.utime(file, ns=(1, 1))
    assert hash_files([file], cache) != [known]


def test_a_file_is_read_once_for_all_storages_and_what_is_gone_is_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    read: list[str] = []
    original = hashing.hash_path
    monkeypatch.setattr(hashing, "hash_path", lambda path: read.append(path.name) or original(path))
    for name in "ab":
        (tmp_path / name).write_text(name)
    first = hash_files([tmp_path / "a"], tmp_path / "one")
    assert hash_files([tmp_path / "a"], tmp_path / "two") == hash_files([tmp_path / "a"], None) == first
    assert read == ["a"]
    assert hashing.remembered_hashes(tmp_path / "two") == {str(tmp_path / "a"): first[0]}
    (tmp_path / "a").unlink()
    hash_files([tmp_path / "b"], None)
    assert list(hashing.remembered_hashes(hashing.default_cache())) == [str(tmp_path / "b")]
    with pytest.raises(
        InvalidInput, match=r"videos that cannot be read: 1 problem\n.*/a: cannot be read \(No such file"
    ):
        hash_files([tmp_path / "a", tmp_path / "b"], None)


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
    assert fingerprint({**rows[0], "start_s": 1}, *rows[1:]) != first


def test_a_place_that_cannot_be_written_is_told_without_leftovers(write_manifest: Write, tmp_path: Path) -> None:
    manifest = read_manifest(write_manifest(row("a")))
    (tmp_path / "taken").mkdir()
    before = sorted(tmp_path.iterdir())
    for place in (tmp_path / "taken", manifest.path / "below.jsonl"):  # a folder, and below a file
        with pytest.raises(ManifestError, match="must be in a place that can be written to"):
            write_manifest_file(place, manifest.videos, multi_label=False)
    assert sorted(tmp_path.iterdir()) == before
