"""What a sweep costs beside training: toy trials of three stages through everything real.

``python -m benchmarks.overhead --trials 24 --groups 2 --json``

Real are Ray Tune, the Ray Train worker groups, the queue, the stage store, the study's database and MLflow. The toy's
stages take milliseconds, so what is measured is the machinery. The same stages are then run by a bare loop in this one
process, so that the ratio does not depend on how fast the machine is.

``seconds``: from the start of this module until everything is written and Ray is down.
``seconds_per_trial_warm``: between the ends of the first and the last trial, a trial.
``ratio_warm``: that, over the bare loop's seconds a trial (one process does what ``groups`` share).
"""

from __future__ import annotations

import time

_STARTED = time.monotonic()

import argparse  # noqa: E402
import json  # noqa: E402
import os  # noqa: E402
import tempfile  # noqa: E402
from collections.abc import Sequence  # noqa: E402
from dataclasses import asdict, dataclass  # noqa: E402
from pathlib import Path  # noqa: E402

from explorer.run.events import Event, Kind  # noqa: E402
from explorer.search.reader import read_study  # noqa: E402
from explorer.spec.load import load_space  # noqa: E402
from explorer.spec.plan import chain  # noqa: E402
from explorer.spec.space import SearchSpace  # noqa: E402
from explorer.submit import sweep  # noqa: E402


@dataclass(frozen=True, kw_only=True)
class Overhead:
    """Seconds, unless the name says ratio. ``stages``: distinct ones, each trained once."""

    trials: int
    groups: int
    stages: int
    seconds: float
    seconds_until_first_trial: float
    seconds_per_trial_warm: float
    bare_seconds_per_trial: float
    ratio_warm: float
    ratio_total: float


class _Clock:
    """When trials ended, and how many stages were trained. Wall-clock seconds since the epoch."""

    def __init__(self) -> None:
        self.trial_ends: list[float] = []
        self.stages = 0

    def on_event(self, event: Event) -> None:
        if event.kind is Kind.TRIAL_FINISHED:
            self.trial_ends.append(event.time)
        self.stages += event.kind is Kind.STAGE_FINISHED


def measure(trials: int, groups: int) -> Overhead:
    """Run the sweep and the bare loop in a temporary folder."""
    cpus = min(1.0, (os.cpu_count() or 1) / groups)
    with tempfile.TemporaryDirectory(prefix="overhead-") as folder:
        settings = [f"storage={folder}", f"tracking=sqlite:///{folder}/mlflow.db", "baselines=[]"]
        settings += [f"budget.trials={trials}", f"resources.groups={groups}", f"resources.cpus_per_worker={cpus:g}"]
        space = load_space("toy", settings)
        clock = _Clock()
        began = time.time() - (time.monotonic() - _STARTED)
        sweep(space, observers=[clock])
        seconds = time.monotonic() - _STARTED
        assert len(clock.trial_ends) == trials, f"{trials} trials were asked for, {len(clock.trial_ends)} finished"
        bare = _bare_seconds(space, Path(folder) / "bare")
    warm = (max(clock.trial_ends) - min(clock.trial_ends)) / max(1, trials - 1)
    return Overhead(
        trials=trials,
        groups=groups,
        stages=clock.stages,
        seconds=seconds,
        seconds_until_first_trial=min(clock.trial_ends) - began,
        seconds_per_trial_warm=warm,
        bare_seconds_per_trial=bare / trials,
        ratio_warm=warm / (bare / trials),
        ratio_total=seconds / bare,
    )


def _bare_seconds(space: SearchSpace, storage: Path) -> float:
    """The same stages in a loop: no Ray, no queue, no MLflow; the store, because without it nothing is kept."""
    import torch

    from explorer.execute import execute
    from explorer.store import Store

    torch.set_num_threads(1)
    points = [trial.params for trial in read_study(space.folder / "study.journal")]
    execute(chain(space, points[0])[0], store=Store(storage / "warm"), cache=storage, on_epoch=lambda report: True)
    store = Store(storage / "store")
    began = time.monotonic()
    for params in points:
        for job in chain(space, params):
            execute(job, store=store, cache=storage, on_epoch=lambda report: True)
    return time.monotonic() - began


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.overhead", description="What a sweep costs beside training."
    )
    parser.add_argument("--trials", type=int, default=24)
    parser.add_argument("--groups", type=int, default=2)
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    options = parser.parse_args(arguments)
    found = {name: round(value, 4) for name, value in asdict(measure(options.trials, options.groups)).items()}
    if options.json:
        print(json.dumps(found))
        return
    width = max(map(len, found))
    for name, value in found.items():
        print(f"{name:<{width}}  {value:>10g}")


if __name__ == "__main__":
    main()
