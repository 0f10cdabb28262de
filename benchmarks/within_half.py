"""What a front offers within half the cost of everything on, against everything on: ``docs/results/systems.md``.

``python -m benchmarks.within_half single.r64 runs/arnet-q0 runs/arnet-q1`` (a baseline's name, then sweeps), a line each.

``within half``: the most accurate point of the front (on validation) that costs at most half of the baseline, with differences
paired video by video. ``within an error``: the cheapest point that is at most one standard error less accurate on validation.
``worst of the cheaper half``: how much the least accurate of the cheaper half of the front's points loses. Full convention.

``--points``: a table of every point of the front that costs at most half, with its differences, in Markdown.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from typing import Any

from explorer.browse import Front, FrontPoint
from explorer.fronts import paired_difference
from explorer.records import find_sweep


def compare(front: Front, baseline: str) -> dict[str, Any]:
    """Raises ``NotFound`` without such a baseline."""
    everything = front.find(baseline)
    all_on, accuracy = everything.val.gflops["full"], everything.val.accuracy
    half = [p for p in front.points if p.val.gflops["full"] <= all_on / 2]
    near = [p for p in front.points if p.val.accuracy >= accuracy - everything.val.standard_error]
    cheaper = front.points[: (len(front.points) + 1) // 2]

    def told(point: FrontPoint) -> dict[str, Any]:
        on_test = {} if point.test is None else {"test": point.test.accuracy}
        return {"share": point.val.gflops["full"] / all_on, "val": point.val.accuracy, **on_test}

    found: dict[str, Any] = {"sweep": front.name, "everything": told(everything), "error": everything.val.standard_error}
    if half:
        found["within half"] = told(half[-1]) | {"difference": paired_difference(half[-1], everything)}
        if half[-1].test is not None and everything.test is not None:
            found["within half"]["test difference"] = paired_difference(half[-1], everything, split="test")
    if near:
        found["within an error"] = told(near[0])
    found["worst of the cheaper half"] = max((accuracy - p.val.accuracy for p in cheaper), default=None)
    return found


def points_table(front: Front, baseline: str) -> str:
    """Every point of the front within half the cost of ``baseline``: share of it, accuracy, paired differences."""
    everything = front.find(baseline)
    all_on = everything.val.gflops["full"]
    rows = ["| share of the cost | val | difference | test | difference |", "|---|---|---|---|---|"]
    for point in front.points:
        share = point.val.gflops["full"] / all_on
        if share > 0.5:
            break
        on_test = ""
        if point.test is not None and everything.test is not None:
            on_test = f"{point.test.accuracy:.3f} | {_signed(paired_difference(point, everything, split='test'))}"
        cells = [f"{share:.1%}", f"{point.val.accuracy:.3f}", _signed(paired_difference(point, everything)), on_test or " | "]
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)


def _signed(difference: tuple[float, float]) -> str:
    return f"{difference[0]:+.3f} ± {difference[1]:.3f}"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.within_half", description="What fronts offer within half the cost of everything on."
    )
    parser.add_argument("baseline", help="everything on: single.r64 of AR-Net, warmup of AdaFuse, weighted_fusion of AdaMML")
    parser.add_argument("sweeps", nargs="+")
    parser.add_argument("--points", action="store_true", help="every point within half the cost, as a table")
    options = parser.parse_args(arguments)
    for sweep in options.sweeps:
        if options.points:
            front = Front.load(find_sweep(sweep))
            print(f"{front.name}\n\n{points_table(front, options.baseline)}\n")
            continue
        print(json.dumps(compare(Front.load(find_sweep(sweep)), options.baseline), default=float))


if __name__ == "__main__":
    main()
