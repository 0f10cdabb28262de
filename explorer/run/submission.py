"""Sweeps as Ray jobs: submitted to a cluster's job server, followed, stopped. Talks HTTP; starts no Ray here."""

from __future__ import annotations

import importlib
import json
import logging
import os
import shutil
import sys
import tempfile
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from explorer.errors import SweepFailed, UserError
from explorer.records import SPACE_FILE
from explorer.run.cluster import send_token, token_refused
from explorer.run.status import JOB_FILE
from explorer.spec.portfolio import Portfolio
from explorer.spec.space import SearchSpace

_PACKAGES = ("explorer", "trainables", "search_spaces")
# What a driver needs to reach tracking server and object store; handed on, never printed.
_FORWARDED = ("MLFLOW_", "AWS_", "GOOGLE_APPLICATION_CREDENTIALS", "AZURE_", "FSSPEC_")
_STOP_WAIT_S = 24 * 3600  # a stopped sweep lets running epochs finish; Ray would kill it after 3 s
# Not run in the folder of the job's code: Ray unpacks it anew when another node on the same machine needs it.
_ENTRYPOINT = (
    f'CODE="$PWD"; cd "${{TMPDIR:-/tmp}}" && PYTHONPATH="$CODE" exec python -m explorer.cli.app sweep "$CODE/{SPACE_FILE}"'
)
_SWEEP = "explorer.sweep"  # metadata of the job
_LOOK_S = 1.0
_PATIENCE_S = 60.0
_ENDS = ("STOPPED", "SUCCEEDED", "FAILED")


@dataclass(frozen=True, kw_only=True)
class Job:
    """A submitted sweep. ``state``: PENDING, RUNNING, STOPPED, SUCCEEDED or FAILED; ``message``: Ray's, of an end."""

    id: str
    sweep: str
    state: str
    message: str


def submit_job(space: SearchSpace | Portfolio, address: str) -> str:
    """Hand the code and ``space`` to the cluster behind ``address`` (``http://HEAD:8265``), which runs it; the job's id.

    Storage, manifest and tracking must mean the same there as here. The nodes need Python and this program's dependencies.

    Raises:
        UserError: nobody answers there, or a sweep of this name runs there already.
    """
    client = _client(address)
    for job in _jobs(client):
        if job.sweep == space.name and job.state not in _ENDS:
            raise UserError(
                f"the sweep {space.name!r} is being run by job {job.id} at {address}; watch it with `explorer status "
                f"{space.name} --address {address}` or end it with `explorer stop {space.name} --address {address}`"
            )
    name = f"{space.name}-{uuid.uuid4().hex[:8]}"
    with tempfile.TemporaryDirectory(prefix="explorer-job-") as folder:
        (Path(folder) / SPACE_FILE).write_text(space.to_yaml(), encoding="utf-8")
        for package in dict.fromkeys([*_PACKAGES, *_own_packages(space)]):
            _copy_package(package, Path(folder))
        _submit(
            client,
            entrypoint=_ENTRYPOINT,
            submission_id=name,
            runtime_env={"working_dir": folder, "env_vars": _environment()},
            metadata={_SWEEP: space.name},
        )
    with suppress(OSError):  # the storage may be out of this machine's sight
        space.folder.mkdir(parents=True, exist_ok=True)
        (space.folder / JOB_FILE).write_text(json.dumps({"address": address, "id": name}), encoding="utf-8")
    return name


def _submit(client: Any, **job: Any) -> None:
    """A cluster that has just come up answers before it can take jobs: try again."""
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        try:
            client.submit_job(**job)
            return
        except RuntimeError as error:
            if "No available agent" not in str(error) or time.monotonic() > deadline:
                raise SweepFailed(f"the job server did not take the sweep: {error}") from error
            time.sleep(_LOOK_S)


def jobs(address: str) -> list[Job]:
    """The sweeps that were submitted to ``address``, oldest first."""
    return _jobs(_client(address))


def job_log(address: str, job: str) -> str:
    """What the job has printed so far."""
    text: str = _client(address).get_job_logs(job)
    return text


def stop_job(address: str, sweep: str) -> str:
    """Ask the job that runs ``sweep`` to let running epochs finish and leave; its id. Raises ``UserError``."""
    client = _client(address)
    running = [job for job in _jobs(client) if sweep in (job.sweep, job.id) and job.state not in _ENDS]
    if not running:
        raise UserError(f"no job at {address} runs the sweep {sweep!r}; see: explorer status --address {address}")
    client.stop_job(running[-1].id)
    return running[-1].id


def follow_job(address: str, job: str, write: Callable[[str], object]) -> bool:
    """Hand on the job's lines until it ends; whether it succeeded. Ctrl-C ends the following, not the job."""
    client, shown = _client(address), 0
    while True:
        state = str(client.get_job_status(job).value)
        text = client.get_job_logs(job)
        whole = text if state in _ENDS else text[: text.rfind("\n") + 1]
        for line in whole[shown:].splitlines():
            write(line)
        shown = len(whole)
        if state in _ENDS:
            return state == "SUCCEEDED"
        time.sleep(_LOOK_S)


def _client(address: str) -> Any:
    send_token()
    from ray.exceptions import AuthenticationError
    from ray.job_submission import JobSubmissionClient

    for name in ("ray.dashboard.modules.dashboard_sdk", "ray._private.runtime_env.packaging"):
        logging.getLogger(name).setLevel(logging.WARNING)
    try:
        return JobSubmissionClient(address)
    except AuthenticationError as error:
        raise token_refused(address) from error
    except (ConnectionError, RuntimeError, ValueError) as error:
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(
            f"--address must be that of a cluster's job server, for example http://127.0.0.1:8265, got {address} ({first})"
        ) from error


def _jobs(client: Any) -> list[Job]:
    found = [details for details in client.list_jobs() if (details.metadata or {}).get(_SWEEP)]
    found.sort(key=lambda details: details.start_time or 0)
    return [
        Job(
            id=details.submission_id,
            sweep=details.metadata[_SWEEP],
            state=str(details.status.value),
            message=(details.message or "").splitlines()[0] if details.status.value in _ENDS else "",
        )
        for details in found
    ]


def _environment() -> dict[str, str]:
    forwarded = {name: value for name, value in os.environ.items() if name.startswith(_FORWARDED)}
    forwarded.pop("MLFLOW_RUN_ID", None)
    return {
        **forwarded,
        # The Python of the place where this one lies, if the nodes have one there; else the first one on their path.
        "PATH": f"{Path(sys.executable).parent}:${{PATH}}",
        "RAY_JOB_STOP_SIGNAL": "SIGINT",
        "RAY_JOB_STOP_WAIT_TIME_S": str(_STOP_WAIT_S),
        "PYTHONUNBUFFERED": "1",
    }


def _own_packages(space: SearchSpace | Portfolio) -> list[str]:
    """The top-level packages of systems of one's own (``module:object``) that are not installed with this program."""
    several = space.members.values() if isinstance(space, Portfolio) else [space]
    return [one.system.partition(":")[0].partition(".")[0] for one in several if ":" in one.system]


def _copy_package(name: str, folder: Path) -> None:
    module = importlib.import_module(name)
    assert module.__file__ is not None
    file = Path(module.__file__)
    if file.name == "__init__.py":
        shutil.copytree(file.parent, folder / name, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))
    else:
        shutil.copy(file, folder / file.name)
