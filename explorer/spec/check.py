"""The rules of a search space, and one report of all that are broken."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import to_jsonable_python

from explorer.search.samplers import SAMPLERS
from explorer.spec.constraint import METRICS
from explorer.spec.dimension import Choice, Dimension
from explorer.spec.fields import (
    canonical,
    field_names,
    instance_defaults,
    leaf_paths,
    merge,
    model_at,
    siblings,
    unknown,
    value_at,
    with_value,
    without,
)
from explorer.spec.rungs import rungs_of
from explorer.spec.space import RESERVED, SearchSpace
from explorer.spec.text import Marks, Place, Problem
from trainables.contract import System, SystemConfig
from trainables.errors import UserError
from trainables.systems import SYSTEMS, load_system

FILE_PATHS: tuple[tuple[str, ...], ...] = (("data", "manifest"),)  # configuration values that name a file

_SYSTEMS = f"{', '.join(SYSTEMS)} or module:Class"
_NOT_A_FIELD = "not a field"

ErrorKey = tuple[tuple[str | int, ...], str]


class Checker:
    """Checks one search space; ``problems`` collects what is wrong."""

    def __init__(self, *, marks: Marks, relative_to: Path, files: bool) -> None:
        self._marks = marks
        self._relative_to = relative_to
        self._files = files
        self.problems: list[Problem] = []

    def check(self, data: Mapping[str, Any]) -> SearchSpace | None:
        """The space in ``data``; None where it is too broken to make one. All problems are in ``problems``."""
        reserved = {key: value for key, value in data.items() if key in RESERVED}
        space = self._reserved(reserved)
        if space is None:
            return None
        self._storage(space)
        if space.order == "strict" and space.resources.groups is None:
            self._add(("order",), "order: strict needs resources.groups: how many trials run at a time decides what each knows")
        if space.sampler not in SAMPLERS:
            self._add(("sampler",), f"unknown sampler {space.sampler!r}; {unknown(space.sampler, SAMPLERS)}")
        system = self._system(space)
        if system is None:
            return None
        raw = self._raw_config(space, system, {key: value for key, value in data.items() if key not in RESERVED})
        config = self._config(system, raw)
        if config is not None and space.start_with == "conditioned":
            space, raw = self._conditioned(space.model_copy(update={"config": to_jsonable_python(raw)}), system, raw)
        self._search(space.search, system, raw, config)
        self._first_points(space)
        if config is not None:
            self._baselines(space, system, config)
            self._early_stopping(space, system, config)
            self._preview(space, system, config)
            self._fill_gaps(space.model_copy(update={"config": to_jsonable_python(raw)}), system, config)
        return space.model_copy(update={"config": to_jsonable_python(raw)})

    def _add(self, place: Sequence[str | int], text: str) -> None:
        self.problems.append(self._marks.problem(place, text))

    def _reserved(self, reserved: Mapping[str, Any]) -> SearchSpace | None:
        """Validate the keys that every system shares; broken ones are left out, so that the rest is checked."""
        try:
            return SearchSpace.model_validate(reserved)
        except ValidationError as error:
            errors = error.errors(include_url=False)
        remaining = {key: dict(value) if isinstance(value, Mapping) else value for key, value in reserved.items()}
        for details in errors:
            place = _place(details)
            self._add(place, _message(details, _allowed(SearchSpace, place)))
            if place[0] == "search" and len(place) > 1 and isinstance(remaining.get("search"), dict):
                remaining["search"].pop(place[1], None)
            else:
                remaining.pop(str(place[0]), None)
        try:
            return SearchSpace.model_validate({"name": "unnamed", **remaining})
        except ValidationError:  # without a system, say
            return None

    def _early_stopping(self, space: SearchSpace, system: System, config: SystemConfig) -> None:
        early = space.early_stopping
        if early is None:
            return
        rungs = rungs_of(
            system.stages(config), reduction_factor=early.reduction_factor, grace_epochs=early.grace_epochs
        )
        if not rungs:
            self._add(
                ("early_stopping",),
                "early_stopping: no trial could be stopped: no stage is measured that another one follows, or that lasts "
                f"{early.reduction_factor * early.grace_epochs} epochs (reduction_factor x grace_epochs); lower these or "
                "leave early_stopping out",
            )

    def _preview(self, space: SearchSpace, system: System, config: SystemConfig) -> None:
        if space.preview is None:
            return
        if not system.preview_stages(config):
            self._add(("preview",), f"preview: system {space.system} has no previews; leave preview out")
        elif set(space.objectives) != {"accuracy", "gflops"}:
            self._add(
                ("preview",),
                "preview needs both objectives, {accuracy: max, gflops: min}: it chooses by the front of the two",
            )
        elif not space.search:
            self._add(("preview",), "preview chooses among proposals, and nothing is searched; leave preview out")

    def _fill_gaps(self, space: SearchSpace, system: System, config: SystemConfig) -> None:
        if space.fill_gaps is None:
            return
        if set(space.objectives) != set(METRICS):
            wanted, found = " and ".join(METRICS), ", ".join(space.objectives)
            self._add(("fill_gaps",), f"fill_gaps needs the objectives {wanted}: a gap lies between both; found {found}")
        if space.fill_gaps.fork is not None and not any(stage.forkable for stage in system.stages(config)):
            self._add(("fill_gaps", "fork"), f"fill_gaps.fork: {system.name} has no stage that can be forked; leave it out")
        moving = system.trade_off(config)
        if not moving:
            self._add(("fill_gaps",), f"fill_gaps: {system.name} names no field that moves a trial along the front; leave it out")
        elif not set(moving) & set(space.search):
            self._add(
                ("fill_gaps",),
                f"fill_gaps needs one of the fields that move a trial along the front to be searched: {', '.join(moving)}",
            )

    def _storage(self, space: SearchSpace) -> None:
        scheme, separator, _ = space.storage.partition("://")
        if not separator:
            return
        from fsspec import available_protocols  # 20 ms that most search spaces need not wait for

        if scheme not in available_protocols():
            told = "a folder, or a URL that fsspec knows (s3://bucket/runs)"
            self._add(("storage",), f"storage must be {told}; found {space.storage!r}")

    def _system(self, space: SearchSpace) -> System | None:
        if ":" not in space.system and space.system not in SYSTEMS:
            rule = f"unknown system {space.system!r}; {unknown(space.system, SYSTEMS)}, or module:Class"
            self._add(("system",), rule)
            return None
        try:
            return load_system(space.system)
        except UserError as error:
            self._add(("system",), str(error))
            return None

    def _raw_config(self, space: SearchSpace, system: System, written: Mapping[str, Any]) -> dict[str, Any]:
        """Defaults, the preset and what the YAML says, laid over each other; file paths made absolute."""
        model = system.Config
        preset = system.presets.get(space.preset)
        if preset is None:
            place = ("preset",) if ("preset",) in self._marks.lines else ("system",)
            self._add(place, f"unknown preset {space.preset!r}; {unknown(space.preset, system.presets)}")
        raw = merge(instance_defaults(model), canonical(model, preset or {}))
        raw = merge(raw, canonical(model, written))
        for path in FILE_PATHS:
            value = value_at(raw, ".".join(path))
            if isinstance(value, str | Path):
                raw = with_value(raw, ".".join(path), str(self._file(path, Path(value))))
        return raw

    def _file(self, path: Sequence[str], value: Path) -> Path:
        full = self._relative_to / value.expanduser()
        if self._files and not full.is_file():
            kind = "is a folder" if full.is_dir() else "does not exist"
            self._add(path, f"{'.'.join(path)}: the file {full} {kind}; give the path of a file")
        return full

    def _config(self, system: System, raw: Mapping[str, Any]) -> SystemConfig | None:
        """Validate the configuration. Broken values are left out of what is returned, so that the rest is checked."""
        config, errors = _validate(system.Config, raw)
        remaining = dict(raw)
        for details in errors:
            place = _place(details)
            self._add(place, _message(details, _allowed(system.Config, place, RESERVED if len(place) == 1 else ())))
            if details["type"] != "missing":
                remaining = without(remaining, place)
        return config if not errors else _validate(system.Config, remaining)[0]

    def _conditioned(
        self, space: SearchSpace, system: System, raw: dict[str, Any]
    ) -> tuple[SearchSpace, dict[str, Any]]:
        """The space with its conditioning as a searched field, on in the configuration; unchanged where that was said."""
        found = space.conditioning()
        if found is None:
            self._add(
                ("start_with",),
                f"start_with: conditioned needs a searched range above 0 of a field that {system.name} can condition on "
                "(docs/conditioned.md); search one or leave start_with out",
            )
            return space, raw
        for path, value in {found.field: found.on, **found.settings}.items():
            raw = with_value(raw, path, value)
        search = {found.field: Choice((found.on, found.off)), **space.search}
        return space.model_copy(update={"search": search}), raw

    def _search(
        self,
        search: Mapping[str, Dimension],
        system: System,
        raw: Mapping[str, Any],
        config: SystemConfig | None,
    ) -> None:
        """Each end of each dimension must be a value that the configuration takes."""
        already = {_key(details) for details in _validate(system.Config, raw)[1]}
        fields = config.model_dump(by_alias=True) if config else raw
        for path, dimension in search.items():
            told: set[str] = set()
            for value in dimension.ends():
                try:
                    with_value(fields, path, value)  # knows the defaults, which ``raw`` may leave out
                    rule = _rejection(system.Config, with_value(raw, path, value), already)
                except KeyError:  # a part of the path is a value
                    rule = _NOT_A_FIELD
                if rule is None or rule in told:
                    continue
                told.add(rule)
                if rule == _NOT_A_FIELD:
                    names = unknown(path, siblings(fields, path), leaf_paths(fields))
                    self._add(("search", path), f"search.{path}: not a field of {system.name}'s configuration; {names}")
                else:
                    self._add(("search", path), f"search.{path}: the field does not take {value!r}: {rule}")

    def _first_points(self, space: SearchSpace) -> None:
        """A first point gives searched fields values inside their dimensions."""
        for i, point in enumerate(space.first_points):
            for path, value in point.items():
                dimension = space.search.get(path)
                if dimension is None:
                    self._add(("first_points", i), f"first_points: {path!r} is not searched; {unknown(path, space.search)}")
                elif dimension.nearest(value) != value:
                    rule = f"first_points: {path} must lie in {dimension}; found {value!r}"
                    self._add(("first_points", i), rule)

    def _baselines(self, space: SearchSpace, system: System, config: SystemConfig) -> None:
        known = system.baseline_stages(config)
        for i, name in enumerate(space.baselines):
            if name not in known:
                self._add(("baselines", i), f"unknown baseline {name!r}; {unknown(name, known)}")


def shape_problems(error: ValidationError, model: type[BaseModel], marks: Marks) -> list[Problem]:
    """What pydantic found, in the words of this module."""
    found = error.errors(include_url=False)
    return [marks.problem(place := _place(details), _message(details, _allowed(model, place))) for details in found]


def _rejection(model: type[BaseModel], raw: Mapping[str, Any], already: set[ErrorKey]) -> str | None:
    """The first rule that ``raw`` breaks beyond those in ``already``; None if there is none."""
    for details in _validate(model, raw)[1]:
        if _key(details) not in already:
            return _NOT_A_FIELD if details["type"] == "extra_forbidden" else _rule(details)
    return None


def _validate(model: type[BaseModel], raw: Mapping[str, Any]) -> tuple[Any, list[Mapping[str, Any]]]:
    try:
        return model.model_validate(raw), []
    except ValidationError as error:
        return None, [dict(details) for details in error.errors(include_url=False)]


def _place(details: Mapping[str, Any]) -> Place:
    return tuple(details["loc"])


def _key(details: Mapping[str, Any]) -> ErrorKey:
    return _place(details), str(details["type"])


def _allowed(model: type[BaseModel], place: Place, more: Sequence[str] = ()) -> tuple[str, ...]:
    """The names that may stand where the last part of ``place`` stands."""
    parent = model_at(model, place[:-1])
    return (*(field_names(parent) if parent else ()), *more)


def _message(details: Mapping[str, Any], allowed: Sequence[str]) -> str:
    """One pydantic error as a rule, what was found and what is allowed."""
    place = _place(details)
    where = ".".join(str(part) for part in place)
    prefix = f"{where}: " if where else ""
    if details["type"] == "extra_forbidden":
        return f"{prefix}unknown key; {unknown(str(place[-1]), allowed)}"
    if details["type"] == "missing":
        return f"{prefix}missing; it must be given" + (f" ({_SYSTEMS})" if place == ("system",) else "")
    if details["type"] in ("value_error", "assertion_error"):  # a validator's own words say what was found
        return prefix + _rule(details)
    return f"{prefix}{_rule(details)}; found {details['input']!r}"


def _rule(details: Mapping[str, Any]) -> str:
    message = str(details["msg"])
    if details["type"] in ("value_error", "assertion_error"):
        return message.partition(", ")[2]
    return f"{message[:1].lower()}{message[1:]}"
