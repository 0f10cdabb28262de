"""Files of a stage: safetensors for weights and tables, JSON for the rest, each written aside and renamed."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy


def write_json(path: Path, value: Any) -> None:
    """Write ``value`` atomically. NaN and infinity are refused: no reader could rely on them."""
    write_whole(path, json.dumps(value, indent=1, allow_nan=False, default=list).encode())


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write numpy arrays atomically as safetensors."""
    write_whole(path, safetensors.numpy.save({name: np.ascontiguousarray(array) for name, array in arrays.items()}))


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """Read what :func:`write_arrays` wrote."""
    return safetensors.numpy.load_file(path)


def epoch_folder(result: Path, epoch: int) -> Path:
    """Where a candidate epoch's weights and replay tables lie (epochs are counted from 0)."""
    return result / "epochs" / f"{epoch:04d}"


def write_whole(path: Path, content: bytes) -> None:
    """Write atomically: who reads finds the file as it was or as it is, never half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    aside.write_bytes(content)
    os.replace(aside, path)
