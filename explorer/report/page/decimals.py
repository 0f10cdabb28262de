"""Numbers as a page needs them: four digits are more than any mark shows, and a third of the bytes."""

from __future__ import annotations


def short(value: float, digits: int = 4) -> float:
    """``value`` rounded to so many significant digits."""
    return float(f"{value:.{digits}g}")
