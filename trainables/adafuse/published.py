"""The figures of the AdaFuse paper (Meng et al., ICLR 2021): ``published.yaml``, read."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from trainables.tables import PublishedRow, read_published

FILE = Path(__file__).with_name("published.yaml")


@cache
def published_rows() -> tuple[PublishedRow, ...]:
    """Every row of Tables 1, 2, 3, 5, 6 and 7."""
    return read_published(FILE)
