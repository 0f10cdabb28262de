"""A reproduced table: JSON for programs, cells for a terminal, Markdown for a page. Accuracies of text are per cent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from explorer.reproduce.collect import Reproduced, RowResult
from explorer.reproduce.numbers import Mean
from trainables.contract import CONVENTIONS, Json
from trainables.tables import PublishedRow

METRICS = {"top1": "top-1", "map": "mAP"}


@dataclass(frozen=True, kw_only=True)
class Cells:
    """A table as text: one list of cells a row, as long as ``header``; ``below``: what a reader must know."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    below: tuple[str, ...]


def table_json(table: Reproduced) -> dict[str, Json]:
    """The content of ``table.json``. Accuracies and rates are in [0, 1], the paper's too."""
    plan = table.plan
    return {
        "table": plan.table.name,
        "title": plan.table.title,
        "note": plan.table.note,
        "system": plan.space.system,
        "preset": plan.space.preset,
        "sweep": plan.space.name,
        "folder": str(plan.space.folder),
        "manifest": (plan.space.config.get("data") or {}).get("manifest"),
        "seeds": list(plan.seeds),
        "videos": dict(table.videos),
        "rows": [_row_json(table, row) for row in table.rows],
        "quoted": [_published_json(row) for row in table.quoted],
    }


def _row_json(table: Reproduced, result: RowResult) -> dict[str, Json]:
    row = result.row
    known: dict[str, Json] = {
        "row": row.name,
        "label": row.label,
        "overrides": dict(row.overrides),
        "ours": True,
        "published": [_published_json(published) for published in result.published],
        "seeds": [{"seed": one.seed, "key": one.key, **_seed_json(one.measured, one.map)} for one in result.seeds],
    }
    if not result.seeds:
        return known
    difference = table.difference(result)
    return {
        **known,
        "accuracy": {split: result.accuracy(split).to_json() for split in ("test", "val")},
        "map": {split: result.map(split).to_json() for split in ("test", "val")},
        "rates": {site: rate.to_json() for site, rate in result.rates.items()},
        "gflops": {convention: result.gflops(convention).to_json() for convention in CONVENTIONS},
        "difference": None if difference is None else {"against": row.against, **difference.to_json()},
    }


def _seed_json(measured: Json, precision: Json) -> dict[str, Json]:
    return {
        split: {"accuracy": m.accuracy, "map": precision[split], "gflops": dict(m.gflops), "rates": dict(m.rates)}
        for split, m in measured.items()
    }


def _published_json(row: PublishedRow) -> dict[str, Json]:
    return {
        **row.model_dump(exclude={"table", "row"}),
        "ours": row.row is not None,
        "accuracy": None if row.accuracy is None else row.accuracy / 100,
        "rates": {site: rate / 100 for site, rate in row.rates.items()},
    }


def table_cells(table: Reproduced, *, paper_rates: bool = True) -> Cells:
    """Our rows, then the quoted ones; beside them the paper's figures of each of its data sets.

    ``paper_rates`` False leaves out the paper's selection rates, for narrow terminals.
    """
    published = table.plan.published
    columns = [_PaperColumns.of(name, published, paper_rates) for name in dict.fromkeys(p.data_set for p in published)]
    shows_map = any(row.metric == "map" for row in published)
    header = ["method", "top-1 %", "val %", *(["mAP %"] if shows_map else []), "used %", "GFLOPs", "full", "difference"]
    rows = []
    for result in table.rows:
        ours = _ours(table, result, shows_map) if result.seeds else [""] * (len(header) - 1)
        rows.append((result.row.label, *ours, *(cell for c in columns for cell in c.cells(result.published))))
    for method in dict.fromkeys(row.method for row in table.quoted):
        theirs = [row for row in table.quoted if row.method == method]
        blank = [""] * (len(header) - 1)
        rows.append((f"{method} (quoted)", *blank, *(cell for c in columns for cell in c.cells(theirs))))
    return Cells(
        title=f"{table.plan.table.name}: {table.plan.table.title}",
        header=(*header, *(name for c in columns for name in c.header)),
        rows=tuple(rows),
        below=tuple(_below(table)),
    )


@dataclass(frozen=True, kw_only=True)
class _PaperColumns:
    """The paper's columns of one data set: those that some row fills."""

    data_set: str
    metric: str
    rates: bool
    gflops: bool

    @classmethod
    def of(cls, data_set: str, published: Sequence[PublishedRow], rates: bool) -> _PaperColumns:
        rows = [row for row in published if row.data_set == data_set]
        return cls(
            data_set=data_set,
            metric=METRICS[rows[0].metric],
            rates=rates and any(row.rates for row in rows),
            gflops=any(row.gflops is not None for row in rows),
        )

    @property
    def header(self) -> list[str]:
        names = [f"{self.metric} %", *(["used %"] if self.rates else []), *(["GFLOPs"] if self.gflops else [])]
        return [f"paper, {self.data_set}: {names[0]}", *(f"paper: {name}" for name in names[1:])]

    def cells(self, published: Sequence[PublishedRow]) -> list[str]:
        row = next((row for row in published if row.data_set == self.data_set), None)
        if row is None:
            return [""] * len(self.header)
        cells = ["" if row.accuracy is None else f"{row.accuracy:.2f}"]
        if self.rates:
            cells.append(_rates(row.rates))
        if self.gflops:
            mark = "*" if _is_odd(row) else ""
            cells.append("" if row.gflops is None else f"{row.gflops:g}{mark}")
        return cells


def _is_odd(row: PublishedRow) -> bool:
    return row.computed_gflops is not None and not row.verifiable


def _rates(rates: Mapping[str, float]) -> str:
    return ", ".join(f"{site} {rate:.0f}" for site, rate in rates.items())


def _ours(table: Reproduced, result: RowResult, shows_map: bool) -> list[str]:
    difference = table.difference(result)
    return [
        _per_cent(result.accuracy("test")),
        _per_cent(result.accuracy("val")),
        *([_per_cent(result.map("test"))] if shows_map else []),
        _rates({site: 100 * rate.mean for site, rate in result.rates.items()}),
        f"{result.gflops('paper').mean:.4g}",
        f"{result.gflops('full').mean:.4g}",
        "" if difference is None else _per_cent(difference, "+"),
    ]


def _per_cent(value: Mean, sign: str = "") -> str:
    error = "" if value.standard_error is None else f" ± {100 * value.standard_error:.1f}"
    return f"{100 * value.mean:{sign}.1f}{error}"


def _below(table: Reproduced) -> list[str]:
    plan = table.plan
    count, videos = len(plan.seeds), table.videos
    missing = sum(count - len(row.seeds) for row in table.rows)
    labels = {row.name: row.label for row in plan.rows}
    against = dict.fromkeys(labels[row.against] for row in plan.rows if row.against)
    lines = [
        f"Ours: preset {plan.space.preset}, {count} seed{'s' if count > 1 else ''}, {videos.get('test', 0)} test and "
        f"{videos.get('val', 0)} validation videos; mean ± standard error over seeds; knobs at their defaults, the test "
        "videos measured once",
        "used: mean share of segments in test; GFLOPs a video: the paper's convention, and everything that runs (full)",
    ]
    if against:
        lines.append(
            f"difference: points of top-1 over {'; '.join(against)} on the same test videos and seeds; its standard error "
            "counts the draw of videos" + (" and of seeds" if count > 1 else "")
        )
    lines.append("The paper's figures are of its own data sets and sizes; those of other authors are quoted, not run")
    odd = dict.fromkeys(f"{p.gflops:g} ({p.computed_gflops:.2f})" for p in plan.published if _is_odd(p))
    lines += [f"Marked *: not what the paper's own rates give, which is in brackets: {', '.join(odd)}"] if odd else []
    lines += [f"Not measured yet: {missing} of {count * len(table.rows)} rows and seeds"] if missing else []
    return [*lines, *([plan.table.note] if plan.table.note else [])]


def table_markdown(table: Reproduced) -> str:
    """The content of ``table.md``."""
    cells = table_cells(table)
    lines = [_line(cells.header), _line(["---"] * len(cells.header)), *(_line(row) for row in cells.rows)]
    below = "\n".join(f"- {text}" for text in cells.below)
    return f"# {cells.title}\n\n" + "\n".join(lines) + f"\n\n{below}\n"


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
