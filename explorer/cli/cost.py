"""``explorer cost``: multiply-accumulates of a configuration, by convention."""

from __future__ import annotations

import json
from typing import Annotated

import typer


def command(
    space: Annotated[str, typer.Argument(help="A search space: a YAML file, or the name of a shipped one.")],
    rates: Annotated[str | None, typer.Option(help="Mean selection rates, for example rgb=0.46,audio=0.94.")] = None,
    classes: Annotated[
        int | None, typer.Option(min=1, help="Number of classes; else that of the data, or of the search space.")
    ] = None,
    override: Annotated[list[str] | None, typer.Option("-o", help="KEY=VALUE on any field of the YAML.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """Count what a video costs, in the paper's convention and in full, with every modality on and at given rates."""
    from explorer.api import load_space
    from explorer.cost import cost_info, parse_rates

    loaded = load_space(space, override or [], files=False)
    info = cost_info(loaded, parse_rates(rates) if rates else None, classes=classes)
    if as_json:
        print(json.dumps(info))
        return
    _print(info)


def _print(info: dict) -> None:
    from rich.console import Console
    from rich.table import Table

    for name, counted in info["conventions"].items():
        table = Table(title=f"{name}: {counted['counts']}", title_justify="left", title_style="bold")
        table.add_column("part")
        table.add_column("MACs a segment", justify="right", no_wrap=True)
        table.add_column("GFLOPs a video", justify="right", no_wrap=True)
        parts = {
            **counted["per_segment_macs"]["recognition"],
            "policy, for every segment": counted["per_segment_macs"]["policy"],
        }
        if "plain" in counted["per_segment_macs"]:
            parts["what nobody decides about"] = counted["per_segment_macs"]["plain"]
        for part, macs in parts.items():
            table.add_row(part, f"{macs:,}", f"{macs * info['segments'] / 1e9:.4f}")
        table.add_section()
        table.add_row("everything on, no policy", "", f"{counted['all_on_gflops']:.4f}")
        if counted["at_rates_gflops"] is not None:
            table.add_row("at the given rates, with policy", "", f"{counted['at_rates_gflops']:.4f}")
        Console().print(table)
    print(
        f"GFLOPs = multiply-accumulates / 1e9. A video has {info['segments']} segments. "
        f"{info['classes']} classes ({info['classes_source']})."
    )
