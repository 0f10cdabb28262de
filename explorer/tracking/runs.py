"""The runs of one sweep in MLflow: found by tag or created, so that a restarted sweep goes on with its own runs.

Everything goes through ``MlflowClient``: MLflow's fluent functions keep global state, which a process that also
trains, serves notebooks or inherits ``MLFLOW_RUN_ID`` must not share.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from explorer.errors import UserError
from explorer.tracking.where import client_of

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import DatasetInput, Run

Role = Literal["sweep", "stage", "trial"]
Status = Literal["RUNNING", "FINISHED", "FAILED", "KILLED"]

# Tags, each defined once.
ROLE = "explorer.role"
SWEEP = "sweep"
SWEEP_ID = "sweep.id"
IDENTIFIER: dict[Role, str] = {"sweep": SWEEP_ID, "stage": "stage_key", "trial": "trial_id"}
TRIAL_STATE = "trial.state"
CHAIN = "chain"  # of a trial: its stage keys by stage, as JSON
ON_FRONT = "front"
PARENT = "mlflow.parentRunId"
NOTE = "mlflow.note.content"
CHECKPOINT = "checkpoint"  # of a logged model: stage key and epoch

# MLflow's pages then show what belongs to training, not to language models.
EXPERIMENT_TAGS = {"mlflow.experimentKind": "custom_model_development"}

_LONGEST_TAG, _LONGEST_PARAM = 4000, 500
_METRICS_A_CALL, _PARAMS_A_CALL = 1000, 100


@dataclass(frozen=True, kw_only=True)
class Number:
    """One value of a metric. ``time_ms``: since the epoch; equal rows are kept once by MLflow."""

    name: str
    value: float
    step: int
    time_ms: int


@dataclass(kw_only=True)
class RunState:
    """What is known of a run without asking the server again."""

    run_id: str
    status: str
    params: set[str] = field(default_factory=set)
    metrics: set[str] = field(default_factory=set)  # those it had when it was found
    tags: dict[str, str] = field(default_factory=dict)
    start_ms: int | None = None
    inputs: set[str] = field(default_factory=set)  # digests of its data sets


class Runs:
    """Parent and child runs of the sweep ``name``, whose stable ``sweep_id`` tells it from others of that name."""

    def __init__(self, *, uri: str, experiment: str, name: str, sweep_id: str, artifacts: str | None) -> None:
        self.client: MlflowClient = client_of(uri)
        self._name = name
        self.sweep_id = sweep_id
        self.experiment_id = self._experiment(experiment, artifacts)
        self._parent: RunState | None = None
        self._children: dict[tuple[str, str], RunState] | None = None

    # --- finding and creating -----------------------------------------------------------------------------------------

    def forget(self) -> None:
        """Ask the server again: a call failed, and nobody knows whether it was carried out."""
        self._parent = None
        self._children = None

    def parent(self, *, time_ms: int | None = None) -> RunState:
        """The sweep's run."""
        if self._parent is None:
            found = self._search(f"tags.`{SWEEP_ID}` = '{self.sweep_id}' and tags.`{ROLE}` = 'sweep'")
            tags = {ROLE: "sweep", SWEEP: self._name, SWEEP_ID: self.sweep_id}
            self._parent = _oldest(found) or self._create(self._name, tags, time_ms)
        return self._parent

    def children(self) -> dict[tuple[str, str], RunState]:
        """Child runs by role and identifier."""
        if self._children is None:
            found = self._search(f"tags.`{PARENT}` = '{self.parent().run_id}'")
            states: dict[tuple[str, str], RunState] = {}
            for run in sorted(found, key=lambda run: run.info.start_time):
                role = run.data.tags.get(ROLE, "")
                identifier = run.data.tags.get(IDENTIFIER.get(role, ""), "")  # type: ignore[call-overload]
                states.setdefault((role, identifier), _state(run))
            self._children = states
        return self._children

    def child(self, role: Role, identifier: str, *, name: str, time_ms: int) -> RunState:
        """The child run of that role and identifier, set to RUNNING."""
        children = self.children()
        state = children.get((role, identifier))
        if state is None:
            tags = {ROLE: role, IDENTIFIER[role]: identifier, SWEEP: self._name, SWEEP_ID: self.sweep_id}
            state = self._create(name, {**tags, PARENT: self.parent().run_id}, time_ms)
            children[role, identifier] = state
        elif state.status != "RUNNING":
            self.reopen(state)
        return state

    # --- writing ------------------------------------------------------------------------------------------------------

    def write(
        self,
        state: RunState,
        *,
        numbers: Iterable[Number] = (),
        params: Mapping[str, object] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """Log metrics, parameters (the first value of each stays) and changed tags."""
        from mlflow.entities import Metric, Param, RunTag

        metrics = [Metric(n.name, n.value, n.time_ms, n.step) for n in numbers]
        fresh = {k: str(v)[:_LONGEST_PARAM] for k, v in (params or {}).items() if k not in state.params}
        changed = {k: v[:_LONGEST_TAG] for k, v in (tags or {}).items() if state.tags.get(k) != v[:_LONGEST_TAG]}
        new_params = [Param(k, v) for k, v in fresh.items()]
        new_tags = [RunTag(k, v) for k, v in changed.items()]
        while metrics or new_params or new_tags:
            self.client.log_batch(
                state.run_id,
                metrics=metrics[: _METRICS_A_CALL - 2 * _PARAMS_A_CALL],
                params=new_params[:_PARAMS_A_CALL],
                tags=new_tags[:_PARAMS_A_CALL],
                synchronous=True,
            )
            metrics = metrics[_METRICS_A_CALL - 2 * _PARAMS_A_CALL :]
            new_params, new_tags = new_params[_PARAMS_A_CALL:], new_tags[_PARAMS_A_CALL:]
        state.params.update(fresh)
        state.tags.update(changed)

    def end(self, state: RunState, status: Status, *, time_ms: int) -> None:
        """End a run truthfully."""
        self.client.set_terminated(state.run_id, status=status, end_time=time_ms)
        state.status = status

    def reopen(self, state: RunState) -> None:
        """A run that ended goes on."""
        self.client.update_run(state.run_id, status="RUNNING")
        state.status = "RUNNING"

    def steps(self, state: RunState, metric: str) -> set[int]:
        """Steps at which ``metric`` has a value."""
        return {entry.step for entry in self.client.get_metric_history(state.run_id, metric)}

    def attach(self, state: RunState, files: Sequence[Path]) -> None:
        """Store files as artifacts of a run."""
        for file in files:
            self.client.log_artifact(state.run_id, str(file))

    def log_inputs(self, state: RunState, inputs: Sequence[DatasetInput]) -> None:
        """Data sets that the run has not named yet."""
        fresh = [each for each in inputs if each.dataset.digest not in state.inputs]
        if fresh:
            self.client.log_inputs(state.run_id, datasets=fresh)
            state.inputs.update(each.dataset.digest for each in fresh)

    def models(self) -> dict[str, str]:
        """Ids of the sweep's models by their checkpoint tag; those that were not uploaded whole are not among them."""
        found: dict[str, str] = {}
        token: str | None = None
        while token != "":
            page = self.client.search_logged_models(
                [self.experiment_id], f"tags.`{SWEEP_ID}` = '{self.sweep_id}'", max_results=100, page_token=token
            )
            for model in page:
                if model.status == "READY" and CHECKPOINT in model.tags:
                    found[model.tags[CHECKPOINT]] = model.model_id
            token = page.token or ""
        return found

    def tag_model(self, model_id: str, tags: Mapping[str, str]) -> None:
        """Set tags of a logged model."""
        self.client.set_logged_model_tags(model_id, dict(tags))

    def set_experiment_tag(self, name: str, value: str) -> None:
        """Of the experiment, which holds this sweep's runs alone unless another storage has a sweep of its name."""
        self.client.set_experiment_tag(self.experiment_id, name, value)

    # --- inside -------------------------------------------------------------------------------------------------------

    def _experiment(self, name: str, artifacts: str | None) -> str:
        from mlflow.exceptions import MlflowException

        found = self.client.get_experiment_by_name(name)
        if found is None:
            try:
                return str(self.client.create_experiment(name, artifact_location=artifacts, tags=EXPERIMENT_TAGS))
            except MlflowException:  # another sweep was faster
                found = self.client.get_experiment_by_name(name)
                if found is None:
                    raise
        if found.lifecycle_stage == "deleted":
            self.client.restore_experiment(found.experiment_id)
        return str(found.experiment_id)

    def _create(self, name: str, tags: Mapping[str, str], time_ms: int | None) -> RunState:
        return _state(self.client.create_run(self.experiment_id, start_time=time_ms, tags=dict(tags), run_name=name))

    def _search(self, condition: str) -> list[Run]:
        found: list[Run] = []
        token: str | None = None
        while token != "":
            page = self.client.search_runs([self.experiment_id], condition, max_results=1000, page_token=token)
            found += page
            token = page.token or ""
        return found


def is_final(error: Exception) -> bool:
    """Whether trying again is useless: the server refused what it was given, or what it was given makes no sense."""
    if isinstance(error, ValueError | TypeError | LookupError | AttributeError | AssertionError | UserError):
        return True
    return getattr(error, "error_code", None) in ("INVALID_PARAMETER_VALUE", "BAD_REQUEST", "MALFORMED_REQUEST")


def _oldest(runs: Sequence[Run]) -> RunState | None:
    return _state(min(runs, key=lambda run: run.info.start_time)) if runs else None


def _state(run: Run) -> RunState:
    return RunState(
        run_id=run.info.run_id,
        status=run.info.status,
        params=set(run.data.params),
        metrics=set(run.data.metrics),
        tags=dict(run.data.tags),
        start_ms=run.info.start_time,
        inputs={each.dataset.digest for each in run.inputs.dataset_inputs} if run.inputs else set(),
    )
