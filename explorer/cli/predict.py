"""``explorer predict``: label videos with a pick."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from explorer.predict import PickedModel, Stream, VideoPrediction

_PARTS = "▁▂▃▄▅▆▇"  # signs for a share of a segment


def command(
    point: Annotated[str, typer.Argument(help="The folder that `explorer pick` printed, or models:/NAME@ALIAS.")],
    videos: Annotated[list[str], typer.Argument(help="Video files, or folders, searched to the bottom.")],
    budget_gflops: Annotated[
        float | None,
        typer.Option(
            help="Set the knobs anew: the most accurate setting within this many GFLOPs a video, on validation."
        ),
    ] = None,
    mean_gflops: Annotated[
        float | None,
        typer.Option(
            help="Set the knobs anew before each video, so that the mean over the videos keeps to this budget."
        ),
    ] = None,
    render: Annotated[
        Path | None,
        typer.Option(help="Write the video again with what was used under it; for several videos a folder."),
    ] = None,
    html: Annotated[Path | None, typer.Option(help="Write a page: each segment's frame, and what it used.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """Label videos and show which modality each segment used; what is skipped is not computed."""
    from explorer.api import load_model
    from explorer.errors import UserError
    from explorer.predict import Stream, video_files

    if budget_gflops is not None and mean_gflops is not None:
        raise UserError("--budget-gflops limits every setting and --mean-gflops the mean over the videos; give either")
    files = video_files(videos)
    targets = _targets(render, files, html)
    model = load_model(point)
    if budget_gflops is not None:
        model = model.within(budget_gflops)
    stream = Stream(model, mean_gflops) if mean_gflops is not None else None
    all_on = model.info["all_on_gflops"]
    problems: list[str] = []

    def show(found: VideoPrediction) -> None:
        if not as_json:
            print("\n".join(timeline(found, all_on[found.convention])), flush=True)

    results = _label(stream or model, files, problems, show)
    written = _write(results, targets, html, all_on, problems)
    if as_json:
        print(json.dumps([result.to_json() for result in results]))
    else:
        if stream is not None:
            mean = f"{stream.controller.mean:.5g} GFLOPs a video in the mean, {mean_gflops:g} asked for"
            print(f"{stream.controller.videos} videos: {mean}")
        for path in written:
            print(f"Written: {path}")
    for problem in problems:
        print(f"error: {problem}", file=sys.stderr)
    if problems:
        raise typer.Exit(1 if results else 2)


def _label(
    model: PickedModel | Stream, files: Sequence[Path], problems: list[str], show: Callable[[VideoPrediction], None]
) -> list[VideoPrediction]:
    """What could be labelled; a file that does not decode is a problem, and the others are labelled all the same."""
    from explorer.errors import UserError

    results = []
    for answer in model.label_all(files):
        if isinstance(answer, UserError):
            problems.append(str(answer))
            continue
        results.append(answer)
        show(answer)
    return results


def _targets(render: Path | None, files: Sequence[Path], html: Path | None) -> dict[Path, Path]:
    """Where each video is rendered to. Raises ``UserError`` before anything is computed."""
    from explorer.errors import InvalidInput

    problems = []
    targets: dict[Path, Path] = {}
    if render is not None and render.suffix == ".mp4":
        targets = {files[0]: render}
        if len(files) > 1:
            problems.append(f"--render must be a folder for {len(files)} videos, got {render}")
    elif render is not None:
        targets = {path: render / f"{path.stem}.mp4" for path in files}
        if len(set(targets.values())) < len(files):
            problems.append(f"--render would write two videos of one name into {render}; render them one by one")
    inputs = {path.resolve() for path in files}
    problems += [f"--render must not replace what is read, got {t}" for t in targets.values() if t.resolve() in inputs]
    if html is not None and (html.is_dir() or html.resolve() in inputs):
        problems.append(f"--html must be a file to be written, got {html}")
    if problems:
        raise InvalidInput("where to write", problems)
    return targets


def _write(
    results: Sequence[VideoPrediction],
    targets: dict[Path, Path],
    html: Path | None,
    all_on: dict[str, float],
    problems: list[str],
) -> list[Path]:
    """Pictures of the results, as far as they were asked for."""
    from explorer.errors import UserError
    from explorer.report.filmstrip import filmstrip_html, render_video

    written = []
    try:
        for found in results:
            if found.path in targets:
                render_video(found, targets[found.path], all_on)
                written.append(targets[found.path])
        if html is not None and results:
            text = filmstrip_html(results, all_on)
            html.parent.mkdir(parents=True, exist_ok=True)
            html.write_text(text, encoding="utf-8")
            written.append(html)
    except (UserError, OSError) as error:
        problems.append(str(error))
    return written


def _mark(used: float) -> str:
    """A sign for how much of a segment was used."""
    return "■" if used == 1 else "·" if used == 0 else _PARTS[min(len(_PARTS) - 1, int(used * len(_PARTS)))]


def timeline(result: VideoPrediction, all_on_gflops: float) -> list[str]:
    """Lines for a person: label, cost, and a row for each site with a mark for each segment."""
    share = result.gflops / all_on_gflops
    lines = [
        f"{result.path}: {result.label} ({result.probability:.0%})",
        f"  {result.gflops:.5g} GFLOPs ({result.convention} convention), {share:.0%} of everything on",
    ]
    decisions = result.prediction.decisions
    sites = list(dict.fromkeys(decision.site for decision in decisions))
    width = max(map(len, sites), default=0)
    for site in sites:
        row = [decision for decision in decisions if decision.site == site]
        marks = " ".join(_mark(decision.used) for decision in row)
        used = sum(decision.used for decision in row)
        parts = any(decision.share is not None for decision in row)
        told = f"{used / len(row):.0%} on average" if parts else f"used in {used:.0f} of {len(row)} segments"
        lines.append(f"  {site:<{width}}  {marks}  {told}")
    if decisions:
        lines.append(
            f"  {'':<{width}}  from {decisions[0].start_s:.2f} s to {decisions[-1].end_s:.2f} s; ■ used, · skipped"
            + (", between them a share" if any(decision.share is not None for decision in decisions) else "")
        )
    if decisions and all(decision.choice == "skip" for decision in decisions):
        lines.append("  nothing was used: every such video gets this same label; pick a point with a larger budget")
    return lines
