"""The figures of the AdaMML paper (Panda et al., ICCV 2021): ``published.yaml``, read."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from trainables.tables import PublishedRow, read_published

FILE = Path(__file__).with_name("published.yaml")


@cache
def published_rows() -> tuple[PublishedRow, ...]:
    """Every row of Tables 1 to 9, and the figures that the text of section 4.3 gives."""
    return read_published(FILE)
