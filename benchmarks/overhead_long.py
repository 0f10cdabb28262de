"""What a sweep costs where training takes its time: stages of 10 s and more against a bare loop over the same stages.

``python -m benchmarks.overhead_long --json`` on a quiet machine, about 5 minutes.

The stages of the demonstration sweep on generated clips, trained twice: by a sweep (Ray, queue, store, study, MLflow) with one
worker group, and by a bare loop in a fresh process with as many threads. Compared is the time from the beginning of the first
stage to the end of the last: start-up is not in it (``benchmarks.overhead`` measures that). Then the same with as many groups as
there are cores, where every core trains and the machinery has none to itself; there, the seconds of all stages are added up,
because groups that wait for each other's stages are no overhead of the machinery.

``ratio``: sweep over bare loop, one group. ``ratio_saturated``: seconds of all stages, with a group on every core, over the bare
loop's. ``shortest_stage_s``: of the bare loop's stages; less than 10 says little.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from explorer.run.events import Event, Kind
from explorer.spec.load import load_space
from explorer.spec.plan import chain
from explorer.spec.space import SearchSpace


@dataclass(frozen=True, kw_only=True)
class LongOverhead:
    """Seconds, unless the name says ratio."""

    groups: int
    shortest_stage_s: float
    bare_s: float
    sweep_s: float
    ratio: float
    saturated_groups: int
    saturated_s: float
    ratio_saturated: float


class _Clock:
    """``window_s``: from the beginning of the first stage to the end of the last; ``busy_s``: all stages' times added up."""

    def __init__(self) -> None:
        self._begun: dict[str, float] = {}
        self._ended: dict[str, float] = {}

    def on_event(self, event: Event) -> None:
        if event.kind is Kind.STAGE_STARTED:
            self._begun[str(event.key)] = event.time
        elif event.kind is Kind.STAGE_FINISHED:
            self._ended[str(event.key)] = event.time

    @property
    def window_s(self) -> float:
        return max(self._ended.values()) - min(self._begun.values())

    @property
    def busy_s(self) -> float:
        return sum(end - self._begun[key] for key, end in self._ended.items())


def space_of(folder: Path, manifest: Path, *, trials: int, groups: int, epochs: int) -> SearchSpace:
    """The demonstration sweep with long stages; its trials share the unimodal nets and the warm-up."""
    stages = ("unimodal", "warmup", "joint", "finetune")
    settings = [
        f"storage={folder}",
        f"tracking=sqlite:///{folder}/mlflow.db",
        "baselines=[]",
        f"data.manifest={manifest}",
    ]
    settings += [f"budget.trials={trials}", f"resources.groups={groups}", f"resources.cpus_per_worker={_cpus(groups)}"]
    settings += [f"stages.{stage}.epochs={epochs}" for stage in stages]
    return load_space("quickstart", settings)


def _cpus(groups: int) -> float:
    return 1.0 if (os.cpu_count() or 1) >= groups else (os.cpu_count() or 1) / groups


def clocked_sweep(space: SearchSpace) -> _Clock:
    from explorer.submit import sweep

    clock = _Clock()
    sweep(space, observers=[clock])
    return clock


def bare_seconds(space: SearchSpace, trials: int) -> list[float]:
    """Seconds of each distinct stage, in a process like a worker's: the store is there, Ray, queue and MLflow are not."""
    done = subprocess.run(
        [sys.executable, "-c", _BARE, space.to_yaml(), str(trials)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    found: list[float] = json.loads(done.stdout.splitlines()[-1])
    return found


_BARE = """
import sys
from benchmarks.overhead_long import bare_loop
bare_loop(sys.argv[1], int(sys.argv[2]))
"""


def bare_loop(text: str, trials: int) -> None:
    """In a process of its own: train the stages of the first ``trials`` points one after the other, and print seconds."""
    import torch

    from explorer.execute import execute
    from explorer.search.book import StudyBook
    from explorer.search.from_space import search_of
    from explorer.store import Store

    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(prefix="bare-") as folder:
        file = Path(folder) / "space.yaml"
        file.write_text(text)
        space = load_space(file)
        book = StudyBook(Path(folder) / "study.journal", search_of(space), trials=trials)
        store, seconds = Store(Path(folder) / "store"), []
        while (asked := book.ask()) is not None:
            for job in chain(space, asked.params):
                if store.has(job.key):
                    continue
                began = time.monotonic()
                execute(job, store=store, cache=space.cache_folder, on_epoch=lambda report: True)
                seconds.append(time.monotonic() - began)
            book.tell(asked.number, {"accuracy": 0.5, "gflops": 1.0})
        print(json.dumps(seconds))


def measure(*, epochs: int, videos: int) -> LongOverhead:
    from trainables.kit.data.synthetic import synthesise

    cores = os.cpu_count() or 1
    with tempfile.TemporaryDirectory(prefix="overhead-") as folder:
        manifest = synthesise(Path(folder) / "clips", videos=videos, seed=0, seconds=4.0)
        one = space_of(Path(folder) / "one", manifest, trials=1, groups=1, epochs=epochs)
        many = space_of(Path(folder) / "many", manifest, trials=2 * cores, groups=cores, epochs=epochs)
        for space in (one, many):
            space.load_system().prepare_data(space.base_config(), space.cache_folder)
        bare = bare_seconds(one, 1)
        sweep_s = clocked_sweep(one).window_s
        bare_many = bare_seconds(many, 2 * cores)
        saturated_s = clocked_sweep(many).busy_s
    return LongOverhead(
        groups=1,
        shortest_stage_s=min(bare),
        bare_s=sum(bare),
        sweep_s=sweep_s,
        ratio=sweep_s / sum(bare),
        saturated_groups=cores,
        saturated_s=saturated_s,
        ratio_saturated=saturated_s / sum(bare_many),
    )


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.overhead_long", description="Overhead over long stages."
    )
    parser.add_argument("--epochs", type=int, default=60, help="of every stage: enough for 10 s each")
    parser.add_argument("--videos", type=int, default=96)
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    options = parser.parse_args(arguments)
    found = {
        name: round(value, 4) for name, value in asdict(measure(epochs=options.epochs, videos=options.videos)).items()
    }
    print(json.dumps(found) if options.json else "\n".join(f"{name:<18}{value:>10g}" for name, value in found.items()))


if __name__ == "__main__":
    main()
