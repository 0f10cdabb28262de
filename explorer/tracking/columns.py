"""The table of runs as a person wants to see it first: a shared view of MLflow's, which its address names.

MLflow itself shows no metric until columns are chosen by hand. A view is a tag of the experiment that holds the state of the page
as JSON (MLflow 3.17: columns, order).
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from explorer.tracking.runs import ON_FRONT, TRIAL_STATE

VIEW = "explorer"
VIEW_TAG = f"mlflow.sharedViewState.{VIEW}"
MOST_RATES = 6  # a system may decide at dozens of places


def first_columns(sites: Sequence[str], searched: Sequence[str]) -> str:
    """Value of the tag: accuracy, cost and rates (if they are few) first, then what was searched, how a run ended; best on top."""
    rates = [f"rate.{site}" for site in sites] if len(sites) <= MOST_RATES else []
    metrics = ["accuracy", "gflops", "gflops.share_of_all_on", *rates]
    columns = [f"metrics.`{name}`" for name in metrics]
    columns += [f"params.`{path}`" for path in searched]
    columns += [f"tags.`{name}`" for name in (ON_FRONT, TRIAL_STATE, "baseline")]
    return json.dumps({"selectedColumns": columns, "orderByKey": "metrics.`accuracy`", "orderByAsc": False})


def table_page(experiment_id: str) -> str:
    """The table's address below the server's."""
    return f"#/experiments/{experiment_id}/runs?viewStateShareKey={VIEW}"
