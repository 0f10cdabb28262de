"""Hypervolume over passes, a panel a family: the median of each method over the seeds, and its quartiles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from benchmarks.search_efficiency.clock import Moment

_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7F7F7F", "#000000")  # Okabe and Ito's
_PLACES = 400


def draw(
    path: Path, families: Mapping[str, Mapping[str, Sequence[Sequence[Moment]]]], best: Mapping[str, Sequence[float]]
) -> None:
    """``families``: family -> method -> a history a seed. ``best``: family -> by seed, what the hypervolume is a share of."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    figure, axes = pyplot.subplots(
        1, len(families), figsize=(1.5 + 5.2 * len(families), 4.4), sharey=True, squeeze=False
    )
    for axis, (family, methods) in zip(axes[0], families.items(), strict=True):
        last = max(history[-1].passes for histories in methods.values() for history in histories)
        first = min(history[0].passes for histories in methods.values() for history in histories)
        passes_X = np.geomspace(first, last, _PLACES)
        for number, (name, histories) in enumerate(methods.items()):
            shares_SX = np.stack([_shares(h, top, passes_X) for h, top in zip(histories, best[family], strict=True)])
            low_X, middle_X, high_X = np.quantile(shares_SX, [0.25, 0.5, 0.75], axis=0)
            # From where half of the seeds have a point to where half of them have ended.
            ends_X = (passes_X <= np.median([h[-1].passes for h in histories]) * 1.001) & (middle_X > 0)
            colour, ours = _COLOURS[number % len(_COLOURS)], name.startswith("ours")
            axis.fill_between(passes_X[ends_X], low_X[ends_X], high_X[ends_X], color=colour, alpha=0.12, linewidth=0)
            axis.plot(passes_X[ends_X], middle_X[ends_X], color=colour, linewidth=2.4 if ours else 1.4, label=name)
        axis.set_xscale("log")
        axis.xaxis.set_major_locator(LogLocator(base=10, subs=(1, 2, 5)))
        axis.xaxis.set_minor_locator(NullLocator())
        axis.xaxis.set_major_formatter(FuncFormatter(lambda value, place: f"{value:g}"))
        axis.set_xlabel("training passes")
        axis.set_title(family)
        axis.grid(alpha=0.25)
    axes[0][0].set_ylabel("hypervolume, share of the best")
    axes[0][0].set_ylim(0, 1.04)
    handles, labels = axes[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right center", frameon=False, fontsize="small")
    figure.set_layout_engine("constrained")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def _shares(history: Sequence[Moment], top: float, passes_X: np.ndarray) -> np.ndarray:
    """What the best so far is after so many passes: 0 before the first point."""
    passes = np.array([moment.passes for moment in history])
    best = np.array([0.0, *(moment.hypervolume for moment in history)]) / top
    return best[np.searchsorted(passes, passes_X + 1e-6, side="right")]
