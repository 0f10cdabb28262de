"""Shared by all tests: real clips, made once a session, and quiet libraries."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.tour import Tour, take_tour

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("RAY_TRAIN_ENABLE_PREEMPTION_WATCHER", "0")
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")

CLIPS = 36
CLIP_SECONDS = 4.0


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
