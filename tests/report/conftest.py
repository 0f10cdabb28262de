"""A planted front to look at, and a real sweep folder to load and pick from."""

import pytest
import torch

from explorer.browse import Front
from explorer.spec import SearchSpace
from tests.report.planted import planted_sweep
from tests.report.real_sweep import train_real_sweep

torch.set_num_threads(1)


@pytest.fixture(scope="session")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Front:
    return Front.of(planted_sweep(tmp_path_factory.mktemp("planted")))


@pytest.fixture(scope="session")
def real_space(tmp_path_factory: pytest.TempPathFactory) -> SearchSpace:
    """A finished sweep; do not change its folder, except below ``picks``."""
    return train_real_sweep(tmp_path_factory.mktemp("runs"), budget={"trials": 4})
