"""The front as a small SVG picture that a README can show. Pure text, no drawing library."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

from explorer.browse import METRIC, Front, FrontPoint

WIDTH, HEIGHT = 860, 470
LEFT, RIGHT, TOP, BOTTOM = 70, 28, 74, 62
INK, MUTED, GRID, FAINT = "#1c2430", "#667085", "#e8ebf0", "#b8c1cc"
FRONT_COLOUR, BASELINE_COLOUR = "#0b6e99", "#c96f12"
DOMINATED_LIMIT = 400
_CHARACTER_PX = 6.7  # mean width of a character at 12 px


@dataclass(frozen=True, kw_only=True)
class _Axes:
    """Data to pixels. The axis of cost is logarithmic."""

    low_gflops: float
    high_gflops: float
    low_accuracy: float
    high_accuracy: float

    def x(self, gflops: float) -> float:
        share = math.log(gflops / self.low_gflops) / math.log(self.high_gflops / self.low_gflops)
        return LEFT + share * (WIDTH - LEFT - RIGHT)

    def y(self, accuracy: float) -> float:
        share = (accuracy - self.low_accuracy) / (self.high_accuracy - self.low_accuracy)
        return HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)


@dataclass(frozen=True, kw_only=True)
class _Box:
    """A rectangle in pixels, y downwards."""

    left: float
    top: float
    right: float
    bottom: float

    def meets(self, other: _Box) -> bool:
        return (
            self.left < other.right and other.left < self.right and self.top < other.bottom and other.top < self.bottom
        )


def front_svg(front: Front, *, title: str | None = None) -> str:
    """A picture of ``front`` with its baselines, cheapest to the left.

    Points that cost nothing are left out, and so are those below every baseline: they would squeeze the rest.
    """
    baselines = [p for p in front.baselines if _gflops(front, p) > 0]
    floor = min((p.val.accuracy for p in baselines), default=0.0)
    members = [p for p in front.points if _gflops(front, p) > 0 and p.val.accuracy >= floor]
    behind = [p for p in front.candidates if _gflops(front, p) > 0]
    behind = behind[:: max(1, math.ceil(len(behind) / DOMINATED_LIMIT))]
    axes = _axes(front, [*members, *baselines])
    inside = [p for p in behind if axes.low_accuracy <= p.val.accuracy and _gflops(front, p) <= axes.high_gflops]
    caption = f"{front.videos} validation videos, {front.convention} cost convention, {front.trials} trials"
    body = [
        _text(LEFT, 28, title or f"Front of {front.name}", size=18, weight=650),
        _text(LEFT, 49, caption, colour=MUTED),
        *_grid(front, axes),
        *(_dot(axes, front, p, radius=2.4, colour=FAINT, opacity=0.7) for p in inside),
        *_saving(front, axes, members, baselines),
        _steps(front, axes, members),
        *(_dot(axes, front, p, radius=4.6, colour=FRONT_COLOUR) for p in members),
        *_baselines(front, axes, baselines),
    ]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
        f'role="img" aria-label="{escape(f"{METRIC} against GFLOPs a video, {caption}")}" '
        'font-family="system-ui, -apple-system, Segoe UI, Roboto, Helvetica, sans-serif">\n'
        f'<rect width="{WIDTH}" height="{HEIGHT}" rx="8" fill="#ffffff"/>\n'
        + "\n".join(filter(None, body))
        + "\n</svg>\n"
    )


def ticks_1_2_5(low: float, high: float) -> list[float]:
    """1, 2 and 5 of every decade within [low, high], both positive."""
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    return [v for d in decades for step in (1, 2, 5) if low <= (v := float(f"{step}e{d}")) <= high]


def _gflops(front: Front, point: FrontPoint) -> float:
    return point.val.gflops[front.convention]


def _axes(front: Front, points: Sequence[FrontPoint]) -> _Axes:
    costs = [_gflops(front, p) for p in points] or [0.1, 1.0]
    accuracies = [p.val.accuracy for p in points] or [0.0, 1.0]
    spread = max(max(accuracies) - min(accuracies), 0.05)
    return _Axes(
        low_gflops=min(costs) / 1.25,
        high_gflops=max(costs) * 1.25,
        low_accuracy=max(0.0, min(accuracies) - 0.12 * spread),
        high_accuracy=min(1.0 + 0.03 * spread, max(accuracies) + 0.12 * spread),
    )


def _grid(front: Front, axes: _Axes) -> Iterable[str]:
    floor = HEIGHT - BOTTOM
    for gflops in ticks_1_2_5(axes.low_gflops, axes.high_gflops):
        x = axes.x(gflops)
        yield _line(x, TOP, x, floor)
        yield _text(x, floor + 20, f"{gflops:g}", anchor="middle", colour=MUTED)
    percents = 100 * axes.low_accuracy, 100 * axes.high_accuracy
    step = next(s for s in (1, 2, 5, 10, 20) if (percents[1] - percents[0]) / s <= 7 or s == 20)
    for percent in range(math.ceil(percents[0] / step) * step, min(100, math.floor(percents[1])) + 1, step):
        y = axes.y(percent / 100)
        yield _line(LEFT, y, WIDTH - RIGHT, y)
        yield _text(LEFT - 10, y + 4, f"{percent} %", anchor="end", colour=MUTED)
    yield _text(
        (LEFT + WIDTH - RIGHT) / 2, HEIGHT - 16, f"GFLOPs a video ({front.convention} convention)", anchor="middle"
    )
    middle = (TOP + floor) / 2
    yield _text(18, middle, METRIC, anchor="middle", extra=f' transform="rotate(-90 18 {middle:.1f})"')


def _steps(front: Front, axes: _Axes, members: Sequence[FrontPoint]) -> str:
    """The attained region's edge: an accuracy is had from its cost on, until a better one is."""
    if not members:
        return ""
    path = [f"M{axes.x(_gflops(front, members[0])):.1f} {axes.y(members[0].val.accuracy):.1f}"]
    path += [f"H{axes.x(_gflops(front, p)):.1f}V{axes.y(p.val.accuracy):.1f}" for p in members[1:]]
    return f'<path d="{"".join(path)}H{WIDTH - RIGHT}" fill="none" stroke="{FRONT_COLOUR}" stroke-width="2"/>'


def _saving(front: Front, axes: _Axes, members: Sequence[FrontPoint], baselines: Sequence[FrontPoint]) -> Iterable[str]:
    """How much cheaper the front is than the most accurate baseline, at that baseline's accuracy."""
    best = max(baselines, key=lambda p: p.val.accuracy, default=None)
    if best is None:
        return
    equal = [p for p in members if p.val.accuracy >= best.val.accuracy and _gflops(front, p) < _gflops(front, best)]
    if not equal:
        return
    share = _gflops(front, equal[0]) / _gflops(front, best)
    y, start, end = axes.y(best.val.accuracy), axes.x(_gflops(front, equal[0])), axes.x(_gflops(front, best))
    yield (
        f'<line x1="{start:.1f}" y1="{y:.1f}" x2="{end - 10:.1f}" y2="{y:.1f}" stroke="{BASELINE_COLOUR}" '
        'stroke-width="1.2" stroke-dasharray="2 4"/>'
    )
    label = f"{100 * share:.0f} % of its cost"
    if end - start > len(label) * _CHARACTER_PX + 30:
        yield _text((start + end) / 2, y - 7, label, anchor="middle", colour=BASELINE_COLOUR)


def _baselines(front: Front, axes: _Axes, baselines: Sequence[FrontPoint]) -> Iterable[str]:
    """Diamonds with their names, each name beside, above or below its mark: the first place that is still free."""
    marks = [(point, axes.x(_gflops(front, point)), axes.y(point.val.accuracy)) for point in baselines]
    taken = [_Box(left=x - 9, top=y - 9, right=x + 9, bottom=y + 9) for _, x, y in marks]
    if marks:  # the dotted line of the saving runs to the most accurate one
        _, x, y = min(marks, key=lambda mark: mark[2])
        taken.append(_Box(left=LEFT, top=y - 3, right=x, bottom=y + 3))
    for point, x, y in sorted(marks, key=lambda mark: mark[2]):
        yield f'<path d="M{x:.1f} {y - 7:.1f}l7 7l-7 7l-7-7z" fill="{BASELINE_COLOUR}"/>'
        width = len(point.label) * _CHARACTER_PX
        middle = min(x - width / 2, WIDTH - RIGHT - width)
        places = [(middle, y - 13), (x + 12, y + 4), (middle, y + 22), (x - 12 - width, y + 4)]
        boxes = [_Box(left=left, top=base - 11, right=left + width, bottom=base + 3) for left, base in places]
        free = [box for box in boxes if box.right <= WIDTH - 6 and not any(box.meets(other) for other in taken)]
        box = (free or boxes)[0]
        taken.append(box)
        yield _text(box.left, box.bottom - 3, point.label, colour=BASELINE_COLOUR)


def _dot(axes: _Axes, front: Front, point: FrontPoint, *, radius: float, colour: str, opacity: float = 1) -> str:
    x, y = axes.x(_gflops(front, point)), axes.y(point.val.accuracy)
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius}" fill="{colour}" opacity="{opacity}"/>'


def _line(x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{GRID}"/>'


def _text(
    x: float,
    y: float,
    text: str,
    *,
    size: int = 12,
    weight: int = 400,
    anchor: str = "start",
    colour: str = INK,
    extra: str = "",
) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" font-weight="{weight}" text-anchor="{anchor}" '
        f'fill="{colour}"{extra}>{escape(text)}</text>'
    )
