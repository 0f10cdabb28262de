"""A pick as an MLflow pyfunc. MLflow stores this file itself (models from code: nothing is pickled) and runs it to load."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import mlflow.pyfunc
import pandas
from mlflow.models import set_model

PICK = "pick"  # the artifact: a folder of `explorer pick`
PATH = "path"
BUDGETS = ("budget_gflops", "mean_gflops")  # of the one video, of the mean over the table; 0 = the knobs decide


class VideoRecogniser(mlflow.pyfunc.PythonModel):
    """A table of video paths in, one row a video out: label, probability, GFLOPs, decisions as JSON, and what went wrong.

    ``params``: the knobs (thresholds) that differ from the pick's own, and ``convention`` of the GFLOPs. ``budget_gflops`` above
    0 sets all knobs anew, to the most accurate setting within so many GFLOPs a video on validation; ``mean_gflops`` above 0
    sets them before each video, so that the mean over the table keeps to it. A file that does not decode gets an empty label and
    its ``error``; the others are labelled all the same.
    """

    def load_context(self, context: Any) -> None:
        from explorer.predict import load_model

        self._model = load_model(context.artifacts[PICK])

    def predict(
        self, context: Any, model_input: pandas.DataFrame, params: dict[str, Any] | None = None
    ) -> pandas.DataFrame:
        given = dict(params or {})
        convention = given.pop("convention", "full")
        budget, mean = (given.pop(name, 0.0) for name in BUDGETS)
        model = self._model.with_knobs(given)
        if budget > 0:
            model = model.within(budget, convention)
        if mean > 0:
            from explorer.predict import Stream

            label = Stream(model, mean, convention).label
        else:
            label = partial(model.label, convention=convention)
        return pandas.DataFrame([_row(label, path) for path in _paths(model_input)])


def _paths(model_input: Any) -> list[str]:
    table = model_input[PATH] if hasattr(model_input, "columns") else model_input
    return [str(path) for path in table]


def _row(label: Any, path: str) -> dict[str, Any]:
    from pathlib import Path

    from explorer.errors import UserError

    try:
        found = label(Path(path))
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
