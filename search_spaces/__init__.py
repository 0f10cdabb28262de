"""Search spaces that come with the program: ``explorer sweep quickstart`` works from any folder."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).resolve().parent


def names() -> tuple[str, ...]:
    """The bare names of all packaged search spaces."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.yaml")))


def find(name: str) -> Path | None:
    """The file of a packaged search space (``quickstart`` or ``quickstart.yaml``), or None."""
    stem = name.removesuffix(".yaml")
    return FOLDER / f"{stem}.yaml" if stem in names() else None
