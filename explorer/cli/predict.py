"""``explorer predict``: label videos with a pick."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from explorer.predict import VideoPrediction


def command(
    point: Annotated[str, typer.Argument(help="The folder that `explorer pick` printed.")],
    videos: Annotated[list[str], typer.Argument(help="Video files, or folders of them.")],
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
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """Label videos and show which modality each segment used; what is skipped is not computed."""
    from explorer.api import load_model
    from explorer.errors import UserError
    from explorer.predict import Stream, video_files

    if budget_gflops is not None and mean_gflops is not None:
        raise UserError("--budget-gflops limits every setting and --mean-gflops the mean over the videos; give either")
    model = load_model(point)
    if budget_gflops is not None:
        model = model.within(budget_gflops)
    stream = Stream(model, mean_gflops) if mean_gflops is not None else None
    all_on = model.info["all_on_gflops"]["full"]
    results, problems = [], []
    for path in video_files(videos):
        try:
            results.append(model.label(path) if stream is None else stream.label(path))
        except UserError as error:  # the others are labelled all the same
            problems.append(str(error))
            continue
        if not as_json:
            print("\n".join(timeline(results[-1], all_on)), flush=True)
    if as_json:
        print(json.dumps([result.to_json() for result in results]))
    elif stream is not None:
        print(
            f"{stream.controller.videos} videos: {stream.controller.mean:.5g} GFLOPs a video in the mean, {mean_gflops:g} asked for"
        )
    for problem in problems:
        print(f"error: {problem}", file=sys.stderr)
    if problems:
        raise typer.Exit(1 if results else 2)


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
        marks = " ".join("■" if decision.choice == "use" else "·" for decision in row)
        used = sum(decision.choice == "use" for decision in row)
        lines.append(f"  {site:<{width}}  {marks}  used in {used} of {len(row)} segments")
    if decisions:
        lines.append(
            f"  {'':<{width}}  from {decisions[0].start_s:.2f} s to {decisions[-1].end_s:.2f} s; ■ used, · skipped"
        )
    if decisions and all(decision.choice == "skip" for decision in decisions):
        lines.append("  nothing was used: every such video gets this same label; pick a point with a larger budget")
    return lines
