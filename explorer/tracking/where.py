"""Where a sweep is tracked, and what tells it from others of its name. Imports MLflow only to open a client."""

from __future__ import annotations

import logging
import os
import re
import uuid
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import yaml
from filelock import FileLock

from explorer.errors import NotFound, UserError
from explorer.records import RUNS, SPACE_FILE

if TYPE_CHECKING:
    from mlflow import MlflowClient

    from explorer.spec import SearchSpace

SQLITE = "sqlite:///"
DATABASE = "mlflow.db"
ENVIRONMENT = "MLFLOW_TRACKING_URI"
_ID_FILE = "tracking_id"
_ID = re.compile(r"[0-9a-f]{32}")
# Creating the database takes MLflow seconds and tells every migration of it.
_CHATTY = ("alembic", "mlflow.store.db.utils")


def tracking_uri(space: SearchSpace) -> str:
    """Where ``space`` is tracked: what it says, else ``MLFLOW_TRACKING_URI``, else a database beside the sweeps.

    Empty where tracking is off (``tracking: none``, or an empty ``MLFLOW_TRACKING_URI``).
    """
    uri = space.tracking or os.environ.get(ENVIRONMENT, f"{SQLITE}{space.folder.parent.absolute()}/{DATABASE}")
    return _on(uri)


def tracking_of(sweep: Path) -> str:
    """Where the sweep in the folder ``sweep`` is tracked; empty where it is not.

    A database that lay beside the sweeps is looked for beside this one, so that a copied storage works.
    """
    raw = yaml.safe_load((sweep / SPACE_FILE).read_text(encoding="utf-8"))
    uri = _on(str(raw.get("tracking") or os.environ.get(ENVIRONMENT, "")))
    if not raw.get("tracking") or uri == f"{SQLITE}{raw.get('storage')}/{DATABASE}":
        beside = f"{SQLITE}{sweep.absolute().parent}/{DATABASE}"
        return uri if uri and not uri.startswith(SQLITE) else beside
    return uri or _on(os.environ.get(ENVIRONMENT, ""))


def experiment_of(sweep: Path) -> str:
    """The experiment that holds the runs of the sweep in this folder: its own, or that of the portfolio that it belongs to."""
    raw = yaml.safe_load((sweep / SPACE_FILE).read_text(encoding="utf-8"))
    return str(raw.get("member_of") or raw.get("name") or sweep.absolute().name)


def default_tracking(runs: Path = RUNS) -> str:
    """``MLFLOW_TRACKING_URI``, else the database of the sweeps in ``runs``.

    Raises:
        NotFound: there is neither.
    """
    uri = _on(os.environ.get(ENVIRONMENT, ""))
    if uri:
        return uri
    database = runs.absolute() / DATABASE
    if not database.is_file():
        raise NotFound(
            f"no MLflow is known here: {ENVIRONMENT} is not set and there is no {database}; set the variable"
        )
    return f"{SQLITE}{database}"


def sweep_id(folder: Path) -> str:
    """What tells this sweep from others of its name on the same server; made once and kept in its folder."""
    file = folder / _ID_FILE
    if not file.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        aside = folder / f".{_ID_FILE}.{os.getpid()}"
        aside.write_text(uuid.uuid4().hex)
        with suppress(FileExistsError):  # another process was faster: its id is whole, and counts
            os.link(aside, file)
        aside.unlink()
    found = file.read_text().strip()
    if not _ID.fullmatch(found):  # it becomes part of conditions in MLflow's searches
        raise UserError(f"{file} must hold 32 digits and letters a to f, got {found[:80]!r}; remove it, and new runs are begun")
    return found


def client_of(tracking: str) -> MlflowClient:
    """A client for tracking and registry at ``tracking``; a database that does not exist yet is created.

    Two processes that create one at once get in each other's way (MLflow runs migrations without a lock), so one waits.
    """
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    # The defaults keep one call busy for minutes while a server is away; who needs it tries again.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "15")
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")  # stdout is the command's
    for name in _CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)
    from mlflow import MlflowClient

    if not tracking.startswith(SQLITE):
        return MlflowClient(tracking_uri=tracking, registry_uri=tracking)
    file = Path(tracking.removeprefix(SQLITE))
    file.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{file}.lock"):
        client = MlflowClient(tracking_uri=tracking, registry_uri=tracking)
        client.search_experiments(max_results=1)
    return client


def artifacts_location(tracking: str, sweep: Path) -> str | None:
    """Where the artifacts of a sweep's experiment go: a server knows by itself; for a database they lie with the sweep."""
    return (sweep / "mlflow").absolute().as_uri() if tracking.startswith("sqlite:") else None


def without_password(uri: str) -> str:
    """``uri`` as it may be shown."""
    return re.sub(r"://[^/]*@", "://***@", uri, count=1)


def without_user(uri: str) -> str:
    """``uri`` as a browser may open it: the name and password are asked for there."""
    return re.sub(r"://[^/]*@", "://", uri, count=1)


def _on(uri: str) -> str:
    return "" if uri.lower() in ("none", "off") else uri
