"""Measure what searching itself costs, and print it.

    python -m benchmarks.search_speed [--trials 200] [--pairs 100000] [--sweep] [--json]

``ask_ms``: one suggestion by TPE from a study on disk with ``--trials`` finished ones, the median and the slowest of 20; each is
told before the next. ``score_s``: pairs of thresholds scored on a replay table and reduced to their front, for 200 videos of 10
classes and 1,532 of 31 (Kinetics-Sounds), 10 segments, two modalities; ``front_s`` is the reduction alone. ``--sweep``: trials a
second of a toy sweep through Ray with four groups, once warm: the pace of its last three quarters. Beside each: what it should
be. On a busy machine wall-clock says nothing; ``cpu`` says less than it seems: compare ``reference_s``, a fixed NumPy loop.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

TARGETS = {"ask_ms": 50.0, "score_s.200x10": 2.0, "score_s.1532x31": 12.0, "trials_a_second": 5.0}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=200, help="finished trials that the sampler knows")
    parser.add_argument("--pairs", type=int, default=100_000, help="pairs of thresholds")
    parser.add_argument("--sweep", action="store_true", help="a toy sweep through Ray as well")
    parser.add_argument("--sweep-trials", type=int, default=64)
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    arguments = parser.parse_args()
    told: dict[str, Any] = {"reference_s": reference_s(), "ask_ms": ask_ms(arguments.trials)}
    for videos, classes in ((200, 10), (1532, 31)):
        told[f"score_s.{videos}x{classes}"] = score_s(videos, classes, arguments.pairs)
    if arguments.sweep:
        told["trials_a_second"] = trials_a_second(arguments.sweep_trials)
    print(json.dumps(told) if arguments.json else "\n".join(_line(name, found) for name, found in told.items()))


def reference_s() -> float:
    """Wall-clock seconds of a fixed piece of work on one thread."""
    rows = np.random.default_rng(0).random((400, 400))
    began = time.perf_counter()
    for _ in range(200):
        np.sort(rows, axis=1)
    return round(time.perf_counter() - began, 3)


def ask_ms(trials: int) -> dict[str, float]:
    """Milliseconds of a suggestion, with ``trials`` finished ones."""
    from benchmarks.search_efficiency.problems.toy import OBJECTIVES, SEARCH
    from explorer.search.book import StudyBook
    from explorer.search.search import Search
    from explorer.spec.draws import random_point

    with tempfile.TemporaryDirectory() as folder:
        points = [random_point(SEARCH, (7, n)) for n in range(trials)]
        search = Search(name="speed", search=SEARCH, objectives=OBJECTIVES, first_points=points)
        book = StudyBook(Path(folder) / "study.journal", search)
        walls, works = [], []
        for number in range(trials + 20):
            wall, work = time.perf_counter(), time.process_time()
            asked = book.ask()
            if number >= trials:
                walls.append(1e3 * (time.perf_counter() - wall))
                works.append(1e3 * (time.process_time() - work))
            assert asked is not None
            price = float(asked.params["lambda.rgb"])  # a trade-off along one parameter; the others decide little
            book.tell(asked.number, {"accuracy": 1 / (1 + price), "gflops": 8 / (1 + price) + number % 7 / 100})
        book.close()
    return {
        "median": round(statistics.median(walls), 1),
        "slowest": round(max(walls), 1),
        "cpu_median": round(statistics.median(works), 1),
    }


def score_s(videos: int, classes: int, pairs: int) -> dict[str, float]:
    """Seconds to score ``pairs`` of thresholds exactly and to reduce them to a front."""
    import moocore

    from trainables.contract import CostTable
    from trainables.kit.measure.replay import ModalityReplay

    rng = np.random.default_rng(0)
    macs = {"rgb": 100_000_000, "audio": 10_000_000}
    table = ModalityReplay(
        modalities=("rgb", "audio"),
        probability_BSM=rng.random((videos, 10, 2), np.float32),
        logits_BSMC=rng.standard_normal((videos, 10, 2, classes), np.float32),
        present_BSM=np.ones((videos, 10, 2), bool),
        label_B=rng.integers(0, classes, videos),
        video_ids=tuple(map(str, range(videos))),
        cost=CostTable(
            per_segment_macs={"paper": macs, "full": macs}, always_macs={"paper": 2_000_000, "full": 2_000_000}, segments=10
        ),
    )
    each = max(1, round(pairs**0.5))
    levels = np.linspace(0.001, 0.999, each)
    settings = [{"threshold.rgb": float(a), "threshold.audio": float(b)} for a in levels for b in levels]
    began, work = time.perf_counter(), time.process_time()
    found = table.means(settings)
    scored = time.perf_counter()
    front = moocore.is_nondominated(np.stack([found.gmacs_P["full"], -found.accuracy_P], 1), keep_weakly=False)
    ended = time.perf_counter()
    return {
        "pairs": len(settings),
        "seconds": round(ended - began, 2),
        "cpu_s": round(time.process_time() - work, 2),
        "front_s": round(ended - scored, 3),
        "front_points": int(front.sum()),
    }


def trials_a_second(trials: int) -> dict[str, float]:
    """Of a toy sweep with four groups that share one core each with nobody, once warm."""
    from explorer.run.events import Event, Kind
    from explorer.run.sweep import run_sweep
    from explorer.spec.load import load_space

    ended: list[float] = []

    class Listener:
        def on_event(self, event: Event) -> None:
            if event.kind is Kind.TRIAL_FINISHED:
                ended.append(event.time)

    with tempfile.TemporaryDirectory() as folder:
        more = [f"storage={folder}", "tracking=none", "baselines=[]", f"budget.trials={trials}"]
        groups = ["resources.groups=4", "resources.cpus_per_worker=0.25"]
        run_sweep(load_space("toy", [*more, *groups]), observers=[Listener()])
    first = len(ended) // 4
    return {"trials": len(ended), "once_warm": round((len(ended) - 1 - first) / (ended[-1] - ended[first]), 2)}


def _line(name: str, found: Any) -> str:
    goal = f"   (asked for: {TARGETS[name]:g})" if name in TARGETS else ""
    return f"{name:<18} {found}{goal}"


if __name__ == "__main__":
    main()
