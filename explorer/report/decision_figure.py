"""What points choose, as a picture for a paper: stacked shares by site, by unit and by class, a column a sweep (SVG or PNG)."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from explorer.report.chosen import SKIP
from explorer.report.front_figure import DOTS_AN_INCH, MUTED, RC, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.gridspec import GridSpec

Named = tuple[str, Mapping[str, Any]]  # a sweep's name, its ``point_shares``
COLUMN_IN, ROW_IN, CLASS_IN = 4.2, 1.9, 0.17
MOST_CLASSES = 30
_LABELLED = 0.08  # of a bar: less has no room for its percentage
_UPRIGHT = 5  # sites; the names of more are turned
_COMPUTES = (
    "#0b5273",
    "#e0a030",
    "#2a8c6f",
    "#b98bb0",
    "#7d8794",
)  # dark to light, so that grey print tells them apart
_SKIPS = ("#e6eaef", "#d3dae2", "#bcc6d1")
_STEADY = "#1c2430"
_HATCHES = ("", "////", "....", "xxxx", "\\\\\\\\")


def decision_figure(named: Sequence[Named], kind: Literal["svg", "png"]) -> bytes:
    """``named``: sweeps (data sets, systems) side by side, at least one; above them the overall shares where there are several."""
    import matplotlib
    from matplotlib.figure import Figure

    several = len(named) > 1
    classes = max(len(_shown_classes(shares)) for _, shares in named)
    overall_in = 0.7 + 0.32 * sum(len(_overall(shares)) for _, shares in named)
    heights = [ROW_IN, ROW_IN, 0.5 + CLASS_IN * classes]
    heights = [overall_in, *heights] if several else heights
    with matplotlib.rc_context(RC):
        figure = Figure(figsize=(max(1.6, len(named)) * COLUMN_IN, sum(heights) + 1.4), layout="constrained")
        grid = figure.add_gridspec(len(heights), len(named), height_ratios=heights)
        if several:
            _all_sweeps(figure.add_subplot(grid[0, :]), named)
        for column, one in enumerate(named):
            _sweep(figure, grid, column, one, first=1 if several else 0)
        figure.suptitle(plain("What the points choose"), x=0.01, ha="left", fontsize=12, fontweight="bold")
        content = io.BytesIO()
        metadata = {"Date": None} if kind == "svg" else {"Software": None}
        figure.savefig(content, format=kind, dpi=DOTS_AN_INCH, metadata=metadata)
    return content.getvalue()


def _sweep(figure: Any, grid: GridSpec, column: int, one: Named, *, first: int) -> None:
    name, shares = one
    chosen = shares["chosen"]
    by_site, by_unit, by_class = (figure.add_subplot(grid[first + row, column]) for row in range(3))
    head = f"{name} ({shares['system']})"
    by_site.set_title(plain(head), loc="left", fontsize=10, fontweight="bold", pad=32)
    caption = f"{shares['point_id']}, {sum(shares['videos'])} validation videos"
    by_site.text(0, 1.17, plain(caption), transform=by_site.transAxes, color=MUTED, fontsize=8)
    names = chosen["columns"]
    if chosen["sites"]:
        _by_site(by_site, chosen)
    else:
        by_site.text(0.5, 0.5, "no choices: a forced mode", transform=by_site.transAxes, ha="center", color=MUTED)
        by_site.set_xticks([])
    _legend(by_site, chosen)
    units = [str(n) for n in range(1, len(chosen["by_unit"]) + 1)]
    _bars(by_unit, units, chosen["by_unit"], names, stacked=chosen["stacked"])
    by_unit.set_xlabel(f"by {chosen['unit']}", fontsize=9)
    shown = _shown_classes(shares)
    lines = [chosen["by_class"][c] for c in shown]
    _bars(by_class, [plain(shares["classes"][c]) for c in shown], lines, names, stacked=chosen["stacked"], across=True)
    by_class.set_xlabel(_class_caption(shares, len(shown)), fontsize=9)


def _by_site(axes: Axes, chosen: Mapping[str, Any]) -> None:
    """A bar a site, of its own choices; where a site only uses or skips, ``use`` has the colour of its column.

    The dark bar in each part: what never changes within a video.
    """
    sites = chosen["sites"]
    for place, (site, shares) in enumerate(sites.items()):
        base = 0.0
        for choice, share in shares.items():
            style = _style(chosen["columns"], site if choice == "use" else choice)
            axes.bar(place, share, bottom=base, width=0.8, **style)
            axes.bar(
                place + 0.31, chosen["steady"].get(site, {}).get(choice, 0.0), bottom=base, width=0.18, color=_STEADY
            )
            _percentage(axes, place, base + share / 2, share, style, narrow=len(sites) > 8)
            base += share
    axes.set_xticks(range(len(sites)), [plain(site) for site in sites], rotation=90 if len(sites) > _UPRIGHT else 0)
    margin = 0.6 if len(sites) > 1 else 1.2
    axes.set_xlim(-margin, len(sites) - 1 + margin)
    _share_axis(axes)
    axes.set_xlabel("by site", fontsize=9)


def _all_sweeps(axes: Axes, named: Sequence[Named]) -> None:
    """One bar a sweep; of systems whose sites only use or skip, one bar a site."""
    bars = [
        (name, label, row, shares["chosen"]["columns"]) for name, shares in named for label, row in _overall(shares)
    ]
    for place, (_, _, row, columns) in enumerate(bars):
        base = 0.0
        for choice, share, colour in row:
            style = _style(columns, colour)
            axes.barh(place, share, left=base, height=0.75, **style)
            _percentage(axes, base + share / 2, place, share, style, label=choice)
            base += share
    axes.set_yticks(range(len(bars)), [plain(f"{name}{', ' if label else ''}{label}") for name, label, _, _ in bars])
    axes.invert_yaxis()
    axes.set_title("Overall", loc="left", fontsize=10, fontweight="bold")
    _share_axis(axes, across=True)


def _overall(shares: Mapping[str, Any]) -> list[tuple[str, list[tuple[str, float, str]]]]:
    """(label, (choice, share, column that gives the colour)) a bar."""
    chosen = shares["chosen"]
    if chosen["stacked"]:
        return [("", [(name, share, name) for name, share in zip(chosen["columns"], chosen["mean"], strict=True)])]
    return [
        (site, [(choice, share, site if choice == "use" else choice) for choice, share in found.items()])
        for site, found in chosen["sites"].items()
    ]


def _bars(
    axes: Axes,
    labels: Sequence[str],
    lines: Sequence[Sequence[float]],
    names: Sequence[str],
    *,
    stacked: bool,
    across: bool = False,
) -> None:
    """Bars of ``lines`` (labels x columns), upright or ``across``; stacked, or side by side."""
    base = [0.0] * len(labels)
    wide = 0.8 if stacked else 0.8 / len(names)
    for k, name in enumerate(names):
        share = [line[k] for line in lines]
        shift = 0.0 if stacked else (k - (len(names) - 1) / 2) * wide
        places = [n + shift for n in range(len(labels))]
        if across:
            axes.barh(places, share, height=wide, left=base, **_style(names, name))
        else:
            axes.bar(places, share, width=wide, bottom=base, **_style(names, name))
        if stacked:
            base = [b + s for b, s in zip(base, share, strict=True)]
    if across:
        axes.set_yticks(range(len(labels)), labels, fontsize=8)
        axes.invert_yaxis()
    else:
        axes.set_xticks(range(len(labels)), labels)
    _share_axis(axes, across=across)


def _shown_classes(shares: Mapping[str, Any]) -> list[int]:
    """Classes with videos; of very many those that compute least and most."""
    chosen = shares["chosen"]
    found = [c for c, line in enumerate(chosen["by_class"]) if line is not None]
    if len(found) <= MOST_CLASSES:
        return found
    found.sort(key=lambda c: _computed(chosen, c))
    half = MOST_CLASSES // 2
    return [*found[-half:][::-1], *found[:half][::-1]]


def _computed(chosen: Mapping[str, Any], c: int) -> float:
    return sum(share for share, skips in zip(chosen["by_class"][c], chosen["skips"], strict=True) if not skips)


def _class_caption(shares: Mapping[str, Any], shown: int) -> str:
    total = sum(line is not None for line in shares["chosen"]["by_class"])
    return "by class" if shown == total else f"by class: of {total} the {shown // 2} that compute most and least"


def _style(names: Sequence[str], name: str) -> dict[str, Any]:
    skips = name.startswith(SKIP)
    alike = [one for one in names if one.startswith(SKIP) == skips]
    index = alike.index(name) if name in alike else 0
    if skips:
        return {"facecolor": _SKIPS[index % len(_SKIPS)], "edgecolor": "white", "linewidth": 0.5}
    return {
        "facecolor": _COMPUTES[index % len(_COMPUTES)],
        "edgecolor": "white",
        "linewidth": 0.5,
        "hatch": _HATCHES[index % len(_HATCHES)],
    }


def _percentage(
    axes: Axes, x: float, y: float, share: float, style: Mapping[str, Any], *, label: str = "", narrow: bool = False
) -> None:
    if share < _LABELLED or narrow:
        return
    text = f"{label} {100 * share:.0f} %".strip()
    dark = style["facecolor"] == _COMPUTES[0]
    veil = None if not style.get("hatch") else {"facecolor": style["facecolor"], "linewidth": 0, "pad": 1}
    axes.text(x, y, plain(text), ha="center", va="center", fontsize=8, color="white" if dark else "#1c2430", bbox=veil)


def _legend(axes: Axes, chosen: Mapping[str, Any]) -> None:
    from matplotlib.patches import Patch

    names = chosen["columns"]
    extra = [] if chosen["stacked"] or not chosen["sites"] else [SKIP]
    handles = [Patch(label=plain(name), **_style(names, name)) for name in [*names, *extra]]
    if any(share > 0 for shares in chosen["steady"].values() for share in shares.values()):
        handles.append(Patch(label="same in all " + chosen["unit"] + "s", color=_STEADY))
    axes.legend(
        handles=handles, loc="lower left", bbox_to_anchor=(-0.01, 1.0), ncols=min(8, len(handles)), frameon=False, fontsize=8,
        handlelength=1.2, columnspacing=0.9, handletextpad=0.4, borderaxespad=0.1,
    )  # fmt: skip


def _share_axis(axes: Axes, *, across: bool = False) -> None:
    from matplotlib.ticker import PercentFormatter

    axis, other = (axes.xaxis, axes.yaxis) if across else (axes.yaxis, axes.xaxis)
    (axes.set_xlim if across else axes.set_ylim)(0, 1)
    axis.set_major_formatter(PercentFormatter(1, decimals=0))
    axis.grid(visible=True)
    axes.set_axisbelow(True)
    other.grid(visible=False)
    other.set_tick_params(length=0)
