"""``explorer ui``: MLflow, opened at a sweep."""

from __future__ import annotations

from typing import Annotated

import typer


def command(
    sweep: Annotated[
        str | None, typer.Argument(help="A sweep: its folder, its name below ./runs or its YAML. Without: all in ./runs.")
    ] = None,
    port: Annotated[int, typer.Option(help="Port on loopback; 0 takes a free one.", min=0, max=65535)] = 0,
    no_open: Annotated[bool, typer.Option("--no-open", help="Only print the address.")] = False,
) -> None:
    """Start MLflow on this machine alone, with the store of the sweep, and open it there. Ctrl-C ends it."""
    from explorer.records import find_sweep
    from explorer.tracking.server import Pages, serve

    folder = None if sweep is None else find_sweep(sweep)

    def ready(pages: Pages) -> None:
        print(f"MLflow: {pages.sweep}   (Ctrl-C ends it)", flush=True)
        if pages.table is not None:
            print(f"trials: {pages.table}", flush=True)
        if not no_open:
            import webbrowser

            webbrowser.open(pages.sweep)

    serve(folder, port=port, on_ready=ready)
