"""``explorer data prepare``: decode a search space's videos before it is trained on."""

from __future__ import annotations

import json
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from explorer.cli.data_progress import progress_of

if TYPE_CHECKING:
    from explorer.prepare import Prepared
    from explorer.spec.space import SearchSpace
    from trainables.kit.data.forecast import Forecast

MANIFESTS = (".jsonl", ".json")


def command(
    space: Annotated[str, typer.Argument(help="A search space, or a manifest together with --space.")],
    of: Annotated[
        str | None,
        typer.Option("--space", metavar="SPACE", help="The search space whose settings a manifest is read with."),
    ] = None,
    override: Annotated[list[str] | None, typer.Option("-o", help="KEY=VALUE on any field of the YAML.")] = None,
    address: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="Decode on all nodes of this Ray cluster (auto: the one running here)."),
    ] = None,
    workers: Annotated[
        int | None, typer.Option(help="Files decoded side by side; all cores by default.", min=1)
    ] = None,
    to: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Also put the entries there, and take them from there: data.cache_url."),
    ] = None,
    clean: Annotated[
        bool, typer.Option("--clean", help="Delete from the storage's cache what this space does not read.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Decode and cache every video that a sweep of SPACE will read. What is cached already is left alone.

    Interrupted or killed, the same command goes on with the files that are not done. A sweep does this by itself where it
    has not been done; here it can use a cluster, and its size is known before it starts.
    """
    from explorer.prepare import prepare

    loaded = _space(space, of, override or [], to)
    with _maker(address, workers) as make:
        done = prepare(
            loaded,
            make=make,
            on_forecast=(lambda forecast: None) if as_json else _announce,
            shown=partial(progress_of, shown=not as_json),
            clean=clean,
        )
    if as_json:
        typer.echo(json.dumps(done.to_json()))
    else:
        _print(done, clean)


def _space(space: str, of: str | None, overrides: list[str], to: str | None) -> SearchSpace:
    from explorer.errors import UserError
    from explorer.spec.load import load_space

    if Path(space).suffix in MANIFESTS:
        if of is None:
            raise UserError(
                f"a manifest needs --space SPACE, whose settings say how to decode, got {space} alone; "
                f"for instance: explorer data prepare {space} --space adamml_kinetics_sounds"
            )
        overrides, space = [f"data.manifest={Path(space).resolve()}", *overrides], of
    if to is not None:
        overrides = [*overrides, f"data.cache_url={to}"]
    return load_space(space, overrides)


def _maker(address: str | None, workers: int | None):  # type: ignore[no-untyped-def]  # a context with a Make
    from trainables.kit.data.cache import decode_all

    if address is None:
        return nullcontext(partial(decode_all, workers=workers))
    from explorer.run.spread import spread_over

    return spread_over(address)


def _announce(forecast: Forecast) -> None:
    if forecast.missing:
        typer.echo(
            f"{forecast.missing} of {forecast.videos} videos to decode: about {forecast.need_bytes / 1e9:.2f} GB "
            f"({forecast.basis}), {forecast.free_bytes / 1e9:.0f} GB free"
        )


def _print(done: Prepared, clean: bool) -> None:
    if done.made:
        rate = done.made / done.seconds if done.seconds else 0.0
        typer.echo(f"{done.made} videos decoded in {done.seconds:.1f} s ({rate:.1f} a second), stored as {done.stored}")
    else:
        typer.echo(f"nothing to decode: all {done.videos} videos are cached, as {done.stored}")
    typer.echo(f"cache: {done.cache} ({done.cache_bytes / 1e9:.2f} GB for this space)")
    if done.stale_bytes:
        told = "deleted" if clean else "in the same cache, --clean deletes it"
        typer.echo(f"what this space does not read: {done.stale_bytes / 1e9:.2f} GB, {told}")
