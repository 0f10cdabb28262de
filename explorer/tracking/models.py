"""Picks as MLflow models: saved from code with a signature, logged under the run that they come from, registered by name."""

from __future__ import annotations

import importlib.metadata
import json
import logging
import os
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainables.contract import Json

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import LoggedModel

POINT_ID = "point_id"
_CODE = Path(__file__).with_name("recogniser.py")
_EXAMPLE = "clip.mp4"
_PROGRESS = "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"
# What loading the model needs, at the versions that wrote it. Stated, because MLflow would import everything to find out.
_NEEDS = ("adaptive-video-explorer", "torch", "safetensors", "av", "mlflow")


@dataclass(frozen=True, kw_only=True)
class Described:
    """What is said of a logged model. ``metrics``: linked to the model and shown in its run."""

    name: str
    params: Mapping[str, str]
    tags: Mapping[str, str]
    metrics: Mapping[str, float]


def save_pyfunc(pick: Path, target: Path) -> None:
    """Write the folder ``pick`` of ``explorer pick`` as an MLflow model into ``target``, which must not exist."""
    import pandas
    from mlflow.models import ModelSignature
    from mlflow.pyfunc import save_model

    facts = json.loads((pick / "pick.json").read_text(encoding="utf-8"))
    budgets = {"budget_gflops": 0.0, "mean_gflops": 0.0}
    params = {"convention": "full", **budgets, **{name: float(value) for name, value in facts["knobs"].items()}}
    with quiet():
        save_model(
            path=target,
            python_model=str(_CODE),
            artifacts={"pick": str(pick)},
            signature=ModelSignature(*_schemas(params)),
            input_example=(pandas.DataFrame({"path": [_EXAMPLE]}), params),
            pip_requirements=list(_requirements()),
            metadata={POINT_ID: facts[POINT_ID], "system": facts["system"], "classes": facts["classes"]},
        )


def log_model(
    client: MlflowClient, *, experiment_id: str, run_id: str | None, pick: Path, described: Described
) -> LoggedModel:
    """Log ``pick`` as a model of ``run_id``. A model that could not be uploaded whole is marked as failed."""
    from mlflow.entities import LoggedModelOutput

    model = client.create_logged_model(
        experiment_id,
        name=described.name,
        source_run_id=run_id,
        tags=dict(described.tags),
        params=dict(described.params),
        model_type="video-recogniser",
    )
    try:
        with tempfile.TemporaryDirectory(prefix="model-") as folder:
            save_pyfunc(pick, Path(folder) / "model")
            client.log_model_artifacts(model.model_id, str(Path(folder) / "model"))
    except BaseException:
        client.finalize_logged_model(model.model_id, "FAILED")
        raise
    client.finalize_logged_model(model.model_id, "READY")
    if run_id is not None:
        client.log_outputs(run_id, [LoggedModelOutput(model.model_id, step=0)])
        for name, value in described.metrics.items():
            client.log_metric(run_id, name, value, step=0, model_id=model.model_id)
    return model


def _schemas(params: Mapping[str, Json]) -> tuple[Any, Any, Any]:
    from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema

    text, number = DataType.string, DataType.double
    outputs = {"path": text, "label": text, "probability": number, "gflops": number, "decisions": text, "error": text}
    kinds = {str: text, float: number}
    return (
        Schema([ColSpec(text, "path")]),
        Schema([ColSpec(kind, name) for name, kind in outputs.items()]),
        ParamSchema([ParamSpec(name, kinds[type(value)], value) for name, value in params.items()]),
    )


def _requirements() -> Iterator[str]:
    for package in _NEEDS:
        # A local build of torch (2.13.0+cpu) is on no index under that name.
        yield f"{package}=={importlib.metadata.version(package).partition('+')[0]}"


@contextmanager
def quiet() -> Iterator[None]:
    """MLflow tells of what is meant here: the example's video does not exist, and types are stated by the signature."""
    names = ("mlflow.pyfunc", "mlflow.models.model", "mlflow.models.utils", "mlflow.models.signature")
    before = {name: logging.getLogger(name).level for name in names}
    for name in names:
        logging.getLogger(name).setLevel(logging.ERROR)
    bar = os.environ.get(_PROGRESS)
    os.environ[_PROGRESS] = "false"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for name, level in before.items():
            logging.getLogger(name).setLevel(level)
        if bar is None:
            del os.environ[_PROGRESS]
        else:
            os.environ[_PROGRESS] = bar
