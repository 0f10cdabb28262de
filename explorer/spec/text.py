"""YAML text -> plain data, with the line of every key. Duplicate keys, aliases and unsafe tags are problems."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml

Place = tuple[str | int, ...]  # where a value stands: keys and list positions from the root


class _Loader(yaml.SafeLoader):
    """Safe tags only, and ``1e-4`` is a number, as in YAML 1.2 (PyYAML follows 1.1, where it is a string)."""


_Loader.yaml_implicit_resolvers = {  # a copy, without dates: JSON has none
    first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith(":timestamp")]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)[eE][-+]?[0-9]+$"),
    list("-+0123456789."),
)


@dataclass(frozen=True, kw_only=True, order=True)
class Problem:
    """One broken rule. ``line`` counts from 1; 0 stands for an override of the command line."""

    line: int
    text: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.text}" if self.line else self.text


@dataclass(frozen=True, kw_only=True)
class Marks:
    """Where each value stands, so that a problem found later can be told with its place."""

    lines: Mapping[Place, int] = field(default_factory=dict)
    overrides: Mapping[Place, str] = field(default_factory=dict)  # values given by ``-o``, as written there

    def problem(self, path: Sequence[str | int], text: str) -> Problem:
        """``text``, told with the place of ``path`` or of the nearest value above it."""
        here = tuple(path)
        while True:
            if here in self.overrides:
                return Problem(line=0, text=f"-o {self.overrides[here]}: {text}")
            if here in self.lines:
                return Problem(line=self.lines[here], text=text)
            below = [written for place, written in self.overrides.items() if here and place[: len(here)] == here]
            if below:
                return Problem(line=0, text=f"-o {below[0]}: {text}")
            if not here:
                return Problem(line=1, text=text)
            here = here[:-1]


@dataclass(frozen=True, kw_only=True)
class Parsed:
    """A YAML text as data. ``data`` is None where the syntax is broken."""

    data: Any
    marks: Marks
    problems: tuple[Problem, ...]


def parse(text: str) -> Parsed:
    """Parse one YAML document. Never raises for what the text holds: problems are returned."""
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        reason = " ".join(part for part in (error.context, error.problem) if part)
        return Parsed(data=None, marks=Marks(), problems=(Problem(line=line, text=f"not valid YAML: {reason}"),))
    except yaml.YAMLError as error:  # for example a control character
        return Parsed(data=None, marks=Marks(), problems=(Problem(line=1, text=f"not valid YAML: {error}"),))
    builder = _Builder(loader)
    data = builder.build(node, ()) if node is not None else None
    return Parsed(data=data, marks=Marks(lines=builder.lines), problems=tuple(builder.problems))


def parse_value(text: str) -> Any:
    """The value of an override, such as ``3``, ``[1, 2]`` or ``{log: [0.1, 1]}``.

    Raises:
        ValueError: it is not valid YAML, or holds a key twice.
    """
    parsed = parse(text)
    if parsed.problems:
        raise ValueError(parsed.problems[0].text)
    return parsed.data


_TAGS = frozenset(f"tag:yaml.org,2002:{kind}" for kind in ("null", "bool", "int", "float", "str", "seq", "map"))


class _Builder:
    """Turns nodes into dicts, lists and scalars, and notes the line of each."""

    def __init__(self, loader: _Loader) -> None:
        self._loader = loader
        self.lines: dict[Place, int] = {}
        self.problems: list[Problem] = []
        self._seen: set[int] = set()

    def build(self, node: yaml.Node, path: Place) -> Any:
        self.lines.setdefault(path, node.start_mark.line + 1)
        name = ".".join(map(str, path)) or "the file"
        if node.tag not in _TAGS:
            self.problems.append(Problem(line=self.lines[path], text=f"{name}: unknown tag {node.tag!r}; remove it"))
            return None
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node)
        # An alias comes back as the same node. Refused: it could hold itself, or grow without bound.
        if id(node) in self._seen:
            self.problems.append(Problem(line=self.lines[path], text=f"{name}: aliases are not allowed; write it out"))
            return None
        self._seen.add(id(node))
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        return [self.build(item, (*path, i)) for i, item in enumerate(node.value)]

    def _mapping(self, node: yaml.MappingNode, path: Place) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            # As written, so that `on:` and `1:` are names; `<<:` would merge an alias.
            key = key_node.value if isinstance(key_node, yaml.ScalarNode) else None
            if key is None or key_node.tag == "tag:yaml.org,2002:merge":
                self.problems.append(Problem(line=line, text=f"a key must be a name; found {key_node.value!r}"))
                continue
            if key in result:
                first = self.lines[(*path, key)]
                self.problems.append(Problem(line=line, text=f"{key}: given twice (first on line {first}); remove one"))
                continue
            self.lines[(*path, key)] = line
            result[key] = self.build(value_node, (*path, key))
        return result

    def _scalar(self, node: yaml.Node) -> Any:
        try:
            return self._loader.construct_object(node)  # type: ignore[no-untyped-call]
        except (yaml.YAMLError, ValueError) as error:
            reason = getattr(error, "problem", None) or str(error)
            self.problems.append(Problem(line=node.start_mark.line + 1, text=f"{reason}; found {node.value!r}"))
            return None
