"""Shared by all tests: real clips, made once a session, and quiet libraries."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.tour import Tour, take_tour

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("RAY_TRAIN_ENABLE_PREEMPTION_WATCHER", "0")
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_SERVER_ENABLE_JOB_EXECUTION", "false")

# Tests of these kinds wait for processes that other processes start: where a busy machine makes one of a thousand of them miss
# a limit of Ray's or of a server's start, it is run once more. Both runs are told at the end (-rR); two failures fail.
REAL_PROCESSES = ("ray", "server", "kills")

CLIPS = 36
CLIP_SECONDS = 4.0

# Files that share what is made once a process and takes long; side by side, two processes would make it twice.
TOUR = (
    "tests/cli/test_init.py",
    "tests/docs/test_docs.py",
    "tests/report/test_page_parts.py",
    "tests/test_end_to_end.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if any(item.get_closest_marker(kind) for kind in REAL_PROCESSES):
            item.add_marker(pytest.mark.flaky(reruns=1))
    touring = {item.location[0] for item in items if "tour" in getattr(item, "fixturenames", ())}
    assert touring <= set(TOUR), f"TOUR must name every file that uses the tour, so also {sorted(touring - set(TOUR))}"


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """File by file (``--dist loadfile``), the files of the tour as if they were one."""
    from xdist.scheduler import LoadFileScheduling

    class ByFile(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = super()._split_scope(nodeid)
            return "tour" if file in TOUR else file

    return ByFile(config, log)


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Manifest of 36 real mp4 files of 4 seconds: 24 to train on, 6 to validate, 6 to test."""
    from trainables.kit.data.synthetic import synthesise

    return synthesise(tmp_path_factory.mktemp("clips"), videos=CLIPS, seed=0, seconds=CLIP_SECONDS)


@pytest.fixture(scope="session")
def media_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One decode-once cache for all tests on the clips."""
    return tmp_path_factory.mktemp("media-cache")


@pytest.fixture(scope="session")
def tour(clips: Path, tmp_path_factory: pytest.TempPathFactory) -> Tour:
    """The tutorial's commands, typed in a folder with the clips: one real sweep for all tests that only look at one."""
    return take_tour(clips, tmp_path_factory.mktemp("tour"))


@pytest.fixture
def object_store(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[str]:
    """The URL of a bucket of an S3-compatible server on loopback."""
    server_module = pytest.importorskip("moto.server")
    s3fs = pytest.importorskip("s3fs")
    server = server_module.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    settings = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_DEFAULT_REGION": "us-east-1"}
    for name, value in {**settings, "AWS_ENDPOINT_URL": f"http://{host}:{port}"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("EXPLORER_MIRRORS", str(tmp_path / "mirrors"))
    s3fs.S3FileSystem.clear_instance_cache()
    bucket = f"sweeps-{uuid.uuid4().hex}"  # moto keeps its buckets as long as the process lives
    s3fs.S3FileSystem().mkdir(bucket)
    yield f"s3://{bucket}"
    server.stop()


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An MLflow database to copy: creating one takes seconds."""
    from mlflow import MlflowClient

    file = tmp_path_factory.mktemp("database") / "mlflow.db"
    MlflowClient(tracking_uri=f"sqlite:///{file}").search_experiments()
    return file
