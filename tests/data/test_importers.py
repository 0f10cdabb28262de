from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path

import pytest

from explorer.cli.app import run as command_line
from tests.data import damage
from trainables.errors import InvalidInput, UserError
from trainables.kit.data.cards import CARDS, read_card
from trainables.kit.data.classes import CLASS_COUNTS
from trainables.kit.data.hashing import hash_path
from trainables.kit.data.importers import IMPORTERS
from trainables.kit.data.importers.entry import Options
from trainables.kit.data.importers.run import Imported, import_videos, make_splits, write_imported
from trainables.kit.data.importers.text import named_classes, read_classes, split_of_name
from trainables.kit.data.manifest import Manifest, read_manifest

KINETICS = "label,youtube_id,time_start,time_end,split,is_cc\n"


def files(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def bring_in(*sources: Path, format: str = "auto", **options: object) -> Imported:
    return import_videos(sources, format, Options(**options))  # type: ignore[arg-type]


def written(imported: Imported, folder: Path) -> Manifest:
    write_imported(imported, folder / "m.jsonl")
    return read_manifest(folder / "m.jsonl")


def troubles(imported: Imported) -> dict[str, int]:
    return dict(Counter(line.trouble for line in imported.unresolved))


def test_kinetics_csv_finds_cut_files_and_parts_of_whole_ones(tmp_path: Path) -> None:
    files(tmp_path / "root", "train/a/-x_000010_000020.mp4", "other/yy.webm", "v_zz.MKV", "notes.txt")
    (tmp_path / "train.csv").write_text(
        KINETICS
        + '"tapping, pen",-x,10,20,train,0\nsinging,yy,5,15,train,1\nsinging,zz,0,10,validate,1\nsinging,gone,1,2,train,0\n'
    )
    imported = bring_in(tmp_path / "train.csv", root=tmp_path / "root")
    assert imported.format == "csv"
    videos = {video.id: video for video in written(imported, tmp_path).videos}
    cut, whole, prefixed = videos["-x_000010_000020"], videos["yy_000005_000015"], videos["zz_000000_000010"]
    assert (cut.path.name, cut.start_s, cut.end_s, cut.label_names) == (
        "-x_000010_000020.mp4",
        None,
        None,
        ("tapping, pen",),
    )
    assert (whole.path.name, whole.start_s, whole.end_s, whole.split) == ("yy.webm", 5, 15, "train")
    assert (prefixed.path.name, prefixed.split, prefixed.labels) == ("v_zz.MKV", "val", (0,))
    (gone,) = imported.unresolved
    assert (gone.where, gone.trouble) == ("train.csv line 5", "no_file")
    assert "gone_000001_000002" in gone.detail


@pytest.mark.parametrize(
    "text",
    [
        "video;class;subset\na;x;training\nb;y;test\n",
        "Path\tLabel Name\tSplit\nsub/a.mp4\tx\ttrain\nb\ty\ttest\n",
        "\ufefffilename,category,set\na.mp4,x,TRAIN\nb.mp4,y,Testing\n",
    ],
)
def test_columns_may_have_many_names_and_separators(tmp_path: Path, text: str) -> None:
    files(tmp_path, "sub/a.mp4", "b.avi")
    (tmp_path / "list.csv").write_text(text, encoding="utf-8")
    manifest = written(bring_in(tmp_path / "list.csv"), tmp_path)
    assert sorted((v.path.stem, v.label_names[0], v.split) for v in manifest.videos) == [
        ("a", "x", "train"),
        ("b", "y", "test"),
    ]


def test_a_header_of_unknown_columns_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text("foo,bar,baz\n1,2,3\n")
    with pytest.raises(UserError, match=r"must name its columns, got foo, bar, baz; known are path: path, video_path"):
        bring_in(tmp_path / "list.csv")


def test_lines_of_id_and_label_without_header(tmp_path: Path) -> None:
    files(tmp_path / "videos", "11.mp4", "12.mp4")
    (tmp_path / "jester-v1-train.csv").write_text("11;Swiping Left\n12;No gesture\n")
    (tmp_path / "jester-v1-test.csv").write_text("13\n14\n")
    (tmp_path / "labels.csv").write_text("Swiping Left\nNo gesture\n")
    imported = bring_in(
        tmp_path / "jester-v1-train.csv",
        tmp_path / "jester-v1-test.csv",
        root=tmp_path / "videos",
        classes=read_classes(tmp_path / "labels.csv"),
    )
    assert [(v.label, v.split) for v in imported.videos] == [(0, "train"), (1, "train")]
    assert imported.left_out == {"unlabelled": 2}


def test_something_v2_takes_the_template_without_brackets(tmp_path: Path) -> None:
    files(tmp_path, "78687.webm", "42.webm")
    rows = [
        {"id": "78687", "label": "holding potato", "template": "Holding [something]", "placeholders": ["potato"]},
        {"id": "42", "label": "closing a box", "template": "Closing [something]", "placeholders": ["a box"]},
    ]
    (tmp_path / "sth-v2-validation.json").write_text(json.dumps(rows))
    (tmp_path / "labels.json").write_text(json.dumps({"Holding something": "0", "Closing something": "1"}))
    imported = bring_in(tmp_path / "sth-v2-validation.json", classes=read_classes(tmp_path / "labels.json"))
    assert imported.format == "jsonl"
    assert [(v.id, v.label, v.split) for v in imported.videos] == [("78687", 0, "val"), ("42", 1, "val")]


def test_other_classes_are_left_out_and_counted_and_missing_ones_refused(tmp_path: Path) -> None:
    files(tmp_path, "a.mp4", "b.mp4", "c.mp4")
    (tmp_path / "k.csv").write_text("id,label\na,Playing_Organ\nb,archery\nc,archery\n")
    imported = bring_in(tmp_path / "k.csv", classes=("playing organ",))
    assert [(v.id, v.label_names) for v in imported.videos] == [("a", ("playing organ",))]
    assert imported.left_out == {"other_class": 2}
    assert imported.other_classes == {"archery": 2}
    with pytest.raises(InvalidInput, match="class 'tickling' must have a video"):
        bring_in(tmp_path / "k.csv", classes=("playing organ", "tickling"))


ADAMML = {
    "spaces": "videos/a b 1 300 1\nvideos/c 1 250 0 1\n",
    "semicolons": "videos/a b;1;300;1\nvideos/c;1;250;0;1;\n",
}


@pytest.mark.parametrize("text", ADAMML.values(), ids=ADAMML)
def test_adamml_lists(tmp_path: Path, text: str) -> None:
    files(tmp_path / "root", "a b.mp4", "deep/c.avi")
    lists = tmp_path / "lists"
    lists.mkdir()
    (lists / "train.txt").write_text(text)
    (lists / "categories.txt").write_text("first\nsecond\n")
    (lists / "test.txt").write_text("videos/d 1 10\n")
    imported = bring_in(lists / "train.txt", lists / "test.txt", root=tmp_path / "root")
    manifest = written(imported, tmp_path)
    assert imported.format == "adamml"
    assert imported.left_out == {"unlabelled": 1}
    assert manifest.multi_label
    assert [(v.id, v.labels, v.label_names, v.start_s, v.split) for v in manifest.videos] == [
        ("a b", (1,), ("second",), None, "train"),
        ("c", (0, 1), ("first", "second"), None, "train"),
    ]


def test_adamml_frame_numbers_become_seconds_or_are_asked_about(tmp_path: Path) -> None:
    files(tmp_path, "a.mp4", "b.mp4")
    (tmp_path / "val.txt").write_text("a 1 60 0\nb 31 90 0\n")
    assert troubles(bring_in(tmp_path / "val.txt")) == {"bad_line": 1}
    first, second = bring_in(tmp_path / "val.txt", frame_rate=30.0).videos
    assert (first.start_s, first.end_s, second.start_s, second.end_s) == (0, 2, 1, 3)  # frames 31 to 90, both included


def test_adamml_lists_of_several_modalities_are_compared_by_id_not_by_row(tmp_path: Path) -> None:
    files(tmp_path, "v/a.mp4", "v/b.mp4", "v/c.mp4", "rgb/train.txt", "audio/train.txt")
    (tmp_path / "rgb/train.txt").write_text("x/a 1 9 0\nx/b 1 9 1\nx/c 1 9 1\n")
    (tmp_path / "audio/train.txt").write_text("wav/b.wav 1 9 1\nwav/a.wav 1 9 1\n")
    with pytest.raises(InvalidInput, match="class '0' must have a video"):
        bring_in(tmp_path / "rgb/train.txt", tmp_path / "audio/train.txt", root=tmp_path)
    (tmp_path / "rgb/train.txt").write_text("x/a 1 9 0\nx/b 1 9 1\nx/c 1 9 0\n")
    imported = bring_in(tmp_path / "rgb/train.txt", tmp_path / "audio/train.txt", root=tmp_path)
    assert [video.id for video in imported.videos] == ["b", "c"]  # c has no sound in the list: the file knows
    (clash,) = imported.unresolved
    assert (clash.id, clash.trouble) == ("a", "label_conflict")


def test_class_folders_with_and_without_splits(tmp_path: Path) -> None:
    files(tmp_path / "flat", "x/a.mp4", "x/deep/b.mkv", "y/a.mp4", "y/readme.txt", "list.txt", "empty/none.txt")
    (tmp_path / "flat" / "y" / "again").symlink_to(tmp_path / "flat")  # a loop of links
    imported = bring_in(tmp_path / "flat")
    assert sorted(v.id for v in imported.videos if "again" not in v.id) == ["x/a.mp4", "x/deep/b.mkv", "y/a.mp4"]
    assert troubles(imported)["no_file"] == 1  # the empty class
    assert imported.left_out["no_video_file"] >= 3
    files(tmp_path / "cut", "train/x/a.mp4", "validation/x/b.mp4", "test/x/c.mp4")
    manifest = written(bring_in(tmp_path / "cut"), tmp_path)
    assert [(v.id, v.split) for v in manifest.videos] == [
        ("test/x/c.mp4", "test"),
        ("train/x/a.mp4", "train"),
        ("validation/x/b.mp4", "val"),
    ]


def activitynet(folder: Path) -> Path:
    def video(subset: str, *annotations: tuple[str, float, float]) -> dict[str, object]:
        return {"subset": subset, "annotations": [{"label": n, "segment": [a, b]} for n, a, b in annotations]}

    database = {
        "aa": video("training", ("Archery", 1.5, 4), ("Archery", 6, 9), ("Bowling", 2, 3)),
        "bb": video("validation", ("Bowling", 0, 5), ("Bowling", 7, 7)),
        "cc": video("testing"),
    }
    (folder / "anet.json").write_text(json.dumps({"version": "1.3", "taxonomy": [], "database": database}))
    return folder / "anet.json"


def test_activitynet_whole_videos_have_all_their_classes(tmp_path: Path) -> None:
    files(tmp_path / "v", "v_aa.mp4", "bb.mkv")
    imported = bring_in(activitynet(tmp_path), root=tmp_path / "v", split_as={"val": "test"})
    assert imported.format == "activitynet"
    manifest = written(imported, tmp_path)
    assert manifest.multi_label
    assert [(v.id, v.label_names, v.split) for v in manifest.videos] == [
        ("aa", ("Archery", "Bowling"), "train"),
        ("bb", ("Bowling",), "test"),
    ]
    assert imported.left_out == {"unlabelled": 1}


def test_activitynet_parts_are_lines_of_their_own_and_a_group(tmp_path: Path) -> None:
    files(tmp_path / "v", "v_aa.mp4", "bb.mkv")
    imported = bring_in(activitynet(tmp_path), root=tmp_path / "v", parts=True)
    manifest = written(imported, tmp_path)
    assert not manifest.multi_label
    assert [(v.id, v.start_s, v.end_s, v.group) for v in manifest.videos] == [
        ("aa_000001.500_000004", 1.5, 4, "aa"),
        ("aa_000002_000003", 2, 3, "aa"),
        ("aa_000006_000009", 6, 9, "aa"),
        ("bb_000000_000005", 0, 5, None),
    ]
    assert troubles(imported) == {"bad_line": 1}  # a segment of no length


def test_a_manifest_of_one_s_own_keeps_its_numbers(tmp_path: Path) -> None:
    files(tmp_path / "moved", "a.mp4", "b.mp4")
    rows = [
        {"id": n, "path": f"old/place/{n}.mp4", "label": k, "label_name": name}
        for n, k, name in (("a", 0, "z"), ("b", 1, "y"))
    ]
    (tmp_path / "old.jsonl").write_text("\n".join(map(json.dumps, rows)))
    manifest = written(bring_in(tmp_path / "old.jsonl", root=tmp_path / "moved"), tmp_path)
    assert manifest.classes == ("z", "y")
    assert [v.path.parent.name for v in manifest.videos] == ["moved", "moved"]


def test_what_cannot_be_resolved_is_told_and_nothing_is_guessed(tmp_path: Path) -> None:
    files(tmp_path / "v", "p/a.mp4", "q/a.mp4", "q/b.mp4", "x/c.mp4", "y/c.mp4", "d.mp4")
    (tmp_path / "l.csv").write_text(
        "id,label,split,start\na,x,train,\nb,x,odd,\nc,x,train,\nc,x,train,\nd,x,train,soon\n,x,train,\ne,x,train,\n"
    )
    imported = bring_in(tmp_path / "l.csv", root=tmp_path / "v")
    assert [(v.id, v.path.parent.name) for v in imported.videos] == [("c", "x")]  # its folder is named like its class
    assert troubles(imported) == {"several_files": 1, "bad_split": 1, "duplicate": 1, "bad_line": 2, "no_file": 1}


def test_splits_are_completed_by_class_with_groups_whole(tmp_path: Path) -> None:
    names = [f"{label}/{n}.mp4" for label in "xy" for n in range(100)]
    imported, splits = make_splits(bring_in(files(tmp_path / "f", *names)), seed=3)
    assert splits.rule == "three_way_80_10_10"
    counts = Counter((v.split, v.label) for v in written(imported, tmp_path).videos)
    assert counts == {(s, k): n for s, n in (("train", 80), ("val", 10), ("test", 10)) for k in (0, 1)}


def test_splits_on_some_lines_only_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    files(tmp_path, "a.mp4", "b.mp4")
    (tmp_path / "l.csv").write_text("id,label,split\na,x,train\nb,x,\n")
    with pytest.raises(InvalidInput, match="for every video or for none"):
        written(bring_in(tmp_path / "l.csv"), tmp_path)
    assert not (tmp_path / "m.jsonl").exists()
    assert not list(tmp_path.glob(".*trial"))


def test_the_command_writes_tells_and_ends_with_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files(tmp_path / "v", "a.mp4")
    (tmp_path / "l.csv").write_text("id,label\na,x\nb,x\n")
    arguments = [
        "data",
        "import",
        str(tmp_path / "l.csv"),
        "--root",
        str(tmp_path / "v"),
        "--out",
        str(tmp_path / "m.jsonl"),
    ]
    assert command_line(arguments) == 1
    told = capsys.readouterr().out
    assert "1 video of 1 class (csv)" in told
    assert "1 no_file" in told
    assert json.loads((tmp_path / "m.unresolved.jsonl").read_text())["id"] == "b"
    assert command_line([*arguments, "--max-unresolved", "1", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["unresolved"][0]["trouble"] == "no_file"
    assert command_line([*arguments, "--split", "dev", "--split-as", "x", "--format", "y"]) == 2
    assert "arguments: 4 problems" in capsys.readouterr().err
    assert command_line(["data", "import", str(tmp_path / "none.csv"), "--out", str(tmp_path / "n.jsonl")]) == 2


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("train.csv", "train"),
        ("kinetics400_val.csv", "val"),
        ("sth-v2-validation.json", "val"),
        ("test.txt", "test"),
        ("all.csv", None),
        ("train_val.csv", None),
    ],
)
def test_splits_by_file_name(name: str, split: str | None) -> None:
    assert split_of_name(Path(name)) == split


def test_numbered_class_lists_lose_their_numbers(tmp_path: Path) -> None:
    (tmp_path / "c.txt").write_text("0 abseiling\n1 air drumming\n")
    assert read_classes(tmp_path / "c.txt") == ("abseiling", "air drumming")
    (tmp_path / "c.txt").write_text("x\nx\n")
    with pytest.raises(InvalidInput, match="'x' must be there once"):
        read_classes(tmp_path / "c.txt")


@pytest.mark.parametrize("name", CARDS)
def test_cards_are_whole_and_their_command_is_one(name: str) -> None:
    card = read_card(name)
    assert card.class_list is None or CLASS_COUNTS[card.class_list] == card.classes
    for line in card.import_commands:
        assert line.startswith("explorer data import ") and " --out " in line and "--make-splits" in line
    assert name in (Path(__file__).parents[2] / "docs" / "datasets.md").read_text()


def test_every_format_says_what_it_is() -> None:
    assert all(importer.about for importer in IMPORTERS.values())


@pytest.mark.parametrize(
    "out", ["k.csv", "link.jsonl", "classes.txt", "v", "k.csv/m.jsonl", "v/a.mp4", "x" * 300, "/dev/null"]
)
def test_a_manifest_never_replaces_what_is_read_and_nothing_is_written_elsewhere(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], out: str
) -> None:
    files(tmp_path, "v/a.mp4")
    (tmp_path / "k.csv").write_text("id,label\na,x\n")
    (tmp_path / "classes.txt").write_text("x\n")
    (tmp_path / "link.jsonl").symlink_to("k.csv")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    arguments = ["data", "import", str(tmp_path / "k.csv"), "--classes", str(tmp_path / "classes.txt")]
    assert command_line([*arguments, "--out", str(tmp_path / out)]) == 2
    assert capsys.readouterr().err.startswith("error: --out: 1 problem\n  - must ")
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_a_list_called_like_that_of_what_is_not_resolved_is_not_replaced(tmp_path: Path) -> None:
    files(tmp_path, "a.mp4")
    source = tmp_path / "k.unresolved.jsonl"
    source.write_text('{"id": "a", "label": "x"}')
    assert command_line(["data", "import", str(source), "--out", str(tmp_path / "k.jsonl")]) == 2
    assert command_line(["data", "import", str(source), "--out", str(tmp_path / "new/deep/m.jsonl")]) == 0


@pytest.mark.skipif(os.geteuid() == 0, reason="permissions do not bind this user")
def test_a_folder_without_permission_is_told_before_anything_is_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files(tmp_path, "v/x/a.mp4", "locked/none")
    (tmp_path / "locked").chmod(0o500)
    assert command_line(["data", "import", str(tmp_path / "v"), "--out", str(tmp_path / "locked/m.jsonl")]) == 2
    assert "got no permission for" in capsys.readouterr().err


def test_rows_that_break_a_rule_of_manifests_are_unresolved_with_the_line_of_their_source(tmp_path: Path) -> None:
    files(tmp_path, "a.mp4", "b.mp4")
    rows = ["a,cat,0,5", "b,dog,9,3", "b,dog,-1,3", "b,dog,a,3", "a.mp4,dog,0,5", "a,dog,0,5", "b,dog,0,inf"]
    (tmp_path / "k.csv").write_text("\n".join(["id,label,start,end", *rows, "b,dog,1,2"]))
    imported = bring_in(tmp_path / "k.csv")
    assert len(written(imported, tmp_path).videos) == 2
    assert sorted((line.where, line.trouble, line.detail) for line in imported.unresolved) == [
        ("k.csv line 3", "bad_line", "a part must end after it begins, got 9 s to 3 s"),
        ("k.csv line 4", "bad_line", "times must be seconds, 0 or more, got -1"),
        ("k.csv line 5", "bad_line", "times must be seconds, 0 or more, got 'a'"),
        (
            "k.csv line 6",
            "label_conflict",
            "names the file a.mp4 again, as k.csv line 2 does, labelled cat there and dog here",
        ),
        ("k.csv line 7", "label_conflict", "is on k.csv line 2 already, labelled cat there and dog here"),
        ("k.csv line 8", "bad_line", "times must be seconds, 0 or more, got inf"),
    ]


def test_parts_without_a_length_are_unresolved_in_other_formats_too(tmp_path: Path) -> None:
    files(tmp_path, "a.mp4", "b.mp4")
    (tmp_path / "l.txt").write_text("a 1 60 0\nb 0 60 0\nb 60 1 0\n")
    imported = bring_in(tmp_path / "l.txt", frame_rate=30.0)
    assert troubles(imported) == {"bad_line": 2}
    assert imported.unresolved[0].where == f"{tmp_path / 'l.txt'} line 2"
    part = {"label": "x", "segment": [float("nan"), 2]}
    good = {"label": "x", "segment": [0, 2]}
    (tmp_path / "anet.json").write_text(json.dumps({"database": {"a": {"annotations": [part, good]}}}))
    assert troubles(bring_in(tmp_path / "anet.json", parts=True)) == {"bad_line": 1}


def test_hidden_files_are_counted_and_videos_beside_class_folders_told(tmp_path: Path) -> None:
    files(tmp_path / "v", "x/a.mp4", "x/.b.mp4", "x/._a.mp4", "x/.trash/c.mp4", ".y/d.mp4", ".DS_Store", "stray.mp4")
    imported = bring_in(tmp_path / "v")
    assert [video.id for video in imported.videos] == ["x/a.mp4"]
    assert imported.left_out == {"hidden_file": 5}
    assert troubles(imported) == {"no_label": 1}


@pytest.mark.parametrize("inside", ["", "train/"])
def test_a_folder_of_videos_without_class_folders_is_told(tmp_path: Path, inside: str) -> None:
    with pytest.raises(UserError, match=r"no class folders in .*: put each class in a folder of its own"):
        bring_in(files(tmp_path / "v", f"{inside}a.mp4", f"{inside}b.mp4"))


def test_options_without_effect_are_refused(tmp_path: Path) -> None:
    files(tmp_path, "a.mp4")
    (tmp_path / "k.csv").write_text("id,label,split\na,x,validation\n")
    with pytest.raises(InvalidInput) as caught:
        bring_in(tmp_path / "k.csv", parts=True, frame_rate=25.0)
    assert [problem.split(",")[0] for problem in caught.value.problems] == [
        "--parts is for --format activitynet alone",
        "--fps is for --format adamml and for folders of pictures",
    ]
    with pytest.raises(InvalidInput, match="--split-as foo=train must name a split of the sources, got validation in"):
        bring_in(tmp_path / "k.csv", split_as={"foo": "train", "val": "test"})
    for name in ("val", "validation"):
        assert bring_in(tmp_path / "k.csv", split_as={name: "test"}).videos[0].split == "test"


def test_a_misspelt_list_of_classes_is_answered_with_the_shipped_ones() -> None:
    with pytest.raises(
        UserError, match=r"\(activitynet, fcvid, .*got 'kinetic_sounds'.*did you mean 'kinetics_sounds'\?"
    ):
        named_classes("kinetic_sounds")


def test_how_splits_came_about_is_told_in_words(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files(tmp_path / "v", "train/x/a.mp4", "val/x/b.mp4", "test/x/c.mp4")
    assert (
        command_line(["data", "import", str(tmp_path / "v"), "--make-splits", "--out", str(tmp_path / "m.jsonl")]) == 0
    )
    assert "splits: test 1, train 1, val 1 (as the source says)\n" in capsys.readouterr().out


def test_folders_of_pictures_are_found_as_videos_of_the_rate_that_is_given(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Lists of Something-Something V1 and Jester; the same as a folder of class folders."""
    for name in ("frames/12", "frames/7", "classes/wave/12", "classes/push/7"):
        damage.frame_folder(tmp_path / name, frames=8)
    (tmp_path / "jester-v1-train.csv").write_text("12;wave\n7;push\n")
    words = ["data", "import", str(tmp_path / "jester-v1-train.csv"), "--root", str(tmp_path / "frames")]
    out = tmp_path / "j.jsonl"
    assert command_line([*words, "--out", str(out)]) == 2
    assert "is a folder of pictures: say with --fps how many make a second" in capsys.readouterr().err
    assert command_line([*words, "--out", str(out), "--fps", "12", "--hash"]) == 0
    manifest = read_manifest(out)
    assert [(v.id, v.path.name, v.fps, v.label_names, v.split) for v in manifest.videos] == [
        ("12", "12", 12, ("wave",), "train"),
        ("7", "7", 12, ("push",), "train"),
    ]
    assert {video.sha256 for video in manifest.videos} == {hash_path(tmp_path / "frames" / "7")}
    assert command_line(["data", "check", str(out)]) == 0
    assert command_line(["data", "import", str(tmp_path / "classes"), "--out", str(out), "--fps", "12"]) == 0
    assert [(v.path.parent.name, v.fps) for v in read_manifest(out).videos] == [("push", 12), ("wave", 12)]


def test_links_that_lead_back_end(tmp_path: Path) -> None:
    files(tmp_path / "v", "wave/a.mp4", "push/b.mp4")
    (tmp_path / "v" / "wave" / "back").symlink_to(tmp_path / "v", target_is_directory=True)
    (tmp_path / "v" / "push" / "self.mp4").symlink_to("self.mp4")
    (tmp_path / "v" / "push" / "gone.mp4").symlink_to("nowhere")
    imported = bring_in(tmp_path / "v")
    assert [video.id for video in imported.videos] == ["push/b.mp4", "wave/a.mp4"]
    assert [(line.id, line.trouble) for line in imported.unresolved] == [
        ("push/gone.mp4", "no_file"),
        ("push/self.mp4", "no_file"),
    ]
