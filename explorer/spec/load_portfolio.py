"""From a YAML file with ``systems`` to a :class:`Portfolio`: its members are read, checked, and told apart where they clash."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from explorer.errors import NotFound, SpecError, UserError
from explorer.spec.check import FILE_PATHS, shape_problems
from explorer.spec.fields import field_names, merge, unknown, value_at, with_value
from explorer.spec.load import SEVERAL, Read, build, load_space, names_several, override, read_space, with_defaults
from explorer.spec.portfolio import Portfolio, PortfolioFile, Shared
from explorer.spec.space import SearchSpace, check_name
from explorer.spec.text import Marks, Problem

_OF_ONE = "search", "system", "preset", "baselines", "sampler"  # keys that only a member has


def load_any(source: str | Path, overrides: Sequence[str] = (), *, files: bool = True) -> SearchSpace | Portfolio:
    """The search space, or the several ones, in the YAML file ``source`` or in the packaged one of that bare name.

    ``overrides``: as for :func:`explorer.spec.load.load_space`; where several systems are named, ``MEMBER.KEY=VALUE`` is for one.

    Raises:
        NotFound: there is no such file.
        SpecError: with every broken rule, of the members as well.
    """
    read = read_space(source)
    if not names_several(read.data):
        return load_space(source, overrides, files=files)
    return _Loader(read, overrides, files=files).portfolio()


@dataclass(kw_only=True)
class _Source:
    """What a member is made of, before what all share is laid over it."""

    data: Mapping[str, Any]
    place: Path
    marks: Marks = field(default_factory=Marks)


class _Loader:
    """Reads one file; ``problems`` collects what is wrong."""

    def __init__(self, read: Read, overrides: Sequence[str], *, files: bool) -> None:
        self._read = read
        self._files = files
        self.problems: list[Problem] = list(read.problems)
        given = [text for text in overrides if text.partition("=")[0].strip() == SEVERAL]
        systems = override(read.data, read.marks, given)[0][SEVERAL]
        self._known = self._labels(systems)
        own, self._of_member = _sort(overrides, self._known)
        self._data, self._marks, wrong = override(read.data, read.marks, own)
        self.problems += wrong

    def portfolio(self) -> Portfolio:
        """Raises ``SpecError``."""
        file = self._file()
        members: dict[str, SearchSpace] = {}
        if file is not None:
            for label, source in self._sources(file):
                member = self._member(file, label, source)
                if member is not None:
                    members[label] = member
            self._check(file, members)
        if self.problems or file is None:
            raise SpecError(str(self._read.path), map(str, sorted(self.problems, key=lambda problem: problem.line)))
        shared = {name: getattr(file, name) for name in Shared.model_fields}
        return Portfolio(**shared, members=members)

    def _add(self, place: Sequence[str | int], text: str) -> None:
        self.problems.append(self._marks.problem(place, text))

    def _file(self) -> PortfolioFile | None:
        raw = with_defaults(self._data)
        allowed = field_names(PortfolioFile)
        known = {key: value for key, value in raw.items() if key in allowed}
        for key in raw.keys() - known.keys():
            hint = f"it is of a system: write it in its own file, or give -o MEMBER.{key}=..."
            members = f"members: {', '.join(self._known)}; of one of them: -o MEMBER.{key}=..."
            rule = hint if key in _OF_ONE else f"{unknown(key, allowed, self._known)}; {members}"
            self._add((key,), f"{key}: unknown key beside `systems`; {rule}")
        if isinstance(known["storage"], str):
            for path in FILE_PATHS:
                value = value_at(known, ".".join(path))
                if isinstance(value, str):
                    known = with_value(known, ".".join(path), str(self._read.place / Path(value).expanduser()))
        try:
            return PortfolioFile.model_validate(known)
        except ValidationError as error:
            self.problems += shape_problems(error, PortfolioFile, self._marks)
            return None

    # --- members ------------------------------------------------------------------------------------------------------

    def _labels(self, systems: Any) -> list[str]:
        """The members' names, as far as the file says them well."""
        if isinstance(systems, Mapping):
            return [str(label) for label in systems]
        if not isinstance(systems, list):
            return []
        return [name for source in systems if (name := self._name_of(str(source))) is not None]

    def _name_of(self, source: str) -> str | None:
        try:
            return str(read_space(self._beside(source)).data["name"])
        except UserError:  # told where the member is read
            return None

    def _beside(self, source: str) -> str | Path:
        """A file beside this one, as written there; else whatever it names from the working folder."""
        beside = self._read.place / Path(source).expanduser()
        return beside if beside.is_file() else source

    def _sources(self, file: PortfolioFile) -> Iterator[tuple[str, _Source]]:
        listed = file.systems.items() if isinstance(file.systems, dict) else [("", source) for source in file.systems]
        seen: set[str] = set()
        for i, (label, given) in enumerate(listed):
            place = (SEVERAL, label) if label else (SEVERAL, i)
            source = self._source(place, given)
            if source is None:
                continue
            name = label or str(source.data["name"])
            if names_several(source.data):
                self._add(place, f"{name} names several systems itself; list its members here instead")
            elif problem := check_name(f"{file.name}.{name}"):
                self._add(place, f"{name}: its sweep would be called {file.name}.{name}, but {problem}")
            elif name in seen or name in field_names(PortfolioFile):
                why = "names two members" if name in seen else "is a key of this file"
                self._add(place, f"{name!r} {why}; give each member a name of its own: systems: {{NAME: {given!r}}}")
            else:
                seen.add(name)
                yield name, source

    def _source(self, place: Sequence[str | int], given: str | Mapping[str, Any]) -> _Source | None:
        if not isinstance(given, str):
            return _Source(data=given, place=self._read.place)
        try:
            read = read_space(self._beside(given))
        except NotFound as error:
            self._add(place, str(error))
        except SpecError as error:
            self.problems += [self._marks.problem(place, f"{given}: {problem}") for problem in error.problems]
        else:
            self.problems += [Problem(line=0, text=f"{given}, {problem}") for problem in read.problems]
            return _Source(data=read.data, place=read.place, marks=read.marks)
        return None

    def _member(self, file: PortfolioFile, label: str, source: _Source) -> SearchSpace | None:
        """The member's own space, with what all share in the place of its own."""
        data = {**source.data, "name": f"{file.name}.{label}", "member_of": file.name}
        data |= {name: _plain(getattr(file, name)) for name in ("resources", "storage", "tracking")}
        data["budget"] = {"trials": 0}  # nothing was given to it yet
        if file.data:
            own = data.get("data")
            data["data"] = merge(own if isinstance(own, Mapping) else {}, file.data)
        if file.seed is not None:
            data["seed"] = file.seed
        space, found = build(data, source.marks, self._of_member.get(label, []), relative_to=source.place, files=self._files)
        self.problems += [Problem(line=0, text=f"{label}, {problem}") for problem in found]
        return space if not found else None

    def _check(self, file: PortfolioFile, members: Mapping[str, SearchSpace]) -> None:
        """What members cannot differ in, and what they need together."""
        count = len(file.systems)
        if count < 2:
            self._add((SEVERAL,), f"systems must name two or more search spaces, got {count}; a single one is a sweep by itself")
        trials = file.budget.trials
        if trials is not None and 0 < trials < count:
            self._add(("budget", "trials"), f"budget.trials must be {count} or more, one for each member (or 0), got {trials}")
        if len(members) < count:
            return
        wanted = {label: ", ".join(f"{m} {way}" for m, way in member.objectives.items()) for label, member in members.items()}
        if len(set(wanted.values())) > 1:
            told = "; ".join(f"{label}: {objectives}" for label, objectives in wanted.items())
            self._add((SEVERAL,), f"objectives must be those of all members, got {told}; change those that differ")
        videos = {label: _videos(member) for label, member in members.items()}
        if len(set(videos.values())) > 1:
            told = "; ".join(f"{label}: {of_member}" for label, of_member in videos.items())
            remedy = "give all of them one manifest, here: data: {manifest: FILE}"
            self._add((SEVERAL,), f"systems share a budget and a front on the same videos only; got {told}; {remedy}")


def _sort(overrides: Sequence[str], labels: Sequence[str]) -> tuple[list[str], dict[str, list[str]]]:
    """Overrides of what all share, and those of each member without its name."""
    own: list[str] = []
    of_member: dict[str, list[str]] = {}
    for text in overrides:
        key = text.partition("=")[0]
        label = max((name for name in labels if key.strip().startswith(f"{name}.")), key=len, default=None)
        if label is None:
            own.append(text)
        else:
            of_member.setdefault(label, []).append(text.strip().removeprefix(f"{label}."))
    return own, of_member


def _videos(space: SearchSpace) -> str:
    """Which videos a member is trained and measured on, and how they are split."""
    manifest = value_at(space.config, "data.manifest")
    if manifest is None:  # a system that makes its own
        return f"those of system {space.system}, {space.load_system().data_fingerprint(space.base_config())}"
    split_seed = getattr(getattr(space.base_config(), "data", None), "split_seed", 0)
    return f"{Path(manifest).resolve()}, split with seed {split_seed}"


def _plain(value: Any) -> Any:
    return value.model_dump(mode="json", exclude_none=True) if hasattr(value, "model_dump") else value
