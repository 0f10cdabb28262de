"""The figures of the AR-Net paper (Meng et al., ECCV 2020): ``published.yaml``, read."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from trainables.tables import PublishedRow, read_published

FILE = Path(__file__).with_name("published.yaml")


@cache
def published_rows() -> tuple[PublishedRow, ...]:
    """Every row of Tables 1, 3, 4, 5 and 6, and the points of Figure 3 that the paper gives as numbers."""
    return read_published(FILE)
