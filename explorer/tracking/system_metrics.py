"""Load of the machine that drives the sweep, by MLflow's own monitors and names, written by the one writer there is."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from typing import Any

logger = logging.getLogger(__name__)

SAMPLE_S = 10.0
PREFIX = "system/"  # what MLflow shows under "System metrics"


class SystemMetrics:
    """CPU, memory, disk, network and, where NVIDIA's library is there, GPUs; a sample at most every ``SAMPLE_S``."""

    def __init__(self) -> None:
        self._monitors: Sequence[Any] | None = None
        self._sampled_at = -1e9

    def sample(self) -> dict[str, float]:
        """Current values by metric name; empty where the last sample was a moment ago."""
        now = time.monotonic()
        if now - self._sampled_at < SAMPLE_S:
            return {}
        self._sampled_at = now
        if self._monitors is None:
            self._monitors = _monitors()
        values: dict[str, float] = {}
        for monitor in self._monitors:
            monitor.collect_metrics()
            values |= {f"{PREFIX}{name}": float(value) for name, value in monitor.aggregate_metrics().items()}
            monitor.clear_metrics()
        return values


def _monitors() -> list[Any]:
    try:
        from mlflow.system_metrics.metrics.cpu_monitor import CPUMonitor
        from mlflow.system_metrics.metrics.disk_monitor import DiskMonitor
        from mlflow.system_metrics.metrics.network_monitor import NetworkMonitor
    except ImportError as error:
        logger.warning("no system metrics are tracked: %s; install psutil", error)
        return []
    found: list[Any] = [CPUMonitor(), DiskMonitor(), NetworkMonitor()]
    try:
        from mlflow.system_metrics.metrics.gpu_monitor import GPUMonitor

        found.append(GPUMonitor())
    except Exception as error:  # no GPU, no driver, or no nvidia-ml-py: each raises its own
        logger.info("GPUs are not among the system metrics: %s", error)
    return found
