"""A sweep as a Ray job: submitted to a cluster of two nodes, watched and stopped from outside, browsed from its folder."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from explorer.browse import Front
from explorer.cli.app import run
from explorer.run import submission
from explorer.run.status import sweep_status
from tests.run.sweeps import toy

PATIENCE_S = 300.0


def test_what_a_driver_needs_to_reach_its_servers_is_forwarded_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MLFLOW_TRACKING_PASSWORD", "AWS_SECRET_ACCESS_KEY", "MLFLOW_RUN_ID", "SOMETHING_ELSE"):
        monkeypatch.setenv(name, "secret")
    forwarded = submission._environment()
    assert forwarded["MLFLOW_TRACKING_PASSWORD"] == forwarded["AWS_SECRET_ACCESS_KEY"] == "secret"
    assert not {"MLFLOW_RUN_ID", "SOMETHING_ELSE"} & forwarded.keys()


def test_a_job_server_that_does_not_answer_is_wrong_input(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    space = ["toy", "-o", f"storage={tmp_path}"]
    assert run(["sweep", *space, "--address", "http://127.0.0.1:9", "--detach"]) == 2
    assert "for example http://127.0.0.1:8265" in capsys.readouterr().err
    assert run(["sweep", *space, "--detach"]) == 2
    assert "--detach needs --address http://" in capsys.readouterr().err
    assert run(["sweep", *space, "--address", "127.0.0.1:9"]) == 2
    assert "--address must be that of a running Ray cluster, got 127.0.0.1:9" in capsys.readouterr().err


@pytest.fixture(scope="module")
def job_server() -> Iterator[str]:
    """A cluster of two nodes, and the address of its job server. The head has no room for a worker group."""
    from ray.cluster_utils import Cluster

    port, *agents = _free_ports(3)  # another Ray on this machine may hold the default ones
    small = {"object_store_memory": 100 * 2**20}
    head = {"num_cpus": 0, "include_dashboard": True, "dashboard_host": "127.0.0.1", "dashboard_port": port}
    nodes = Cluster(initialize_head=True, head_node_args={**head, **small, "dashboard_agent_listen_port": agents[0]})
    try:
        nodes.add_node(num_cpus=1, dashboard_agent_listen_port=agents[1], **small)
        yield f"http://127.0.0.1:{port}"
    finally:
        nodes.shutdown()


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for free in sockets:
            free.bind(("127.0.0.1", 0))
        return [free.getsockname()[1] for free in sockets]


@pytest.mark.ray
def test_a_submitted_sweep_is_stopped_from_outside_goes_on_and_is_browsed(
    job_server: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "never-printed")
    overrides = ["budget.trials=2", "epoch_s=0.3", "resources.groups=1"]
    space = toy(tmp_path, *overrides)
    words = ["-o", f"storage={tmp_path}", "-o", "tracking=none", "-o", "baselines=[]"]
    for override in overrides:
        words += ["-o", override]
    at = ["--address", job_server]

    assert run(["sweep", "toy", *words, *at, "--detach", "--json"]) == 0
    told = capsys.readouterr().out
    submitted = json.loads(told)
    assert submitted["sweep"] == "toy" and submitted["job"].startswith("toy-")
    _wait(lambda: _epochs_done(space.folder) > 1 or _job_ended(job_server))
    assert not _job_ended(job_server), submission.job_log(job_server, submitted["job"])
    assert run(["sweep", "toy", *words, *at, "--detach"]) == 2
    assert f"is being run by job {submitted['job']}" in capsys.readouterr().err
    assert run(["stop", "toy", *at]) == 0
    _wait(lambda: _job_ended(job_server))
    assert sweep_status(space.folder).state == "interrupted"

    assert run(["sweep", "toy", *words, *at]) == 0  # follows the job to its end
    assert "trial 1 finished" in capsys.readouterr().out
    status = sweep_status(space.folder)
    assert (status.state, status.trials) == ("finished", {"complete": 2})
    assert status.job is not None and status.job["address"] == job_server
    assert Front.load(space.folder).points
    assert run(["status", "toy", *at, "--logs"]) == 0
    told += capsys.readouterr().out
    assert "SUCCEEDED" in told and "trial 1 finished" in told
    assert "never-printed" not in told


def _epochs_done(folder: Path) -> int:
    return sweep_status(folder).epochs_done if (folder / "study.journal").exists() else 0


def _job_ended(job_server: str) -> bool:
    return submission.jobs(job_server)[-1].state in submission._ENDS


def _wait(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.2)
