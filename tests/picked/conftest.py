"""A tiny sweep on real clips, tracked in a real MLflow database; its picks are what the tests of this folder use."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from explorer.api import Front, PickedModel, load_model, pick
from explorer.tracking import MlflowTracker
from tests.report.real_sweep import toy_space, train_real_sweep

torch.set_num_threads(1)

FIELDS = {
    "name": "video-sweep",
    "system": "adamml",
    "preset": "tiny",
    "stages": {
        "unimodal": {"epochs": 2, "batch_size": 12},
        "warmup": {"epochs": 1, "batch_size": 12},
        "joint": {"epochs": 1, "batch_size": 12},
        "finetune": {"epochs": 1, "batch_size": 12},
    },
    "baselines": ["unimodal"],
    "budget": {"trials": 1},
}


@pytest.fixture(scope="session")
def video_front(clips: Path, empty_database: Path, tmp_path_factory: pytest.TempPathFactory) -> Front:
    storage = tmp_path_factory.mktemp("video-runs")
    shutil.copyfile(empty_database, storage / "mlflow.db")
    fields = {
        **FIELDS,
        "data": {"manifest": str(clips), "segments": {"test": 5}},
        "tracking": f"sqlite:///{storage}/mlflow.db",
    }
    tracker = MlflowTracker(toy_space(storage, **fields))
    space = train_real_sweep(storage, listen=tracker.on_event, **fields)
    assert tracker.close(timeout_s=300)
    return Front.load(space.folder)


@pytest.fixture(scope="session")
def picked(video_front: Front):
    return pick(video_front, min_accuracy=0.0, name="shared")


@pytest.fixture(scope="session")
def model(picked) -> PickedModel:
    return load_model(picked.folder)


@pytest.fixture
def videos(clips: Path) -> Iterator[list[Path]]:
    return sorted((clips.parent / "videos").glob("*.mp4"))[:2]
