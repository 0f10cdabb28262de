"""Small real clips, made once a test run."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from trainables.kit.data.synthetic import ENCODER_OPTIONS, SAMPLE_RATE, synthesise, write_clip


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """36 demonstration clips of 4 segments; returns the manifest. Read only: tests that damage files copy them."""
    return synthesise(tmp_path_factory.mktemp("clips"), videos=36, seconds=3.2, seed=7)


@pytest.fixture
def write_manifest(tmp_path: Path) -> Callable[..., Path]:
    """Writes rows as a manifest into an empty folder; every path that is named gets an empty file."""

    def write(*rows: dict[str, Any] | str) -> Path:
        for row in rows:
            if isinstance(row, dict) and isinstance(row.get("path"), str):
                (tmp_path / row["path"]).touch()
        lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
        (tmp_path / "manifest.jsonl").write_text("\n".join(lines) + "\n")
        return tmp_path / "manifest.jsonl"

    return write


@pytest.fixture(scope="session")
def make_clip() -> Callable[..., Path]:
    """Writes a clip whose frame f is grey of brightness f, with a hum."""

    def make(
        path: Path, *, frames: int = 20, size: tuple[int, int] = (64, 64), sound: bool = True, **options: Any
    ) -> Path:
        rate = options.get("frame_rate", 10)
        options.setdefault("encoder_options", {**ENCODER_OPTIONS, "crf": "5"})  # at 20, small steps are left out
        grey = np.arange(frames, dtype=np.uint8)[:, None, None, None] * 4
        hum = 0.3 * np.sin(2 * np.pi * 440 * np.arange(round(frames / rate * SAMPLE_RATE)) / SAMPLE_RATE)
        picture = np.broadcast_to(grey, (frames, *size, 3))
        write_clip(path, picture, hum.astype(np.float32) if sound else None, **options)
        return path

    return make
