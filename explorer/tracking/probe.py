"""Whether an MLflow store can be written to: for ``explorer doctor``."""

from __future__ import annotations

EXPERIMENT = "explorer-doctor"


def probe_store(uri: str) -> None:
    """Write a run with a metric, read it back and delete it. Raises what MLflow raises."""
    from mlflow import MlflowClient

    client = MlflowClient(uri)
    known = client.get_experiment_by_name(EXPERIMENT)
    if known is not None and known.lifecycle_stage == "deleted":
        client.restore_experiment(known.experiment_id)
    experiment = client.create_experiment(EXPERIMENT) if known is None else known.experiment_id
    run = client.create_run(experiment).info.run_id
    try:
        client.log_metric(run, "written", 1.0)
        assert client.get_run(run).data.metrics == {"written": 1.0}
    finally:
        client.delete_run(run)
        client.delete_experiment(experiment)
