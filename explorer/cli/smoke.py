"""``explorer sweep --smoke``: what is printed of a rehearsal."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from explorer.smoke import Smoked
    from explorer.spec.space import SearchSpace


def rehearse(space: SearchSpace, source: str, overrides: Sequence[str], *, address: str | None, as_json: bool) -> None:
    """Rehearse a sweep and say how it went. ``source`` and ``overrides``: as they were typed."""
    from explorer.smoke import smoke

    if not as_json:
        print(f"rehearsing {space.name}: one batch of every stage, from reading the videos to a pick", flush=True)
    smoked = smoke(space, address=address)
    print(json.dumps(smoked.to_json()) if as_json else _told(smoked, source, overrides))


def _told(smoked: Smoked, source: str, overrides: Sequence[str]) -> str:
    from explorer.cli.live import duration

    width = max(map(len, smoked.stage_s))
    stages = [f"  {name:<{width}}  {seconds:5.1f} s" for name, seconds in smoked.stage_s.items()]
    command = " ".join(["explorer sweep", source, *(f"-o {text}" for text in overrides)])
    return "\n".join(
        [
            f"OK after {duration(smoked.seconds)}: every stage trained a batch and was measured",
            *stages,
            f"  a front of {smoked.candidates} candidates was made and one was picked; nothing of it is kept",
            f"\nThe sweep itself: {command}",
        ]
    )
