"""The front as a picture for a paper or a README: SVG or PNG. Shapes and dashes tell the parts apart in grey."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from explorer.browse import METRIC, Front, FrontPoint

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDTH_IN, HEIGHT_IN, DOTS_AN_INCH = 7.4, 4.2, 200
DOMINATED_LIMIT = 400
FAINT, MUTED, BASELINE_COLOUR = "#aeb7c2", "#5b6573", "#a85a00"
STYLES = (("#0b6e99", "-", "o"), ("#b04a00", "--", "s"), ("#00795c", ":", "^"), ("#7a4fb5", "-.", "P"))
_VEIL = {"facecolor": "white", "alpha": 0.8, "linewidth": 0, "pad": 1.0}
RC = {
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e8ebf0",
    "svg.fonttype": "none",  # text stays text: it can be searched, and the file is a fifth of the size
    "svg.hashsalt": "front",  # the same front gives the same bytes
}


def front_figure(fronts: Sequence[Front], kind: Literal["svg", "png"]) -> bytes:
    """A picture of the fronts with the first one's baselines, cheapest to the left, in the first one's convention.

    Points that cost nothing are left out, and so are those below every baseline: they would squeeze the rest.
    """
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context(RC):
        figure = Figure(figsize=(WIDTH_IN, HEIGHT_IN), layout="constrained")
        axes = figure.subplots()
        for front, style in zip(fronts, STYLES * len(fronts), strict=False):
            _front(axes, front, style, named=len(fronts) > 1)
        _baselines(axes, fronts[0])
        _frame(axes, fronts)
        content = io.BytesIO()
        metadata = {"Date": None} if kind == "svg" else {"Software": None}
        figure.savefig(content, format=kind, dpi=DOTS_AN_INCH, metadata=metadata)
    return content.getvalue()


def drawn_members(front: Front) -> list[FrontPoint]:
    """The members of the front that a picture shows, cheapest first."""
    floor = min((p.val.accuracy for p in _priced(front, front.baselines)), default=0.0)
    return [p for p in _priced(front, front.points) if p.val.accuracy >= floor]


def _priced(front: Front, points: Sequence[FrontPoint]) -> list[FrontPoint]:
    return [p for p in points if _gflops(front, p) > 0]


def _gflops(front: Front, point: FrontPoint) -> float:
    return point.val.gflops[front.convention]


def _front(axes: Axes, front: Front, style: tuple[str, str, str], *, named: bool) -> None:
    colour, dash, marker = style
    members, behind = drawn_members(front), _priced(front, front.candidates)
    behind = behind[:: max(1, -(-len(behind) // DOMINATED_LIMIT))]
    axes.scatter(
        *_xy(front, behind), s=7, color=colour if named else FAINT, alpha=0.25 if named else 0.7, lw=0, zorder=2
    )
    if not members:
        return
    x, y = _xy(front, members)
    label = f"front of {plain(front.name)}" if named else "front"
    axes.step([*x, max(x) * 1.15], [*y, y[-1]], where="post", color=colour, ls=dash, lw=1.6, zorder=3)
    axes.errorbar(
        x, y, yerr=[p.val.standard_error for p in members], fmt=marker, ms=5, color=colour, elinewidth=0.7, zorder=4, label=label
    )  # fmt: skip


def _xy(front: Front, points: Sequence[FrontPoint]) -> tuple[list[float], list[float]]:
    return [_gflops(front, p) for p in points], [p.val.accuracy for p in points]


def _baselines(axes: Axes, front: Front) -> None:
    """Open diamonds, each name on the side that has room, and how much cheaper the front is than the best of them."""
    named = sorted(_priced(front, front.baselines), key=lambda p: -p.val.accuracy)
    if not named:
        return
    x, y = _xy(front, named)
    axes.scatter(x, y, s=45, marker="D", facecolor="white", edgecolor=BASELINE_COLOUR, lw=1.5, zorder=5)
    costs = [_gflops(front, p) for p in (*drawn_members(front), *named)]
    middle = (min(costs) * max(costs)) ** 0.5
    for point, cost, accuracy in zip(named, x, y, strict=True):
        left, lift = cost > middle, 9 if point is named[0] else -3  # the line of the saving runs to the best one
        axes.annotate(
            plain(point.label), (cost, accuracy), xytext=(-8 if left else 8, lift), textcoords="offset points",
            ha="right" if left else "left", color=BASELINE_COLOUR, zorder=6, bbox=_VEIL,
        )  # fmt: skip
    _saving(axes, front, named[0])


def _saving(axes: Axes, front: Front, best: FrontPoint) -> None:
    equal = [
        p
        for p in drawn_members(front)
        if p.val.accuracy >= best.val.accuracy and _gflops(front, p) < _gflops(front, best)
    ]
    if not equal:
        return
    start, end = _gflops(front, equal[0]), _gflops(front, best)
    axes.plot([start, end], [best.val.accuracy] * 2, color=BASELINE_COLOUR, lw=0.9, ls=(0, (2, 3)), zorder=1)
    text = f"{100 * start / end:.0f} % of its cost"
    axes.annotate(
        text, ((start * end) ** 0.5, best.val.accuracy), xytext=(0, 4), textcoords="offset points", ha="center",
        color=BASELINE_COLOUR, fontsize=8,
    )  # fmt: skip


def _frame(axes: Axes, fronts: Sequence[Front]) -> None:
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator, PercentFormatter

    first = fronts[0]
    shown = [(f, p) for f in fronts for p in (*drawn_members(f), *(_priced(f, f.baselines) if f is first else ()))]
    costs = [_gflops(f, p) for f, p in shown] or [0.1, 1.0]
    accuracies = [p.val.accuracy for _, p in shown] or [0.0, 1.0]
    spread = max(max(accuracies) - min(accuracies), 0.05)
    axes.set_xscale("log")
    axes.set_xlim(min(costs) / 1.25, max(costs) * 1.25)
    axes.set_ylim(max(0.0, min(accuracies) - 0.15 * spread), min(1 + 0.03 * spread, max(accuracies) + 0.15 * spread))
    marks = ticks_of_decades(*axes.get_xlim())
    axes.xaxis.set_major_locator(FixedLocator(marks))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.set_xlabel(f"GFLOPs a video ({first.convention} convention)")
    axes.set_ylabel(METRIC)
    _title(axes, fronts)


def _title(axes: Axes, fronts: Sequence[Front]) -> None:
    first = fronts[0]
    names = ", ".join(plain(front.name) for front in fronts)
    videos = " and ".join(dict.fromkeys(str(front.videos) for front in fronts))
    caption = f"{videos} validation videos, {first.convention} cost convention, {sum(f.trials for f in fronts)} trials"
    axes.set_title(
        f"Front{'s' if len(fronts) > 1 else ''} of {names}", loc="left", fontsize=12, fontweight="bold", pad=20
    )
    axes.text(0, 1.02, caption, transform=axes.transAxes, color=MUTED, fontsize=8.5)
    if len(fronts) > 1:
        axes.legend(loc="lower right", frameon=False)


def ticks_of_decades(low: float, high: float) -> list[float]:
    """1, 2 and 5 of every decade within [low, high], both positive; more of each where those would be fewer than four."""
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    found: list[float] = []
    for steps in ((1, 2, 5), (1, 1.5, 2, 3, 5, 7)):
        found = [v for d in decades for step in steps if low <= (v := float(f"{step}e{d}")) <= high]
        if len(found) >= 4:
            break
    return found


def plain(text: Any) -> str:
    """Text that matplotlib does not read as a formula."""
    return str(text).replace("$", r"\$")
