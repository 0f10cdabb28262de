"""Measured seconds of a sweep's networks and of the files' preprocessing: kept beside the sweep as ``times.json``."""

from __future__ import annotations

import json
import os
import platform
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from explorer.cost import class_count
from explorer.errors import UserError
from explorer.records import SPACE_FILE, read_sweep
from trainables.timing import TimeTable

TIMES_FILE = "times.json"
VIDEOS = 8  # validation files over which a measurement takes medians


class Timed(BaseModel):
    """A measurement, where and when it was made. ``machine``: processor and number of cores."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    times: TimeTable
    machine: str
    measured: str

    @property
    def text(self) -> str:
        """On what it was measured, for people."""
        table = self.times
        device = "" if table.device == "cpu" else f" and {table.device}"
        return (
            f"the quickest of some calls, medians over {table.videos} validation videos, one at a time, on {self.machine}{device}, "
            f"{table.threads} thread{'s' if table.threads > 1 else ''}, torch {table.torch}, {self.measured[:10]}"
        )


def read_times(folder: Path) -> Timed | None:
    """The measurement kept in a sweep's folder; None where there is none that can be read."""
    try:
        return Timed.model_validate_json((folder / TIMES_FILE).read_text(encoding="utf-8"))
    except (OSError, ValidationError):
        return None


def measure_times(folder: Path, *, videos: int = VIDEOS) -> Timed:
    """Measure on this machine and keep the result in ``folder``, in place of an older one.

    The networks are those of the search space's base configuration.

    Raises:
        UserError: the system offers no such measurement, or the sweep's videos are not here.
    """
    from explorer.spec.load import load_space

    space = load_space(folder / SPACE_FILE, files=False)
    system, config = space.load_system(), space.base_config()
    files = _spread(sorted(path for path in system.val_files(config).values() if path.is_file()), videos)
    trained = (len(stage.classes) for stage in read_sweep(folder).stages.values())
    classes = next(trained, None) or class_count(space).count
    if not files and system.val_files(config):
        raise UserError(
            f"none of the validation videos of {folder.name} is on this machine, so their decoding cannot be timed; "
            "run this where the videos are"
        )
    table = system.measure_time(config, classes, files)
    timed = Timed(times=table, machine=machine(), measured=datetime.now(UTC).isoformat(timespec="seconds"))
    _write(folder / TIMES_FILE, timed.model_dump(mode="json"))
    return timed


def machine() -> str:
    """Processor and number of cores that this process may use."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return f"{_processor()} ({cores} core{'s' if cores > 1 else ''})"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, "") or platform.processor() or platform.machine()


def _spread(files: list[Path], count: int) -> list[Path]:
    """At most ``count`` of them, evenly spaced."""
    if len(files) <= count:
        return files
    return [files[i * len(files) // count] for i in range(count)]


def _write(path: Path, value: Any) -> None:
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    aside.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")
    os.replace(aside, path)
