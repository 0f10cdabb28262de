"""What the policy chooses from: resolutions, and numbers of frames to skip. No torch."""

from __future__ import annotations

from dataclasses import dataclass

from trainables.arnet.config import LEVELS, LOWEST, ArNetConfig

LOOK = "look"  # the share of frames that the policy looks at
FRAME = "frame"  # the site


@dataclass(frozen=True, kw_only=True)
class Action:
    """``level``: the resolution that is computed, None for a skip. ``frames``: how many frames it takes up."""

    name: str
    level: str | None
    frames: int = 1


def actions(config: ArNetConfig) -> tuple[Action, ...]:
    """In the order of the policy's logits: resolutions from the highest on, then skips."""
    found: list[Action] = []
    for level in (*config.levels, LOWEST):
        if level in LEVELS or config.actions != "skips":
            found.append(Action(name=config.share_of(level), level=level))
    if config.actions != "resolutions":
        found += [Action(name=f"skip{frames}", level=None, frames=frames) for frames in config.skips]
    return tuple(found)


def shares(config: ArNetConfig) -> tuple[str, ...]:
    """Names of the shares of frames that are told: each resolution, and what the policy looked at."""
    return (*(config.share_of(level) for level in (*LEVELS, LOWEST)), LOOK)
