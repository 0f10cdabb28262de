"""Picks in MLflow's model registry: a version for each point, an alias for each budget; and the way back, to a folder."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from explorer.errors import NotFound, TrackingFailed, UserError
from explorer.tracking.models import POINT_ID, Described, log_model, quiet
from explorer.tracking.runs import EXPERIMENT_TAGS, IDENTIFIER, ROLE, SWEEP_ID
from explorer.tracking.where import (
    artifacts_location,
    client_of,
    default_tracking,
    experiment_of,
    sweep_id,
    tracking_of,
    without_password,
)
from trainables.contract import Json

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

SCHEME = "models:/"


@dataclass(frozen=True, kw_only=True)
class Registered:
    """A version in the registry. ``tracking``: the server or database that holds it."""

    name: str
    version: str
    alias: str
    tracking: str
    created: bool

    @property
    def uri(self) -> str:
        return f"{SCHEME}{self.name}@{self.alias}"

    def to_json(self) -> dict[str, Json]:
        return {
            "name": self.name,
            "version": self.version,
            "alias": self.alias,
            "uri": self.uri,
            "tracking": without_password(self.tracking),
            "created": self.created,
        }


def register(pick: Path, name: str, *, alias: str, sweep: Path) -> Registered:
    """Make the folder ``pick`` a version of ``name`` and point ``alias`` at it.

    The very same point of the same sweep is not stored twice: then its version gets the alias. ``alias``: characters that
    MLflow does not take in one become ``_``.

    Raises:
        UserError: the sweep is not tracked.
        TrackingFailed: the registry does not answer.
    """
    tracking = tracking_of(sweep)
    if not tracking:
        raise UserError(
            f"{sweep} is not tracked (`tracking: none`), so nothing can be registered; set MLFLOW_TRACKING_URI"
        )
    facts = json.loads((pick / "pick.json").read_text(encoding="utf-8"))
    label = re.sub(r"[^A-Za-z0-9_-]", "_", alias)
    with _told(tracking):
        client = client_of(tracking)
        _ensure_name(client, name)
        identity = {SWEEP_ID: sweep_id(sweep), POINT_ID: facts[POINT_ID]}
        version = _known(client, name, identity)
        created = version is None
        if version is None:
            location = artifacts_location(tracking, sweep)
            experiment_id, run_id = _run_of(client, experiment_of(sweep), facts, identity[SWEEP_ID], location)
            version = _new_version(client, name, pick, facts, identity, experiment_id, run_id)
        client.set_registered_model_alias(name, label, version.version)
    return Registered(name=name, version=str(version.version), alias=label, tracking=tracking, created=created)


def download(uri: str, target: Path, *, tracking: str | None = None) -> Path:
    """Fetch the pick behind ``models:/NAME@alias`` or ``models:/NAME/VERSION`` below ``target``; its folder.

    ``tracking``: where to ask; by default ``MLFLOW_TRACKING_URI``, else the database of the sweeps in ``./runs``.

    Raises:
        UserError: it is no such address, or what is there is no pick.
        NotFound: the registry has no such model; those that it has are named.
        TrackingFailed: the registry does not answer.
    """
    place = tracking or default_tracking()
    with _told(place):
        client = client_of(place)
        version = _find(client, uri)
        from mlflow.artifacts import download_artifacts

        with quiet():
            target.mkdir(parents=True, exist_ok=True)
            # Not models:/NAME/VERSION, which would be looked up in the process's default registry.
            source = client.get_model_version_download_uri(version.name, version.version)
            model = Path(download_artifacts(artifact_uri=source, dst_path=str(target), tracking_uri=place))
    found = yaml.safe_load((model / "MLmodel").read_text(encoding="utf-8"))
    artifacts = found["flavors"].get("python_function", {}).get("artifacts", {})
    if "pick" not in artifacts:
        raise UserError(f"{uri} must be a model that `explorer pick --register` made; it holds no pick")
    return model / artifacts["pick"]["path"]


@contextmanager
def _told(tracking: str) -> Iterator[None]:
    """MLflow's own errors, and those of the connection, as ours."""
    try:
        yield
    except (NotFound, UserError):
        raise
    except Exception as error:
        from mlflow.exceptions import MlflowException

        if not isinstance(error, MlflowException | OSError):
            raise
        text = str(error).splitlines()[0][:300] if str(error) else type(error).__name__
        raise TrackingFailed(f"MLflow at {without_password(tracking)}: {text}") from error


def _ensure_name(client: MlflowClient, name: str) -> None:
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(name, description="Adaptive video recognisers, an alias for each budget.")
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


def _known(client: MlflowClient, name: str, identity: Mapping[str, str]) -> ModelVersion | None:
    # Filtered here: a search by tags with dots in their names differs between MLflow's stores.
    for version in client.search_model_versions(f"name = '{name}'"):
        if all(version.tags.get(tag) == value for tag, value in identity.items()):
            return version
    return None


def _new_version(
    client: MlflowClient,
    name: str,
    pick: Path,
    facts: Mapping[str, Any],
    identity: Mapping[str, str],
    experiment_id: str,
    run_id: str | None,
) -> ModelVersion:
    tags = {**identity, **version_tags(facts)}
    described = Described(name=name, params={k: str(v) for k, v in facts["knobs"].items()}, tags=tags, metrics={})
    model = log_model(client, experiment_id=experiment_id, run_id=run_id, pick=pick, described=described)
    measured = facts["measured"]["val"]
    convention = facts["wish"]["convention"]
    return client.create_model_version(
        name,
        # Neither models:/ID nor an id without a run: the database's registry would look those up wherever this process
        # tracks by default (mlflow 3.17, a TODO in its sqlalchemy store).
        source=model.artifact_location,
        run_id=run_id,
        tags=tags,
        model_id=model.model_id if run_id else None,
        description=(
            f"{facts['measured']['metric']} {measured['accuracy']:.4f} on validation at "
            f"{measured['gflops'][convention]:.5g} GFLOPs a video ({convention} convention)"
        ),
    )


def version_tags(facts: Mapping[str, Any]) -> dict[str, str]:
    """What filters and says where it comes from: sweep, trial, parameters, thresholds, costs by convention, accuracies."""
    measured, provenance = facts["measured"], facts["provenance"]
    tags = {
        "sweep": provenance["sweep"],
        "trial": provenance["trial"],
        "stage": facts["stage"],
        "epoch": facts["epoch"],
    }
    tags |= {"system": facts["system"], "seed": provenance["seed"], "stage_key": provenance["key"]}
    tags |= {**facts["knobs"], **facts["parameters"]}
    for split in ("val", "test"):
        if measured[split] is not None:
            tags[f"accuracy.{split}"] = measured[split]["accuracy"]
            tags |= {f"gflops.{c}.{split}": g for c, g in measured[split]["gflops"].items()}
            tags |= {f"rate.{site}.{split}": rate for site, rate in measured[split]["rates"].items()}
    if "latency" in measured:
        tags["latency_ms"] = measured["latency"]["networks_ms"]
    return {name: f"{value:.6g}" if isinstance(value, float) else str(value) for name, value in tags.items()}


def _run_of(
    client: MlflowClient, name: str, facts: Mapping[str, Any], sweep: str, location: str | None
) -> tuple[str, str | None]:
    """Experiment (called ``name``) and run that the point comes from: its trial's, else the sweep's.

    Without any, a new experiment's.
    """
    trial = facts["provenance"]["trial"]
    experiment = client.get_experiment_by_name(name)
    if experiment is None:
        return str(client.create_experiment(name, artifact_location=location, tags=EXPERIMENT_TAGS)), None
    of_sweep = f"tags.`{SWEEP_ID}` = '{sweep}'"
    for condition in (
        f"{of_sweep} and tags.`{IDENTIFIER['trial']}` = '{trial}'",
        f"{of_sweep} and tags.`{ROLE}` = 'sweep'",
    ):
        found = client.search_runs([experiment.experiment_id], condition, max_results=1)
        if found:
            return str(experiment.experiment_id), str(found[0].info.run_id)
    return str(experiment.experiment_id), None


def _find(client: MlflowClient, uri: str) -> ModelVersion:
    address = re.fullmatch(r"models:/([^@/]+)([@/])([^@/]+)", uri)
    if address is None:
        raise UserError(f"a registered model must be given as models:/NAME@ALIAS or models:/NAME/VERSION, got {uri!r}")
    name, separator, wanted = address.groups()
    from mlflow.exceptions import MlflowException

    try:
        if separator == "@":
            return client.get_model_version_by_alias(name, wanted)
        return client.get_model_version(name, wanted)
    except MlflowException as error:
        if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            raise
        raise NotFound(f"the registry has no {uri}; it has {_known_models(client)}") from error


def _known_models(client: MlflowClient) -> str:
    found = [
        f"{SCHEME}{model.name}@{alias}"
        for model in client.search_registered_models(max_results=20)
        for alias in model.aliases
    ]
    return ", ".join(found) or "no model with an alias; `explorer pick SWEEP --max-gflops X --register NAME` makes one"
