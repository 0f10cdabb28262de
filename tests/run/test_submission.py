"""Sweeps on a cluster of two nodes: submitted as a job, watched and stopped from outside; and nodes that come and go."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from explorer.browse import Front
from explorer.cli.app import run
from explorer.run import submission
from explorer.run.cluster import cluster
from explorer.run.events import Event, Kind
from explorer.run.status import sweep_status
from explorer.run.stopping import request_stop
from explorer.run.sweep import run_sweep
from tests.run.sweeps import Recorder, free_ports, toy

PATIENCE_S = 300.0
_SMALL = {"object_store_memory": 100 * 2**20}


def test_what_a_driver_needs_to_reach_its_servers_is_forwarded_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
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


class Nodes:
    """A head without room for a worker group, and one node for one group; ``job_server``: the address of its job server."""

    def __init__(self) -> None:
        from ray.cluster_utils import Cluster

        port, agent = free_ports(2)  # another Ray on this machine may hold the default ones
        head = {"num_cpus": 0, "include_dashboard": True, "dashboard_host": "127.0.0.1", "dashboard_port": port}
        self.cluster = Cluster(
            initialize_head=True, head_node_args={**head, **_SMALL, "dashboard_agent_listen_port": agent}
        )
        self.job_server = f"http://127.0.0.1:{port}"
        self.join()

    def join(self) -> Any:
        """Add a node that holds one group."""
        return self.cluster.add_node(num_cpus=1, dashboard_agent_listen_port=free_ports(1)[0], **_SMALL)

    def one(self) -> Any:
        """The only node beside the head."""
        first, *others = list(self.cluster.worker_nodes) or [self.join()]
        for node in others:  # of a test that failed
            self.leave(node)
        return first

    def leave(self, node: Any) -> None:
        """As a spot node does: without a word."""
        self.cluster.remove_node(node, allow_graceful=False)


@pytest.fixture(scope="module")
def nodes() -> Iterator[Nodes]:
    running = Nodes()
    try:
        yield running
    finally:
        running.cluster.shutdown()


@pytest.fixture
def job_server(nodes: Nodes) -> str:
    return nodes.job_server


@pytest.mark.ray
def test_a_submitted_sweep_is_stopped_from_outside_goes_on_and_is_browsed(
    job_server: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "never-printed")
    name = f"toy{time.time_ns()}"  # the cluster still knows the job of a run of this test that failed
    overrides = [f"name={name}", "budget.trials=2", "epoch_s=0.3", "resources.groups=1"]
    space = toy(tmp_path, *overrides)
    words = ["-o", f"storage={tmp_path}", "-o", "tracking=none", "-o", "baselines=[]"]
    for override in overrides:
        words += ["-o", override]
    at = ["--address", job_server]

    assert run(["sweep", "toy", *words, *at, "--detach", "--json"]) == 0
    told = capsys.readouterr().out
    submitted = json.loads(told)
    assert submitted["sweep"] == name and submitted["job"].startswith(f"{name}-")
    _wait(lambda: _epochs_done(space.folder) > 1 or _job_ended(job_server))
    assert not _job_ended(job_server), submission.job_log(job_server, submitted["job"])
    assert run(["sweep", "toy", *words, *at, "--detach"]) == 2
    assert f"is being run by job {submitted['job']}" in capsys.readouterr().err
    assert run(["stop", name, *at]) == 0
    _wait(lambda: _job_ended(job_server))
    assert sweep_status(space.folder).state == "interrupted"

    assert run(["sweep", "toy", *words, *at]) == 0  # follows the job to its end
    assert "trial 1 finished" in capsys.readouterr().out
    status = sweep_status(space.folder)
    assert (status.state, status.trials) == ("finished", {"complete": 2})
    assert status.job is not None and status.job["address"] == job_server
    assert Front.load(space.folder).points
    assert run(["status", name, *at, "--logs"]) == 0
    told += capsys.readouterr().out
    assert "SUCCEEDED" in told and "trial 1 finished" in told
    assert "never-printed" not in told


class ComeAndGo:
    """A node joins when the first group has trained an epoch. When the group that came with it trains as well, the first node
    leaves in the middle of a job. When another group has gone on with that job, the sweep is stopped.
    """

    def __init__(self, nodes: Nodes, folder: Path) -> None:
        self._nodes = nodes
        self._folder = folder
        self._first = nodes.one()
        self._joined = False
        self._slot_of: dict[str | None, str] = {}  # key -> slot that trains it, or did
        self.lost: str | None = None
        self.epochs: list[int] = []  # of the lost job

    def __call__(self, event: Event) -> None:
        if event.kind is Kind.STAGE_STARTED:
            self._slot_of[event.key] = event.data["slot"]
        if event.kind is not Kind.STAGE_EPOCH:
            return
        slot, epoch = self._slot_of[event.key], event.data["epoch"]
        if not self._joined:
            self._joined = True
            self._nodes.join()
        elif (
            self.lost is None
            and slot == "slot-0"
            and "slot-1" in self._slot_of.values()
            and epoch + 1 < event.data["epochs"]
        ):
            self.lost = event.key
            self._nodes.leave(self._first)
        if event.key == self.lost:
            self.epochs.append(epoch)
            if slot == "slot-1":
                request_stop(self._folder)


@pytest.mark.ray
def test_a_node_that_joins_adds_a_group_and_one_that_leaves_gives_its_job_to_another(
    nodes: Nodes, tmp_path: Path
) -> None:
    space = toy(tmp_path, "budget={hours: 1}", "epoch_s=0.4")
    watch = ComeAndGo(nodes, space.folder)
    recorder = Recorder(watch)
    with cluster(nodes.cluster.address):
        assert run_sweep(space, observers=[recorder]).state == "interrupted"
    assert [e.data["slots"] for e in recorder.of(Kind.SWEEP_STARTED)] == [1]
    assert watch.lost in [e.key for e in recorder.of(Kind.STAGE_RETRIED)]
    assert watch.epochs == [*range(watch.epochs[0], watch.epochs[-1] + 1)], "it goes on after its last epoch"


def _epochs_done(folder: Path) -> int:
    return sweep_status(folder).epochs_done if (folder / "space.yaml").exists() else 0


def _job_ended(job_server: str) -> bool:
    return submission.jobs(job_server)[-1].state in submission._ENDS


def _wait(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.2)
