"""Dimensions of a search: the values one parameter may take. No Optuna here (see ``explorer.search.distributions``)."""

from __future__ import annotations

import abc
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

Value = bool | int | float | str | None


class Dimension(abc.ABC):
    """The values of one parameter. ``kind`` is the word for it in the YAML."""

    kind: ClassVar[str]

    @abc.abstractmethod
    def at(self, u: float) -> Value:
        """The value at ``u`` in [0, 1): uniform ``u`` gives the dimension's own distribution."""

    @abc.abstractmethod
    def nearest(self, value: Value) -> Value:
        """``value`` itself if it is inside, else the nearest value that is (a choice: the first one)."""

    @abc.abstractmethod
    def ends(self) -> tuple[Value, ...]:
        """The values that a field must accept for every value in between to be accepted."""

    @abc.abstractmethod
    def raw(self) -> dict[str, Any]:
        """As in the YAML."""

    def __str__(self) -> str:
        ((kind, content),) = self.raw().items()
        return f"{kind} {content}"


@dataclass(frozen=True)
class Uniform(Dimension):
    """A real number, uniform in [low, high]."""

    low: float
    high: float
    kind: ClassVar[str] = "uniform"

    def at(self, u: float) -> float:
        return self.low + u * (self.high - self.low)

    def nearest(self, value: Value) -> float:
        number = _number(value)
        return self.at(0.5) if number is None else min(max(number, self.low), self.high)

    def ends(self) -> tuple[Value, ...]:
        return (self.low, self.high)

    def raw(self) -> dict[str, Any]:
        return {self.kind: [self.low, self.high]}


@dataclass(frozen=True)
class Log(Uniform):
    """A real number in [low, high], uniform in its logarithm; low > 0."""

    kind: ClassVar[str] = "log"

    def at(self, u: float) -> float:
        return min(max(math.exp(math.log(self.low) + u * math.log(self.high / self.low)), self.low), self.high)


@dataclass(frozen=True)
class Int(Dimension):
    """A whole number in [low, high], both included."""

    low: int
    high: int
    kind: ClassVar[str] = "int"

    def at(self, u: float) -> int:
        return min(self.low + int(u * (self.high - self.low + 1)), self.high)

    def nearest(self, value: Value) -> int:
        number = _number(value)
        return self.at(0.5) if number is None else min(max(round(number), self.low), self.high)

    def ends(self) -> tuple[Value, ...]:
        return (self.low, self.high)

    def raw(self) -> dict[str, Any]:
        return {self.kind: [self.low, self.high]}


@dataclass(frozen=True)
class Choice(Dimension):
    """One of a list of numbers, strings, booleans or null."""

    values: tuple[Value, ...]
    kind: ClassVar[str] = "choice"

    def at(self, u: float) -> Value:
        return self.values[min(int(u * len(self.values)), len(self.values) - 1)]

    def nearest(self, value: Value) -> Value:
        # Identity of type where both 1 and True are offered; 2.0 finds 2, because YAML does not tell them apart.
        same = [v for v in self.values if v == value and isinstance(v, bool) == isinstance(value, bool)]
        return same[0] if same else self.values[0]

    def ends(self) -> tuple[Value, ...]:
        return self.values

    def raw(self) -> dict[str, Any]:
        return {self.kind: list(self.values)}


DIMENSIONS: dict[str, type[Dimension]] = {"log": Log, "uniform": Uniform, "int": Int, "choice": Choice}

_FORMS = "{log: [low, high]}, {uniform: [low, high]}, {int: [low, high]} or {choice: [value, ...]}"


def parse_dimension(raw: Any) -> Dimension:
    """The dimension written as ``raw`` in the YAML, for example ``{"log": [0.05, 4]}``.

    Raises:
        ValueError: the message says what is wrong, what was found and what is allowed.
    """
    if isinstance(raw, Dimension):
        return raw
    if not isinstance(raw, Mapping) or len(raw) != 1:
        raise ValueError(f"a dimension must be {_FORMS}; found {raw!r}")
    ((kind, content),) = raw.items()
    if kind not in DIMENSIONS:
        raise ValueError(f"unknown kind of dimension {kind!r}; allowed: {_FORMS}")
    if not isinstance(content, list | tuple):
        raise ValueError(f"{kind} must be followed by a list; found {content!r}")
    return _choice(content) if kind == "choice" else _range(kind, content)


def _choice(content: list[Any] | tuple[Any, ...]) -> Choice:
    if not content:
        raise ValueError("choice must offer at least one value; found []")
    for value in content:
        if value is not None and not isinstance(value, bool | int | float | str):
            raise ValueError(f"choice must offer numbers, strings, booleans or null; found {value!r}")
    seen: set[tuple[bool, Any]] = set()
    for value in content:
        identity = (isinstance(value, bool), value)
        if identity in seen:
            raise ValueError(f"choice must not offer a value twice; found {value!r} again")
        seen.add(identity)
    return Choice(tuple(content))


def _range(kind: str, content: list[Any] | tuple[Any, ...]) -> Dimension:
    whole = kind == "int"
    wanted = "whole numbers" if whole else "finite numbers"
    fits = all(_number(value) is not None and (isinstance(value, int) or not whole) for value in content)
    if len(content) != 2 or not fits:
        raise ValueError(f"{kind} must be [low, high], two {wanted}; found {list(content)!r}")
    low, high = content
    if low >= high:
        raise ValueError(f"{kind} must have low < high; found [{low}, {high}]")
    if kind == "log" and low <= 0:
        raise ValueError(f"log must have low > 0, because it is uniform in the logarithm; found [{low}, {high}]")
    if whole:
        return Int(low, high)
    return (Log if kind == "log" else Uniform)(float(low), float(high))


def _number(value: Any) -> float | None:
    """A finite number as float; None for anything else, and a boolean is something else."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)
