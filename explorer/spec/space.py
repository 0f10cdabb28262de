"""The search space: what one YAML file says, validated and frozen. Nothing below this layer reads raw YAML."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    PlainValidator,
    ValidationError,
    model_validator,
)

from explorer.errors import SpecError
from explorer.spec.constraint import METRICS, Constraint, parse_constraint
from explorer.spec.dimension import Dimension, Int, Uniform, Value, parse_dimension
from explorer.spec.fields import value_at, with_value
from explorer.store.remote import local_root
from trainables.contract import Conditioning, Json, System, SystemConfig
from trainables.systems import load_system

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_TAKEN = ("store", "cache")  # folders of the storage that all its sweeps share

ParsedDimension = Annotated[
    Dimension, PlainValidator(parse_dimension), PlainSerializer(lambda dimension: dimension.raw())
]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Budget(_Frozen):
    """When a sweep ends: at whichever given limit comes first. A finished sweep may be resumed with a larger one.

    ``trials`` 0 trains the baselines alone. ``passes``: passes over the training videos, shared stages counted once.
    ``hours``: wall clock. ``plateau``: so many trials that ended one after the other without adding hypervolume.
    """

    trials: int | None = Field(default=None, ge=0)
    passes: int | None = Field(default=None, ge=1)
    hours: float | None = Field(default=None, gt=0)
    plateau: int | None = Field(default=None, ge=1)

    @model_validator(mode="after")
    def _some_limit(self) -> Budget:
        if all(limit is None for limit in (self.trials, self.passes, self.hours, self.plateau)):
            raise ValueError("a budget must give at least one of trials, passes, hours, plateau")
        return self


class Resources(_Frozen):
    """What one worker group takes. ``workers``: ranks that share a batch. ``groups``: None = as many as fit."""

    workers: int = Field(default=1, ge=1)
    groups: int | None = Field(default=None, ge=1)
    cpus_per_worker: float = Field(default=1, gt=0)
    gpus_per_worker: float = Field(default=0, ge=0)


class EarlyStopping(_Frozen):
    """Trials that others leave behind at equal progress are paused, and pruned if they never catch up.

    ``reduction_factor``: one trial in so many goes on beyond a rung. ``grace_epochs``: of a measured stage, before its first
    rung. ``settled``: a trial one of whose selection rates changed by more than this in the last epoch is not compared yet.
    """

    reduction_factor: int = Field(default=3, ge=2, le=100)
    grace_epochs: int = Field(default=2, ge=1)
    settled: float = Field(default=0.1, gt=0, le=1)


class Preview(_Frozen):
    """Rung 0: of so many proposals for a trial, previewed at table speed, the one that adds most to the front runs."""

    candidates: int = Field(default=16, ge=2, le=1000)


class FillGaps(_Frozen):
    """Some trials are aimed at the widest gap of the front: their weights lie between those on both sides of it.

    ``every``: one trial in so many, as soon as ``after`` trials are complete. In a sweep that starts conditioned the independent
    trials are aimed anyway, and neither counts. ``fork``: an aimed trial starts from the checkpoint of the nearer trial beside the
    gap, has its other parameters, and trains this share of the epochs of that stage (AdaMML: joint); null: from scratch.
    """

    every: int = Field(default=2, ge=1)
    after: int = Field(default=6, ge=2)
    fork: float | None = Field(default=None, gt=0, le=1)


def check_name(value: str) -> str | None:
    """Why a sweep cannot be called ``value``; None if it can."""
    if not _NAME.fullmatch(value):
        return f"a name must be letters, digits, '.', '_' and '-' (it becomes a folder), 100 at most; found {value!r}"
    if value in _TAKEN:
        return f"the names {' and '.join(_TAKEN)} are folders that all sweeps share; found {value!r}"
    return None


def check_sweep_name(value: Any) -> Any:
    """For pydantic: ``value`` where it can be a sweep's name. Raises ``ValueError``."""
    if isinstance(value, str) and (problem := check_name(value)):
        raise ValueError(problem)
    return value


def has_password(uri: str) -> bool:
    """Whether an address of a server or database holds one."""
    return bool(re.match(r"[^/]*://[^/@]*:[^/]*@", uri))


def check_tracking(value: Any) -> Any:
    """For pydantic: ``value`` where it can be an address of MLflow. Raises ``ValueError``."""
    if isinstance(value, str) and has_password(value):
        shown = re.sub(r"://[^/]*@", "://***@", value)
        raise ValueError(
            f"must hold no password, as it is kept in the sweep's folder and shown in MLflow; found {shown!r}; leave it out "
            "and set MLFLOW_TRACKING_URI, or MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"
        )
    return value


def _objective(value: Any, metric: str) -> str | None:
    if metric not in METRICS:
        return f"unknown objective {metric!r}; allowed: {', '.join(f'{m}: {d}' for m, d in METRICS.items())}"
    if value != METRICS[metric]:
        return f"the objective {metric} must be {METRICS[metric]!r}; found {value!r}"
    return None


def _objectives(value: Any) -> Any:
    if isinstance(value, Mapping):
        wrong = [text for metric, direction in value.items() if (text := _objective(direction, metric))]
        if wrong:
            raise ValueError("; ".join(wrong))
        if not value:
            raise ValueError(f"at least one objective is needed; allowed: {', '.join(METRICS)}")
    return value


def _constraint(value: Any) -> Any:
    parse_constraint(value)
    return value


class SearchSpace(_Frozen):
    """A sweep as described by one YAML file. ``config`` is what the system's own configuration is made of.

    ``first_points``: asked for before the sampler is, after the configuration's own values; a field left out keeps the
    configuration's. ``warm_start``: earlier sweeps (name or folder) whose finished trials the sampler knows from the start.
    ``storage`` and the manifest are absolute, whatever the YAML said, so that it means the same in every process.
    ``start_with`` conditioned: the first trial is one that serves every value of the fields that its system can condition on
    (AdaMML: the lambdas), and the search says when an independent one is worth it (``explorer/search/focus.py``).
    ``member_of``: the portfolio that hands out its budget (:mod:`explorer.spec.portfolio`); empty where it is alone.
    ``order`` strict: with g groups, trial n is proposed from the trials up to n - g, exactly, so that the sweep ends with the
    same front however often it was interrupted. ``classes``: how many the data have, for ``explorer cost`` where they are not here.
    """

    name: Annotated[str, BeforeValidator(check_sweep_name)]
    system: str
    preset: str = "tiny"
    config: dict[str, Any] = Field(default_factory=dict)
    search: dict[str, ParsedDimension] = Field(default_factory=dict)
    objectives: Annotated[dict[str, Literal["max", "min"]], BeforeValidator(_objectives)] = Field(
        default={"accuracy": "max", "gflops": "min"}
    )
    constraints: tuple[Annotated[str, BeforeValidator(_constraint)], ...] = ()
    baselines: tuple[str, ...] = ()
    sampler: str = "tpe"
    start_with: Literal["defaults", "conditioned"] = "defaults"
    first_points: tuple[dict[str, Value], ...] = ()
    warm_start: tuple[str, ...] = ()
    order: Literal["free", "strict"] = "free"
    early_stopping: EarlyStopping | None = None
    preview: Preview | None = None
    fill_gaps: FillGaps | None = None
    budget: Budget = Budget(trials=16)
    resources: Resources = Resources()
    storage: str = "./runs"
    tracking: Annotated[str, BeforeValidator(check_tracking)] = ""
    seed: int = Field(default=0, ge=0, lt=2**31)
    classes: int | None = Field(default=None, ge=1)
    member_of: str = ""

    @property
    def folder(self) -> Path:
        """Where this sweep keeps what is its own: ``space.yaml``, ``study.journal``, ``front.json``."""
        return local_root(self.storage) / self.name

    @property
    def store_folder(self) -> Path:
        """The stage store, shared by all sweeps of the storage."""
        return local_root(self.storage) / "store"

    @property
    def area(self) -> str:
        """Of the store, for what is half trained: members of a portfolio are trained by the same workers."""
        return self.member_of or self.name

    @property
    def cache_folder(self) -> Path:
        """Decoded media, shared by all sweeps of the storage."""
        return local_root(self.storage) / "cache"

    @property
    def parsed_constraints(self) -> tuple[Constraint, ...]:
        """``constraints``, parsed."""
        return tuple(parse_constraint(text) for text in self.constraints)

    @property
    def cohort(self) -> int | None:
        """How many trials decide among themselves who goes on; None = all that there are, as they come."""
        if self.early_stopping is None or self.order != "strict":
            return None
        return max(self.early_stopping.reduction_factor**2, self.resources.groups or 1)

    def load_system(self) -> System:
        """The system that is searched."""
        return load_system(self.system)

    def base_config(self) -> SystemConfig:
        """The configuration without any searched value."""
        return self.configure({})

    def configure(self, params: Mapping[str, Value | Json]) -> SystemConfig:
        """The configuration with ``params`` (dotted path -> value) set.

        Raises:
            SpecError: the values, each allowed by itself, are refused together.
        """
        raw: Mapping[str, Any] = self.config
        for path, value in params.items():
            raw = with_value(raw, path, value)
        try:
            return self.load_system().Config.model_validate(raw)
        except ValidationError as error:
            problems = [f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors(include_url=False)]
            raise SpecError(f"{self.name} with {dict(params)}", problems) from error

    def conditioning(self) -> Conditioning | None:
        """What the conditioned trials of this space are; None where there are none."""
        if self.start_with != "conditioned":
            return None
        ranges = {
            path: (float(dimension.low), float(dimension.high))
            for path, dimension in self.search.items()
            if isinstance(dimension, Uniform | Int)
        }
        return self.load_system().conditioning(self.base_config(), ranges)

    @property
    def measures_fronts(self) -> bool:
        """Whether the search wants to know the whole front of a trial's own points."""
        return self.fill_gaps is not None or self.preview is not None or self.conditioning() is not None

    def weights(self) -> tuple[str, ...]:
        """The searched fields that move a trial along the front; numbers, whose logarithms mean something."""
        numbers = (path for path in self.load_system().trade_off(self.base_config()) if path in self.search)
        return tuple(path for path in numbers if any(_positive(end) for end in self.search[path].ends()))

    def canonical(self, params: Mapping[str, Value]) -> Mapping[str, Value]:
        """``params`` with the configuration's own value where a conditioned trial ignores what is given.

        So two trials with equal parameters are one, and the other way round.
        """
        found = self.conditioning()
        if found is None or params.get(found.field) != found.on:
            return params
        config = self.base_config().model_dump(mode="json", by_alias=True)
        own = {path: self.search[path].nearest(value_at(config, path)) for path in found.covers if path in self.search}
        return {**params, **own}

    def dump(self) -> dict[str, Any]:
        """As one would write it in YAML, every value spelled out; JSON-able. Loading it gives an equal space."""
        dumped = self.model_dump(mode="json")
        config = dumped.pop("config")
        if not self.member_of:
            del dumped["member_of"]
        return {**dumped, **config}

    def to_yaml(self) -> str:
        """:meth:`dump` as YAML text, for ``space.yaml``."""
        return yaml.safe_dump(self.dump(), sort_keys=False, allow_unicode=True, width=120)


def _positive(value: Value) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value > 0


RESERVED: tuple[str, ...] = tuple(name for name in SearchSpace.model_fields if name != "config")
