"""A small search with known values, and a book on it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from explorer.search.book import StudyBook
from explorer.search.search import Search
from explorer.spec.constraint import parse_constraint
from explorer.spec.dimension import Choice, Int, Log, Uniform

DIMENSIONS = {"price.rgb": Log(0.05, 4.0), "decay": Uniform(0.9, 1.0), "gamma": Choice((0, 2, 5)), "epochs": Int(1, 9)}
OBJECTIVES = {"accuracy": "max", "gflops": "min"}
FIRST = {"price.rgb": 1.0, "decay": 0.965, "gamma": 2, "epochs": 5}


def search(**changed: Any) -> Search:
    given: dict[str, Any] = {"name": "mine", "search": DIMENSIONS, "objectives": OBJECTIVES, "seed": 3}
    return Search(**(given | changed))


def book(folder: Path, *, trials: int | None = None, **changed: Any) -> StudyBook:
    return StudyBook(folder / "study.journal", search(**changed), trials=trials)


def measured(params: Mapping[str, Any]) -> dict[str, float]:
    """A trade-off along the price: dear inputs are used less."""
    price = float(params["price.rgb"])
    return {"accuracy": 1 / (1 + price), "gflops": 8 / (1 + price)}


CHEAP = parse_constraint("gflops <= 5")
