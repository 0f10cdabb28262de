"""From a YAML file to a :class:`SearchSpace`: every broken rule is found before anything else happens."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import search_spaces
from explorer.errors import NotFound, SpecError
from explorer.spec.check import Checker
from explorer.spec.fields import with_value
from explorer.spec.space import SearchSpace, has_password
from explorer.spec.text import Marks, Place, Problem, parse, parse_value
from explorer.store.remote import local_root


def load_space(source: str | Path, overrides: Sequence[str] = (), *, files: bool = True) -> SearchSpace:
    """The search space in the YAML file ``source``, or in the packaged one of that bare name.

    ``overrides`` are ``key=value`` with a dotted key of the YAML and a value in YAML (``search.KEY=null`` removes a
    dimension). Relative paths in a file of one's own are relative to it; in a packaged one, and ``storage`` always,
    to the working folder. ``files=False`` does not ask whether the manifest exists.

    Raises:
        NotFound: there is no such file.
        SpecError: with every broken rule, each with its line.
    """
    read = read_space(source)
    if names_several(read.data):
        raise SpecError(
            str(read.path),
            [f"it names several systems ({', '.join(map(str, read.data[SEVERAL]))}), and one is needed here; give one of these"],
        )
    space, found = build(read.data, read.marks, overrides, relative_to=read.place, files=files)
    return _checked(str(read.path), space, [*read.problems, *found])


SEVERAL = "systems"  # the key of a file that names several (:mod:`explorer.spec.portfolio`)


@dataclass(frozen=True, kw_only=True)
class Read:
    """A search space's file as data, its name filled in. ``place``: what paths in it are relative to."""

    path: Path
    data: Mapping[str, Any]
    marks: Marks
    problems: tuple[Problem, ...]
    place: Path


def read_space(source: str | Path) -> Read:
    """What the YAML file ``source``, or the packaged one of that bare name, holds.

    Raises:
        NotFound: there is no such file.
        SpecError: it holds no keys and values.
    """
    path = find_space(source)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise NotFound(f"{path} cannot be read as a text file ({error}); give a YAML file") from error
    parsed = parse(text)
    problems = list(parsed.problems)
    if parsed.data is None and not problems:
        problems.append(Problem(line=1, text="the file is empty; it must hold at least `system: NAME`"))
    elif parsed.data is not None and not isinstance(parsed.data, Mapping):
        problems.append(Problem(line=1, text=f"the file must hold keys and values; found {type(parsed.data).__name__}"))
    if not isinstance(parsed.data, Mapping):
        raise SpecError(str(path), map(str, problems))
    place = Path.cwd() if path.parent == search_spaces.FOLDER else path.parent
    data = {"name": path.stem, **parsed.data}
    return Read(path=path, data=data, marks=parsed.marks, problems=tuple(problems), place=place)


def names_several(data: Mapping[str, Any]) -> bool:
    """Whether a file names several systems."""
    return SEVERAL in data


def make_space(data: Mapping[str, Any], overrides: Sequence[str] = (), *, subject: str) -> SearchSpace:
    """The search space that ``data`` describes, with the keys of a YAML file; ``subject`` names it in errors.

    Relative paths are relative to the working folder.

    Raises:
        SpecError: with every broken rule.
    """
    space, problems = build(data, Marks(), overrides, relative_to=Path.cwd(), files=True)
    return _checked(subject, space, problems)


def build(
    data: Mapping[str, Any], marks: Marks, overrides: Sequence[str], *, relative_to: Path, files: bool
) -> tuple[SearchSpace | None, list[Problem]]:
    """The search space that ``data`` describes, None where it is too broken to be one, and the rules that it breaks."""
    overridden, marks, wrong = override(data, marks, overrides)
    checker = Checker(marks=marks, relative_to=relative_to, files=files)
    space = checker.check(with_defaults(overridden))
    return space, [*wrong, *checker.problems]


def _checked(subject: str, space: SearchSpace | None, problems: Sequence[Problem]) -> SearchSpace:
    if problems or space is None:
        raise SpecError(subject, map(str, sorted(problems, key=lambda problem: problem.line)))
    return space


def find_space(source: str | Path) -> Path:
    """The absolute path of a search space's file. Raises ``NotFound``."""
    path = Path(source).expanduser()
    if path.is_file():
        return path.resolve()
    packaged = search_spaces.find(str(source))
    if packaged is None:
        names = ", ".join(search_spaces.names())
        raise NotFound(f"no search space {str(source)!r}: there is no such file, and the packaged ones are {names}")
    return packaged


def with_defaults(data: Mapping[str, Any]) -> dict[str, Any]:
    """``storage`` absolute, ``tracking`` from the environment or beside the sweeps."""
    full = dict(data)
    storage = full.get("storage", "./runs")
    if isinstance(storage, str) and "://" not in storage:
        full["storage"] = str(Path(storage).expanduser().absolute())
    tracking = full.get("tracking") or os.environ.get("MLFLOW_TRACKING_URI")
    if not full.get("tracking") and has_password(tracking or ""):
        full["tracking"] = ""  # it stays in the environment, where it is looked for again
    elif tracking is None:
        full["tracking"] = f"sqlite:///{local_root(str(full['storage']))}/mlflow.db"
    elif isinstance(tracking, str) and tracking.startswith("sqlite:///") and not tracking.startswith("sqlite:////"):
        full["tracking"] = f"sqlite:///{Path(tracking.removeprefix('sqlite:///')).absolute()}"
    else:
        full["tracking"] = tracking
    return full


def override(
    data: Mapping[str, Any], marks: Marks, overrides: Sequence[str]
) -> tuple[dict[str, Any], Marks, list[Problem]]:
    """``data`` with ``key=value`` set, where each value now stands, and what is wrong with them."""
    result = dict(data)
    places: dict[Place, str] = {}
    problems: list[Problem] = []
    for text in overrides:
        key, separator, written = text.partition("=")
        key = key.strip()
        if not separator or not key:
            problems.append(Problem(line=0, text=f"-o {text}: must be key=value, for example -o budget.trials=8"))
            continue
        try:
            value = parse_value(written)
            if key.startswith("search."):
                place: Place = ("search", key.removeprefix("search."))
                result["search"] = _with_dimension(result.get("search"), str(place[1]), value)
            else:
                place = tuple(key.split("."))
                result = with_value(result, key, value)
        except KeyError:
            problems.append(Problem(line=0, text=f"-o {text}: a part of {key} is a value, not a group of keys"))
        except ValueError as error:
            problems.append(Problem(line=0, text=f"-o {text}: {error}"))
        else:
            places[place] = text
    return result, Marks(lines=marks.lines, overrides=places), problems


def _with_dimension(search: Any, path: str, value: Any) -> dict[str, Any]:
    """Keys of ``search`` are dotted themselves, so they are not taken apart."""
    if search is not None and not isinstance(search, Mapping):
        raise KeyError(path)
    dimensions = dict(search or {})
    if value is None:
        dimensions.pop(path, None)
    else:
        dimensions[path] = value
    return dimensions
