"""Class names of the data sets that the shipped search spaces name, one a line, a file each.

Kinetics-Sounds, ActivityNet-1.3 and FCVID are in the order of their sorted names (FCVID's own numbering is the same);
Mini-Sports1M is in the order of Sports-1M's own ``labels.txt``, whose line numbers from 0 are its labels. Spelling is the
data sets' own ("Mooping floor").
"""

from __future__ import annotations

from pathlib import Path

CLASS_COUNTS = {"activitynet": 200, "fcvid": 239, "kinetics_sounds": 31, "mini_sports1m": 487}


def class_names(name: str) -> tuple[str, ...]:
    """The classes of the data set ``name``, by label. Raises ``KeyError`` where there is no list of that name."""
    if name not in CLASS_COUNTS:
        raise KeyError(f"no class list {name!r}; there are {', '.join(CLASS_COUNTS)}")
    return tuple((Path(__file__).parent / f"{name}.txt").read_text(encoding="utf-8").splitlines())
