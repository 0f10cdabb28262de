"""A pick as an MLflow pyfunc. MLflow stores this file itself (models from code: nothing is pickled) and runs it to load."""

from __future__ import annotations

import json
from typing import Any

import mlflow.pyfunc
import pandas
from mlflow.models import set_model

PICK = "pick"  # the artifact: a folder of `explorer pick`
PATH = "path"


class VideoRecogniser(mlflow.pyfunc.PythonModel):
    """A table of video paths in, one row a video out: label, probability, GFLOPs, decisions as JSON, and what went wrong.

    ``params``: the knobs (thresholds) that differ from the pick's own, and ``convention`` of the GFLOPs. A file that does
    not decode gets an empty label and its ``error``; the others are labelled all the same.
    """

    def load_context(self, context: Any) -> None:
        from explorer.predict import load_model

        self._model = load_model(context.artifacts[PICK])

    def predict(
        self, context: Any, model_input: pandas.DataFrame, params: dict[str, Any] | None = None
    ) -> pandas.DataFrame:
        given = dict(params or {})
        convention = given.pop("convention", "full")
        model = self._model.with_knobs(given)
        return pandas.DataFrame([_row(model, path, convention) for path in _paths(model_input)])


def _paths(model_input: Any) -> list[str]:
    table = model_input[PATH] if hasattr(model_input, "columns") else model_input
    return [str(path) for path in table]


def _row(model: Any, path: str, convention: Any) -> dict[str, Any]:
    from pathlib import Path

    from explorer.errors import UserError

    try:
        found = model.label(Path(path), convention)
    except UserError as error:
        nothing = {"label": "", "probability": 0.0, "gflops": 0.0, "decisions": "[]"}
        return {PATH: path, **nothing, "error": str(error)}
    raw = found.to_json()
    return {
        PATH: path,
        "label": raw["label"],
        "probability": raw["probability"],
        "gflops": raw["gflops"],
        "decisions": json.dumps(raw["decisions"]),
        "error": "",
    }


set_model(VideoRecogniser())
