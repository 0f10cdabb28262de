"""What a sweep costs where training takes its time: stages of 10 s and more against a bare loop over the same stages.

``python -m benchmarks.overhead_long --json`` on a quiet machine, about 12 minutes.

The stages of the demonstration sweep on as many generated clips (240), with epochs enough for 10 s each, trained by a bare loop in
a fresh process and by a sweep (Ray, queue, store, study, MLflow) with one worker group, in turns; both with one thread. The first
stage warms both up (libraries import parts of themselves when they are first used: 4 s, of which a sweep pays most before its first
stage). Compared is the time from its end to the end of the last stage. Then the same with as many groups as there are cores,
where every core trains and the machinery has none to itself; there, the seconds of all other stages are added up, because groups
that wait for each other's stages are no overhead of the machinery. What the start takes, ``benchmarks.overhead`` measures.

``ratio``: sweep over bare loop, one group, the median of the turns; ``ratios``: each turn's. ``between_stages_s``: from the end of
a stage to the beginning of the next, on average. ``ratio_saturated``: seconds of all stages, with a group on every core, over the
bare loop's. ``shortest_stage_s``: of the bare loop's stages; less than 10 says little.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from explorer.run.events import Event, Kind
from explorer.spec.load import load_space
from explorer.spec.plan import chain
from explorer.spec.space import SearchSpace

# Of each stage: 10 s and more on one core of a 2.x GHz server. A policy's epoch is three to four times one of recognition alone.
EPOCHS = {"unimodal": 46, "warmup": 36, "joint": 13, "finetune": 42}


@dataclass(frozen=True, kw_only=True)
class LongOverhead:
    """Seconds, unless the name says ratio."""

    groups: int
    shortest_stage_s: float
    bare_s: list[float]
    sweep_s: list[float]
    ratios: list[float]
    ratio: float
    between_stages_s: float
    saturated_groups: int
    saturated_bare_s: float
    saturated_s: float
    ratio_saturated: float


class _Clock:
    """When stages began and ended."""

    def __init__(self) -> None:
        self._begun: dict[str, float] = {}
        self._ended: dict[str, float] = {}
        self._names: dict[str, str] = {}
        self._first: dict[str, str] = {}  # worker -> the stage that warmed it up

    def on_event(self, event: Event) -> None:
        if event.kind is Kind.STAGE_STARTED:
            self._begun[str(event.key)] = event.time
            self._names[str(event.key)] = str(event.stage)
            self._first.setdefault(event.data["worker"], str(event.key))
        elif event.kind is Kind.STAGE_FINISHED:
            self._ended[str(event.key)] = event.time

    @property
    def window_s(self) -> float:
        """From the end of the first stage to the end of the last."""
        return max(self._ended.values()) - min(self._ended.values())

    @property
    def busy_s(self) -> float:
        """Of all stages but each worker's first, added up."""
        return sum(end - self._begun[key] for key, end in self._ended.items() if key not in self._first.values())

    @property
    def between_s(self) -> float:
        """From a stage's end to the next one's beginning, of one group, whose stages follow each other."""
        return (self.window_s - self.busy_s) / max(1, len(self._ended) - 1)

    @property
    def warmed(self) -> list[str]:
        """Names of the stages that count."""
        return [self._names[key] for key in self._ended if key not in self._first.values()]


def space_of(folder: Path, manifest: Path, *, trials: int, groups: int, epochs: Mapping[str, int]) -> SearchSpace:
    """The demonstration sweep with long stages; its trials share the unimodal nets and the warm-up."""
    settings = [
        f"storage={folder}",
        f"tracking=sqlite:///{folder}/mlflow.db",
        "baselines=[]",
        f"data.manifest={manifest}",
    ]
    settings += [f"budget.trials={trials}", f"resources.groups={groups}", f"resources.cpus_per_worker={_cpus(groups)}"]
    settings += [f"stages.{stage}.epochs={count}" for stage, count in epochs.items()]
    return load_space("quickstart", settings)


def _cpus(groups: int) -> float:
    return 1.0 if (os.cpu_count() or 1) >= groups else (os.cpu_count() or 1) / groups


def clocked_sweep(space: SearchSpace) -> _Clock:
    from explorer.submit import sweep

    clock = _Clock()
    sweep(space, observers=[clock])
    return clock


def bare_seconds(space: SearchSpace, trials: int) -> list[tuple[str, float]]:
    """Name and seconds of each distinct stage in turn, in a process like a worker's: the store is there, Ray and MLflow are not."""
    done = subprocess.run(
        [sys.executable, "-c", _BARE, space.to_yaml(), str(trials)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    return [(stage, seconds) for stage, seconds in json.loads(done.stdout.splitlines()[-1])]


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
        store, seconds = Store(Path(folder) / "store"), list[tuple[str, float]]()
        while (asked := book.ask()) is not None:
            for job in chain(space, asked.params):
                if store.has(job.key):
                    continue
                began = time.monotonic()
                execute(job, store=store, cache=space.cache_folder, on_epoch=lambda report: True)
                seconds.append((job.stage, time.monotonic() - began))
            book.tell(asked.number, {"accuracy": 0.5, "gflops": 1.0})
        print(json.dumps(seconds))


def measure(*, epochs: Mapping[str, int], videos: int, turns: int) -> LongOverhead:
    from trainables.kit.data.synthetic import synthesise

    cores = os.cpu_count() or 1
    with tempfile.TemporaryDirectory(prefix="overhead-") as folder:
        manifest = synthesise(Path(folder) / "clips", videos=videos, seed=0, seconds=4.0)
        spaces = {
            turn: space_of(Path(folder) / str(turn), manifest, trials=1, groups=1, epochs=epochs)
            for turn in range(turns)
        }
        many = space_of(Path(folder) / "many", manifest, trials=cores, groups=cores, epochs=epochs)
        for space in (*spaces.values(), many):
            space.load_system().prepare_data(space.base_config(), space.cache_folder)
        bare, clocks = [], []
        for space in spaces.values():
            bare.append([seconds for _, seconds in bare_seconds(space, 1)[1:]])
            clocks.append(clocked_sweep(space))
        alone, crowded = bare_seconds(many, cores), clocked_sweep(many)
    bare_many_s = sum(statistics.mean(s for name, s in alone if name == stage) for stage in crowded.warmed)
    ratios = [clock.window_s / sum(seconds) for clock, seconds in zip(clocks, bare, strict=True)]
    return LongOverhead(
        groups=1,
        shortest_stage_s=min(map(min, bare)),
        bare_s=[sum(seconds) for seconds in bare],
        sweep_s=[clock.window_s for clock in clocks],
        ratios=ratios,
        ratio=statistics.median(ratios),
        between_stages_s=statistics.mean(clock.between_s for clock in clocks),
        saturated_groups=cores,
        saturated_bare_s=bare_many_s,
        saturated_s=crowded.busy_s,
        ratio_saturated=crowded.busy_s / bare_many_s,
    )


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.overhead_long", description="Overhead over long stages."
    )
    parser.add_argument("--scale", type=float, default=1.0, help="times the epochs of every stage, on another machine")
    parser.add_argument("--videos", type=int, default=240)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    options = parser.parse_args(arguments)
    epochs = {stage: max(1, round(options.scale * count)) for stage, count in EPOCHS.items()}
    found = asdict(measure(epochs=epochs, videos=options.videos, turns=options.turns))
    rounded = {
        name: [round(each, 4) for each in value] if isinstance(value, list) else round(value, 4)
        for name, value in found.items()
    }
    print(json.dumps(rounded) if options.json else "\n".join(f"{name:<18} {value}" for name, value in rounded.items()))


if __name__ == "__main__":
    main()
