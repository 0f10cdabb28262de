"""``explorer data check``: decode every file of a manifest once and put what is bad into quarantine."""

from __future__ import annotations

import dataclasses
import json
import os
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from explorer.cli.data_progress import counted, progress_of
from explorer.errors import UserError

if TYPE_CHECKING:
    from trainables.kit.data.check.run import Report

SHOWN = 5  # lines of each reason; the quarantine list has all


def command(
    manifest: Annotated[Path, typer.Argument(help="The manifest, JSON lines.")],
    max_bad: Annotated[int, typer.Option(help="So many bad videos are no failure (exit 0).", min=0)] = 0,
    write_clean: Annotated[
        Path | None, typer.Option(metavar="OUT", help="Also write the manifest without the bad videos.")
    ] = None,
    classes: Annotated[
        str | None,
        typer.Option(
            metavar="FILE", help="The right class names by label: a file, or a shipped list (kinetics_sounds)."
        ),
    ] = None,
    min_seconds: Annotated[float, typer.Option(help="Shorter videos and parts are too short.", min=0)] = 0.5,
    workers: Annotated[
        int | None,
        typer.Option(help="Files decoded side by side, each in a process of its own; all cores by default.", min=1),
    ] = None,
    timeout: Annotated[
        int, typer.Option(help="Seconds without any progress after which a file is given up.", min=1)
    ] = 60,
    again: Annotated[bool, typer.Option("--again", help="Measure also the files that have not changed since.")] = False,
    hash: Annotated[
        bool,
        typer.Option("--hash", help="Write each file's SHA-256 into the clean manifest: later changes are noticed."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Decode every file to its end and list what cannot be trained on, with a reason.

    Writes NAME.check.jsonl (what was measured, a line a file) and NAME.quarantine.jsonl beside the manifest, which itself is
    left as it is. A second check reads only files that have changed. Exit 1 with more than --max-bad bad videos.
    """
    from trainables.kit.data.check.run import Settings, check_manifest, refuse_as_clean
    from trainables.kit.data.check.run import write_clean as write_clean_manifest
    from trainables.kit.data.importers.text import named_classes

    settings = Settings(
        workers=workers or os.cpu_count() or 1,
        min_s=min_seconds,
        limit_s=timeout,
        classes=None if classes is None else named_classes(classes),
        again=again,
        hash=hash,
    )
    if hash and write_clean is None:
        raise UserError("--hash writes into the clean manifest, got none; name it with --write-clean OUT")
    if write_clean is not None:
        refuse_as_clean(manifest, write_clean)
    with progress_of("files", shown=not as_json) as on_progress:
        report = check_manifest(manifest, settings, on_progress)
    ok = len(report.quarantined) <= max_bad
    if as_json:
        typer.echo(json.dumps(_document(report, ok)))
    else:
        _print(report)
    if write_clean is not None:
        write_clean_manifest(report, write_clean)
        if not as_json:
            typer.echo(f"clean manifest: {write_clean} ({counted(len(report.good), 'video')})")
    elif report.quarantined and not as_json:
        typer.echo(f"to go on without them: explorer data check {manifest} --write-clean CLEAN.jsonl")
    if not ok:
        raise typer.Exit(1)


def _document(report: Report, ok: bool) -> dict[str, object]:
    return {
        "ok": ok,
        "videos": report.lines,
        "good": len(report.good),
        "files": report.files,
        "decoded": report.probed,
        "quarantined": [dataclasses.asdict(bad) for bad in report.quarantined],
        "notes": dict(report.notes),
        "seconds": report.good_s,
        "records": str(report.records),
        "quarantine": str(report.quarantine),
    }


def _print(report: Report) -> None:
    from trainables.kit.data.check.reasons import MEANINGS

    typer.echo(
        f"{counted(report.lines, 'video')} in {counted(report.files, 'file')}, {report.probed} decoded now, "
        f"{report.files - report.probed} unchanged since the last check"
    )
    hours, rest = divmod(round(report.good_s), 3600)
    typer.echo(f"good: {len(report.good)} ({hours} h {rest // 60:02d} min {rest % 60:02d} s)")
    for note, count in report.notes.items():
        typer.echo(f"  of them {count} {note}: {MEANINGS[note]}")
    typer.echo(f"quarantined: {len(report.quarantined)}")
    for reason, count in Counter(bad.reason for bad in report.quarantined).most_common():
        typer.echo(f"  {count} {reason}: {MEANINGS[reason]}")
        shown = [bad for bad in report.quarantined if bad.reason == reason][:SHOWN]
        for bad in shown:
            typer.echo(f"    line {bad.line}, {bad.path}: {bad.detail}")
        if count > len(shown):
            typer.echo(f"    and {count - len(shown)} more")
    typer.echo(f"measured: {report.records}")
    typer.echo(f"all of the quarantine: {report.quarantine}")
