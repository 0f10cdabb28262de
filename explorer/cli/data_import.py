"""``explorer data import``: other people's lists and folders to a manifest."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from explorer.cli.data_progress import counted, progress_of
from explorer.errors import InvalidInput

if TYPE_CHECKING:
    from trainables.kit.data.importers.run import Imported
    from trainables.kit.data.splits import Splits

SHOWN = 5  # lines of each trouble; the list beside the manifest has all
FORMATS = ("auto", "csv", "adamml", "folders", "activitynet", "jsonl")


def command(
    sources: Annotated[list[Path], typer.Argument(help="Lists of one format, or a folder of class folders.")],
    out: Annotated[Path, typer.Option(help="The manifest to write.")],
    format: Annotated[str, typer.Option(help=f"One of {', '.join(FORMATS)}.")] = "auto",
    root: Annotated[
        Path | None, typer.Option(help="The folder below which the video files are; that of the source by default.")
    ] = None,
    classes: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Class names by label: a file with one a line, or a shipped list (kinetics_sounds). Other classes are left out.",
        ),
    ] = None,
    split: Annotated[str | None, typer.Option(help="The split of all lines: train, val or test.")] = None,
    split_as: Annotated[
        list[str] | None, typer.Option(metavar="NAME=SPLIT", help="Another meaning of a split's name: validation=test.")
    ] = None,
    make_splits: Annotated[
        bool,
        typer.Option(
            "--make-splits", help="Complete the splits to train, val and test: seeded, by class, groups whole."
        ),
    ] = False,
    seed: Annotated[int, typer.Option(help="Of --make-splits.", min=0)] = 0,
    parts: Annotated[bool, typer.Option("--parts", help="ActivityNet: a line for each annotated part.")] = False,
    fps: Annotated[
        float | None,
        typer.Option(help="Of folders of pictures, and of AdaMML's frame numbers: how many make a second.", min=1),
    ] = None,
    hash: Annotated[
        bool, typer.Option("--hash", help="Write each file's SHA-256 into the manifest: later changes are noticed.")
    ] = False,
    max_unresolved: Annotated[int, typer.Option(help="So many unresolved lines are no failure (exit 0).", min=0)] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Make a manifest of lists in other formats, finding the files by id below --root.

    What cannot be resolved is printed, and all of it goes to NAME.unresolved.jsonl beside the manifest. Exit 1 with more than
    --max-unresolved such lines, 2 if no manifest can be written.
    """
    from trainables.kit.data.importers.entry import Options
    from trainables.kit.data.importers.run import import_videos, refuse_output, with_hashes, write_imported
    from trainables.kit.data.importers.run import make_splits as complete
    from trainables.kit.data.importers.text import named_classes

    _check_arguments(format, split, split_as or [])
    refuse_output(out, [*sources, *([] if classes is None else [Path(classes)])])
    options = Options(
        root=root,
        classes=None if classes is None else named_classes(classes),
        split=split,
        split_as=dict(text.split("=", 1) for text in split_as or []),
        parts=parts,
        frame_rate=fps,
    )
    imported, splits = import_videos(sources, format, options), None
    if make_splits:
        imported, splits = complete(imported, seed)
    if hash:
        with progress_of("files read", shown=not as_json) as on_progress:
            imported = with_hashes(imported, on_progress)
    beside = write_imported(imported, out)
    if as_json:
        typer.echo(json.dumps(_document(imported, splits, out, beside)))
    else:
        _print(imported, splits, out, beside)
    if len(imported.unresolved) > max_unresolved:
        raise typer.Exit(1)


def _check_arguments(format: str, split: str | None, split_as: list[str]) -> None:
    from trainables.kit.data.manifest import SPLITS

    problems = []
    if format not in FORMATS:
        problems.append(f"--format must be one of {', '.join(FORMATS)}, got {format!r}")
    if split is not None and split not in SPLITS:
        problems.append(f"--split must be one of {', '.join(SPLITS)}, got {split!r}")
    for text in split_as:
        if text.partition("=")[2] not in SPLITS:
            problems.append(f"--split-as must be NAME=SPLIT with a split of {', '.join(SPLITS)}, got {text!r}")
    if split is not None and split_as:
        problems.append("--split is the split of all lines, so that --split-as has no effect; leave one of them out")
    if problems:
        raise InvalidInput("arguments", problems)


def _document(imported: Imported, splits: Splits | None, out: Path, beside: Path) -> dict[str, object]:
    return {
        "manifest": str(out),
        "format": imported.format,
        "videos": len(imported.videos),
        "classes": list(imported.classes),
        "multi_label": imported.multi_label,
        "splits": Counter(video.split for video in imported.videos if video.split),
        "split_rule": None if splits is None else splits.rule,
        "unresolved": [dataclasses.asdict(line) for line in imported.unresolved],
        "left_out": dict(imported.left_out),
        "other_classes": dict(imported.other_classes),
        "unresolved_list": str(beside),
    }


def _print(imported: Imported, splits: Splits | None, out: Path, beside: Path) -> None:
    from trainables.kit.data.splits import MEANINGS

    videos = f"{counted(len(imported.videos), 'video')} of {counted(len(imported.classes), 'class', 'classes')}"
    several = ", several a video" if imported.multi_label else ""
    typer.echo(f"{videos}{several} ({imported.format}): {out}")
    counts = Counter(video.split for video in imported.videos if video.split)
    if counts:
        seed = "" if splits is None or splits.seed is None else f", seed {splits.seed}"
        told = "" if splits is None else f" ({MEANINGS[splits.rule]}{seed})"
        typer.echo("splits: " + ", ".join(f"{name} {count}" for name, count in sorted(counts.items())) + told)
    for rule, count in imported.left_out.items():
        typer.echo(f"left out: {count} {rule}{_others(imported) if rule == 'other_class' else ''}")
    typer.echo(f"unresolved: {len(imported.unresolved)}")
    for trouble, count in Counter(line.trouble for line in imported.unresolved).most_common():
        typer.echo(f"  {count} {trouble}")
        shown = [line for line in imported.unresolved if line.trouble == trouble][:SHOWN]
        for line in shown:
            typer.echo(f"    {line.where}, {line.id}: {line.detail}")
        if count > len(shown):
            typer.echo(f"    and {count - len(shown)} more")
    if imported.unresolved:
        typer.echo(f"all of them: {beside}")
    typer.echo(f"next: explorer data check {out}")


def _others(imported: Imported) -> str:
    names = list(imported.other_classes)
    more = "" if len(names) <= SHOWN else f" and {len(names) - SHOWN} more classes"
    return f" ({', '.join(names[:SHOWN])}{more})"
