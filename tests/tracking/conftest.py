"""Toy sweeps, each tracked in a copy of one freshly created MLflow database."""

import shutil
from pathlib import Path

import pytest
import torch

from explorer.spec import SearchSpace
from tests.report.real_sweep import toy_space

torch.set_num_threads(1)


@pytest.fixture(scope="session")
def finished_space(tmp_path_factory: pytest.TempPathFactory, empty_database: Path) -> SearchSpace:
    """As ``space``, for one sweep that several tests look at and none changes."""
    storage = tmp_path_factory.mktemp("finished")
    shutil.copyfile(empty_database, storage / "mlflow.db")
    return toy_space(storage, budget={"trials": 3}, tracking=f"sqlite:///{storage}/mlflow.db")


@pytest.fixture
def space(tmp_path: Path, empty_database: Path, monkeypatch: pytest.MonkeyPatch) -> SearchSpace:
    """A toy sweep of three trials, tracked in a database of its own."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    shutil.copyfile(empty_database, tmp_path / "mlflow.db")
    return toy_space(tmp_path, budget={"trials": 3})
