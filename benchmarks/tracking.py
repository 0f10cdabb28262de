"""What tracking costs: a made-up sweep of many trials told to MLflow, without training.

    python -m benchmarks.tracking --trials 200 --json

Every trial has its own two stages with their epochs, results in a real store and a real study, as a sweep leaves them; only
the training is left out. Measured is the CPU of the tracker's thread, by trial, in blocks of equal size: were something
quadratic, later blocks would cost more. ``last_over_first`` says so.
"""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
import time
from pathlib import Path

import torch

from explorer.run.events import Event, Kind
from explorer.spec import SearchSpace, load_space
from explorer.tracking.front_view import FrontView
from explorer.tracking.projection import Projection
from explorer.tracking.runs import Runs
from explorer.tracking.where import artifacts_location, sweep_id
from tests.report.real_sweep import RealSweep

BLOCKS = 4


class Blocks:
    """Applies events to a projection and notes when each trial is done."""

    def __init__(self, projection: Projection) -> None:
        self._projection = projection
        self.spent: list[float] = []  # CPU seconds in the projection, at the end of each trial
        self.total = 0.0

    def on_event(self, event: Event) -> None:
        started = time.process_time()
        self._projection.apply([event])
        self._projection.refresh_front()
        self.total += time.process_time() - started
        if event.kind is Kind.TRIAL_FINISHED:
            self.spent.append(self.total)


def measure(trials: int, storage: Path) -> dict[str, float]:
    """Track a sweep of ``trials`` toy trials in a database of its own."""
    space = _space(trials, storage)
    tracking = f"sqlite:///{storage}/mlflow.db"
    location = artifacts_location(tracking, space.folder)
    started = time.process_time()
    runs = Runs(
        uri=tracking, experiment=space.name, name=space.name, sweep_id=sweep_id(space.folder), artifacts=location
    )
    opened = time.process_time() - started
    blocks = Blocks(Projection(space, runs))
    sweep = RealSweep(space, blocks.on_event)
    sweep.start()
    sweep.baselines()
    before = blocks.total
    while sweep.trial():
        pass
    trained = blocks.total
    sweep.end()
    size = max(1, len(blocks.spent) // BLOCKS)
    edges = [before, *(blocks.spent[min(len(blocks.spent), (b + 1) * size) - 1] for b in range(BLOCKS))]
    per_trial = [(edges[b + 1] - edges[b]) / size for b in range(BLOCKS)]
    started = time.perf_counter()
    view = FrontView(space, runs)
    view.stale = True
    view.refresh()
    return {
        "trials": trials,
        "cpu_s": opened + blocks.total,
        "cpu_s_open_database": opened,
        "cpu_s_per_trial": (trained - before) / max(1, len(blocks.spent)),
        "cpu_s_at_end": blocks.total - trained,
        "last_over_first": per_trial[-1] / per_trial[0],
        "refresh_s": time.perf_counter() - started,
        "database_mb": (storage / "mlflow.db").stat().st_size / 1e6,
        "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3,
    }


def _space(trials: int, storage: Path) -> SearchSpace:
    overrides = [f"storage={storage}", f"budget.trials={trials}", "sampler=random", "tracking=none", "name=tracking"]
    space = load_space("toy", overrides)
    space.folder.mkdir(parents=True, exist_ok=True)
    (space.folder / "space.yaml").write_text(space.to_yaml())
    return space


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(prefix="tracking-") as folder:
        found = measure(arguments.trials, Path(folder))
    if arguments.json:
        print(json.dumps({name: round(value, 4) for name, value in found.items()}))
        return
    for name, value in found.items():
        print(f"{name:<22}{value:10.3f}")


if __name__ == "__main__":
    main()
