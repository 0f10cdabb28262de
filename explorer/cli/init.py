"""``explorer init``: from a folder of class folders to a manifest, a search space and the next three commands."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from explorer.init import Begun

SHOWN = 5  # files left out that are named
FEW = 100  # validation videos; a standard error is 50 / sqrt(n) points at most


def command(
    folder: Annotated[Path, typer.Argument(help="A folder of class folders: FOLDER/bowling/a.mp4.")],
    name: Annotated[str | None, typer.Option(help="Of the sweep; the folder's by default.")] = None,
    out: Annotated[Path, typer.Option(help="Where the two files go.")] = Path("."),
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """Write a manifest and a commented search space for your own videos, and say what to do next.

    Nothing is overwritten, and no video is changed. Files without a use are left out and named.
    """
    from explorer.init import init

    begun = init(folder, name=name, out=out)
    print(json.dumps(begun.to_json()) if as_json else _told(begun))


def _told(begun: Begun) -> str:
    splits = ", ".join(f"{count} {name}" for name, count in begun.splits.items())
    mute = f"; {begun.mute} without sound" if begun.mute else ""
    lines = [
        f"{begun.videos} videos of {len(begun.classes)} classes ({splits}{mute})",
        f"  manifest      {begun.manifest}",
        f"  search space  {begun.space}: modalities {', '.join(begun.modalities)}; every key is explained in it",
    ]
    if begun.left_out:
        lines.append(f"  left out      {len(begun.left_out)} that cannot be used:")
        lines += [f"    {line}" for line in begun.left_out[:SHOWN]]
        if len(begun.left_out) > SHOWN:
            lines.append(f"    and {len(begun.left_out) - SHOWN} more (--json names all)")
    val = begun.splits["val"]
    if val < FEW:
        lines.append(f"  note          on {val} validation videos an accuracy is known to about ± {50 / val**0.5:.0f} points")
    return "\n".join([*lines, "\nNext:", *(f"  {command}" for command in begun.next_commands)])
