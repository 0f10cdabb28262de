"""The paper's rows that may lie over a sweep's points: of the same modalities, in the same metric, on another data set."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from explorer.browse import Front
from trainables.contract import Json
from trainables.systems import load_system
from trainables.tables import PublishedRow

SAME_NETWORKS = 0.05  # costs of everything on that differ by no more than this are those of the same networks


def published_rows(front: Front) -> dict[str, Json]:
    """``rows`` (empty: nothing is comparable), and whether their GFLOPs are of the same networks as the sweep's.

    A row is comparable if its table is about just the sweep's modalities and prints top-1 accuracy and GFLOPs. Its share of
    everything on can always be laid over the sweep's; its GFLOPs only where the networks are the paper's.
    """
    sites = {site for point in front.candidates[:1] for site in point.val.rates}
    found = _comparable(load_system(front.system).published(), sites)
    if not found:
        return {"rows": [], "same_networks": False}
    everything = _all_on(found, sites)
    ours = front.all_on_gflops.get("paper", 0.0)
    return {
        "rows": [
            {
                "method": row.method,
                "data_set": row.data_set,
                "accuracy": (row.accuracy or 0.0) / 100,
                "gflops": row.gflops,
                "share": 100 * (row.gflops or 0.0) / everything,
                "rates": {site: rate / 100 for site, rate in row.rates.items()},
            }
            for row in found
        ],
        "same_networks": abs(ours / everything - 1) <= SAME_NETWORKS,
        "all_on_gflops": everything,
    }


def _comparable(rows: Iterable[PublishedRow], sites: set[str]) -> list[PublishedRow]:
    """Without doubles: a method that several tables print alike counts once."""
    groups: dict[tuple[str, str], list[PublishedRow]] = {}
    for row in rows:
        groups.setdefault((row.table, row.data_set), []).append(row)
    kept: dict[tuple, PublishedRow] = {}
    for group in groups.values():
        about = {site for row in group for site in row.rates}
        if about != sites or not sites or not any(_all_used(row, sites) for row in group):
            continue
        for row in group:
            if row.metric == "top1" and row.accuracy is not None and row.gflops is not None:
                kept.setdefault((row.data_set, row.method), row)
    return list(kept.values())


def _all_used(row: PublishedRow, sites: set[str]) -> bool:
    return row.gflops is not None and all(row.rates.get(site) == 100 for site in sites)


def _all_on(rows: Sequence[PublishedRow], sites: set[str]) -> float:
    return next(row.gflops for row in rows if _all_used(row, sites) and row.gflops is not None)
