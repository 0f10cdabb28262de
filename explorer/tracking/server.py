"""MLflow's server on loopback with the store of the sweeps, for looking at them."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from explorer.errors import NotFound, TrackingFailed, UserError
from explorer.tracking.columns import table_page
from explorer.tracking.runs import ROLE, SWEEP_ID
from explorer.tracking.where import (
    SQLITE,
    client_of,
    default_tracking,
    experiment_of,
    sweep_id,
    tracking_of,
    without_user,
)

LOOPBACK = "127.0.0.1"
# MLflow's own job execution judges language models. With it a server is ten processes in place of two and takes two to three times
# the CPU to start (17 to 27 s against 8 to 10).
NO_JOBS = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
_UP_S = 180.0  # it takes 9 s on a quiet machine
_STOP_S = 15.0


@dataclass(frozen=True, kw_only=True)
class Pages:
    """Addresses. ``sweep``: the sweep's own page, or all experiments. ``table``: its trials, with the columns that count."""

    sweep: str
    table: str | None


def serve(sweep: Path | None, *, port: int, on_ready: Callable[[Pages], None]) -> None:
    """Run the server until it is interrupted; ``on_ready`` gets the sweep's pages once it answers.

    A sweep that is tracked on a server already needs none: then ``on_ready`` gets its pages there, and that is all.

    Raises:
        UserError: the sweep is not tracked, or the port is taken.
        TrackingFailed: the server did not come up.
    """
    tracking = tracking_of(sweep) if sweep is not None else default_tracking()
    if not tracking:
        raise UserError(
            f"{sweep} is not tracked (`tracking: none`): there is nothing to show; try `explorer front {sweep}`"
        )
    if not tracking.startswith(SQLITE):
        on_ready(_pages(tracking, sweep, without_user(tracking).rstrip("/")))
        return
    chosen = port or _free_port()
    _check_free(chosen)
    pages = _pages(tracking, sweep, f"http://{LOOPBACK}:{chosen}")  # before the server is up: it may make the database
    server = _start(tracking, chosen)
    # Also where the shell that put this into the background has it ignore Ctrl-C, and for whoever ends it by `kill`.
    for kind in (signal.SIGINT, signal.SIGTERM):
        signal.signal(kind, signal.default_int_handler)
    try:
        _wait(server, chosen)
        on_ready(pages)
        server.wait()
    except KeyboardInterrupt:
        pass
    finally:
        _stop(server)


def _pages(tracking: str, sweep: Path | None, server: str) -> Pages:
    """Where in MLflow's pages the sweep is: its run if there is one, else its experiment."""
    if sweep is None:
        return Pages(sweep=f"{server}/", table=None)
    client = client_of(tracking)  # creates the database in order, should it not be there yet
    experiment = client.get_experiment_by_name(experiment_of(sweep))
    if experiment is not None and experiment.lifecycle_stage == "active":
        condition = f"tags.`{SWEEP_ID}` = '{sweep_id(sweep)}' and tags.`{ROLE}` = 'sweep'"
        page = f"#/experiments/{experiment.experiment_id}"
        for run in client.search_runs([experiment.experiment_id], condition, max_results=1):
            page = f"#/experiments/{experiment.experiment_id}/runs/{run.info.run_id}"
        return Pages(sweep=f"{server}/{page}", table=f"{server}/{table_page(experiment.experiment_id)}")
    raise NotFound(
        f"MLflow knows nothing of {sweep} yet; look again when the sweep has begun, or `explorer front {sweep}`"
    )


def _start(tracking: str, port: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "mlflow", "server", "--host", LOOPBACK, "--port", str(port), "--workers", "1"]
    beside = Path(tracking.removeprefix(SQLITE)).with_name("mlflow-artifacts")  # of experiments made through the server
    command += ["--backend-store-uri", tracking, "--artifacts-destination", str(beside)]
    quiet = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_LOGGING_LEVEL": "WARNING", **NO_JOBS}
    # A group of its own, so that Ctrl-C reaches this process alone, which then ends the group.
    return subprocess.Popen(
        command,
        env={**os.environ, **quiet},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def _wait(server: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + _UP_S
    while time.monotonic() < deadline:
        if server.poll() is not None:
            raise TrackingFailed(f"MLflow's server ended at once (exit code {server.returncode})")
        try:
            with urllib.request.urlopen(f"http://{LOOPBACK}:{port}/health", timeout=5):
                return
        except (OSError, urllib.error.URLError):
            time.sleep(0.2)
    raise TrackingFailed(f"MLflow's server did not answer within {_UP_S:.0f} s on port {port}")


def _stop(server: subprocess.Popen[bytes]) -> None:
    for kind in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(server.pid, kind)
            server.wait(_STOP_S)
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            continue
        return


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def _check_free(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except (OSError, OverflowError) as error:
            raise UserError(f"--port {port} cannot be used ({error}); leave it out, and a free one is taken") from error
