"""What skipping saves at inference: wall-clock by selection rate, against everything on, in one run.

``python -m benchmarks.inference --json``                 preset tiny and a larger net, about 5 minutes on 2 quiet cores
``python -m benchmarks.inference --quick --json``         does it run? Its figures are coarse
``python -m benchmarks.inference --pick runs/my-sweep/picks/first --json``   a picked model on its own test videos

Decisions are forced: at each rate, that share of the segments of each modality is drawn once, at random and exactly. The path is
that of ``explorer predict``. Everything is measured in turns, one of each a round, and is the median over the rounds.

``networks``: policy, gathering, recognition and fusion, on inputs in memory. ``expected_s`` is what they must take: for every
segment the policy's time, and rate x time a segment of each recognition net, where the times a segment are measured in the
same rounds on batches of ``segments_a_batch`` without any gathering. ``wallclock_over_expected`` is their ratio, and
``gflops_over_all_on`` what a count of multiply-accumulates promises. ``all_on`` runs no policy: it is the plain network of the
same parts. ``pipeline``: the same on files, decoding and transforms included; the policy looks at every segment, so that every
segment's input is read. ``reading``: files alone, decoded whole, and for the chosen segments only. On a busy machine take
``--clock cpu``: the processor's time is, with one thread, what the wall clock would show if nothing else ran.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from trainables.adamml.config import AdaMMLConfig
from trainables.adamml.model import AdaMML
from trainables.adamml.predict import SEGMENTS_AT_ONCE, Piece, Runner
from trainables.adamml.system import AdaMMLSystem
from trainables.kit.data.cache import Source, decode_clip
from trainables.kit.data.dataset import load_file
from trainables.kit.data.modalities import MODALITIES
from trainables.kit.data.synthetic import SAMPLE_RATE, write_clip
from trainables.kit.memory import keep_freed_memory

CLASSES = 31
RATES = (0.0, 0.1, 0.25, 0.5, 0.75, 1.0)
SYSTEM = AdaMMLSystem()
CLOCKS: Mapping[str, Callable[[], float]] = {"wall": time.perf_counter, "cpu": time.process_time}


@dataclass(frozen=True, kw_only=True)
class Case:
    """A net and its clips. ``size``: rows and columns of the clips' pictures; ``videos`` are computed together."""

    preset: str
    videos: int
    segments: int
    size: tuple[int, int]
    fps: int
    clip_s: float


CASES: Mapping[str, Case] = {
    "tiny": Case(preset="tiny", videos=32, segments=10, size=(64, 64), fps=10, clip_s=8.0),
    "resnet18-160": Case(preset="base", videos=2, segments=10, size=(240, 320), fps=25, clip_s=10.0),
}


def config_of(case: Case) -> AdaMMLConfig:
    """The preset's nets with random weights, which take the same time."""
    raw: dict[str, Any] = json.loads(json.dumps(SYSTEM.presets[case.preset]))
    for part in ("recognition", "policy"):
        for name in MODALITIES:
            raw[part][name]["weights"] = None
    raw["data"] |= {"manifest": "none", "segments": {**raw["data"]["segments"], "test": case.segments}}
    return AdaMMLConfig.model_validate(raw)


class Forced(Runner):
    """Runs the policy, and then uses what it is told to."""

    use_BSM: Tensor

    def _wanted(self, pieces: Sequence[Piece], seen: Mapping[str, Tensor], state: Any) -> tuple[Tensor, Any]:
        super()._wanted(pieces, seen, state)
        return self.use_BSM[: len(pieces)], None


class InMemory:
    """What a ``LoadedFile`` is to a runner, with its inputs there already."""

    def __init__(self, inputs: Mapping[str, Tensor]) -> None:
        self.inputs = inputs
        segments = len(next(iter(inputs.values())))
        self.start_s_S = self.end_s_S = tuple(float(s) for s in range(segments))

    def read(self, name: str, segments: Sequence[int]) -> Tensor:
        whole = list(segments) == list(range(len(self.start_s_S)))
        return self.inputs[name] if whole else self.inputs[name][list(segments)]

    def present(self, name: str) -> list[bool]:
        return [True] * len(self.start_s_S)


class Turns:
    """Measures named pieces of work in turns; ``seconds``: medians over the rounds, after one that does not count."""

    def __init__(self, rounds: int, clock: Callable[[], float]) -> None:
        self.rounds, self.clock = rounds, clock
        self.work: dict[Any, Callable[[], object]] = {}

    def seconds(self) -> dict[Any, float]:
        taken: dict[Any, list[float]] = defaultdict(list)
        for number in range(self.rounds + 1):
            for name, work in self.work.items():
                began = self.clock()
                work()
                if number:
                    taken[name].append(self.clock() - began)
        return {name: statistics.median(times) for name, times in taken.items()}


def drawn(shape: tuple[int, int, int], rate: float) -> Tensor:
    """``use_BSM`` with exactly that share of each modality's segments, to the nearest segment."""
    videos, segments, modalities = shape
    use_NM = torch.zeros(videos * segments, modalities, dtype=torch.bool)
    generator = torch.Generator().manual_seed(1)
    for m in range(modalities):
        use_NM[torch.randperm(len(use_NM), generator=generator)[: round(rate * len(use_NM))], m] = True
    return use_NM.view(videos, segments, modalities)


def measure(case: Case, rates: Sequence[float], turns: Turns, folder: Path) -> dict[str, Any]:
    """All figures of one net."""
    torch.manual_seed(0)
    config = config_of(case)
    model = AdaMML(config, CLASSES).eval()
    shape = (case.videos, case.segments, len(model.modalities))
    inputs = [
        {m: torch.randn(case.segments, *MODALITIES[m].shape(config.data)) for m in model.modalities}
        for _ in range(case.videos)
    ]
    files = [make_clip(folder / f"{number}.mp4", case, number) for number in range(case.videos)]
    for m in model.modalities:
        batch = torch.cat([each[m] for each in inputs])[:SEGMENTS_AT_ONCE]
        turns.work["segment", m] = _no_grad(lambda m=m, batch=batch: model.recognition[m](batch))
    every = {m: torch.stack([each[m] for each in inputs]) for m in model.modalities}
    turns.work["segment", "policy"] = _no_grad(lambda: model.policy(every))
    for rate in (*rates, None):
        runner = _runner(model, config, shape, rate)
        loaded = [InMemory(each) for each in inputs]
        turns.work["networks", rate] = _no_grad(lambda r=runner, x=loaded: _networks(r, x))
        turns.work["one", rate] = _no_grad(lambda r=runner, x=loaded[:1]: _networks(r, x))
        turns.work["pipeline", rate] = lambda r=runner: list(r.predict(files))
        turns.work["reading", rate] = lambda r=runner: _read_chosen(config, files, r.use_BSM)
    turns.work["reading", "whole"] = lambda: [decode_clip(Source(path=file), config.data) for file in files]
    return _report(case, config, model, turns.seconds(), rates)


def _runner(model: AdaMML, config: AdaMMLConfig, shape: tuple[int, int, int], rate: float | None) -> Forced:
    """``rate`` None: everything on, without a policy."""
    mode = "all_on" if rate is None else "policy"
    runner = Forced(model=model, config=config, knobs={}, cost=SYSTEM.cost(config, CLASSES), mode=mode)
    object.__setattr__(runner, "use_BSM", drawn(shape, 1.0 if rate is None else rate))
    return runner


def _networks(runner: Forced, loaded: Sequence[Any]) -> None:
    """What ``predict`` does once the files are read."""
    pieces = [runner._piece(each, range(len(each.start_s_S))) for each in loaded]
    seen = runner._seen(pieces)
    wanted_BSM, _ = runner._wanted(pieces, seen, None)
    use = [runner._choose(piece, wanted_SM) for piece, wanted_SM in zip(pieces, wanted_BSM, strict=True)]
    runner._recognise(pieces, seen, torch.stack(use))


def _read_chosen(config: AdaMMLConfig, files: Sequence[Path], use_BSM: Tensor) -> None:
    for file, use_SM in zip(files, use_BSM, strict=True):
        loaded = load_file(file, config.data)
        for i, m in enumerate(config.data.modalities):
            if chosen := use_SM[:, i].nonzero()[:, 0].tolist():
                loaded.read(m, chosen)


def _report(
    case: Case, config: AdaMMLConfig, model: AdaMML, seconds: Mapping[Any, float], rates: Sequence[float]
) -> dict[str, Any]:
    cost, videos, segments = SYSTEM.cost(config, CLASSES), case.videos, case.videos * case.segments
    batch = min(SEGMENTS_AT_ONCE, segments)
    segment_s = {m: seconds["segment", m] / batch for m in model.modalities}
    segment_s["policy"] = seconds["segment", "policy"] / segments
    everything = cost.all_on_gmacs("full")

    def row(rate: float | None) -> dict[str, float]:
        used = 1.0 if rate is None else rate
        expected_s = segments * sum(used * segment_s[m] for m in model.modalities)
        expected_s += 0 if rate is None else segments * segment_s["policy"]
        gflops = everything if rate is None else cost.at_rates_gmacs("full", dict.fromkeys(model.modalities, rate))
        networks_s, pipeline_s = seconds["networks", rate], seconds["pipeline", rate]
        return {
            "networks_ms_a_video": 1e3 * networks_s / videos,
            "networks_videos_per_s": videos / networks_s,
            "networks_over_all_on": networks_s / seconds["networks", None],
            "gflops_over_all_on": gflops / everything,
            "expected_ms_a_video": 1e3 * expected_s / videos,
            "wallclock_over_expected": networks_s / expected_s,
            "latency_ms_one_video": 1e3 * seconds["one", rate],
            "latency_over_all_on": seconds["one", rate] / seconds["one", None],
            "pipeline_videos_per_s": videos / pipeline_s,
            "pipeline_over_all_on": pipeline_s / seconds["pipeline", None],
            "reading_chosen_ms_a_video": 1e3 * seconds["reading", rate] / videos,
        }

    return {
        "nets": f"preset {case.preset}, {len(model.modalities)} modalities, random weights",
        "videos_together": videos,
        "segments_a_video": case.segments,
        "segments_a_batch": batch,
        "segment_ms": {name: 1e3 * value for name, value in segment_s.items()},
        "gflops_all_on_a_video": everything,
        "clips": f"{case.clip_s:g} s, {case.size[1]}x{case.size[0]}, {case.fps} fps, one key frame in 250",
        "reading_whole_ms_a_video": 1e3 * seconds["reading", "whole"] / videos,
        "all_on": row(None),
        "rates": [{"rate": rate, **row(rate)} for rate in rates],
    }


def measure_pick(folder: Path, turns: Turns, most: int) -> dict[str, Any]:
    """A picked model on the test videos of its own manifest: its policy's decisions against everything on."""
    from explorer.predict import load_model
    from trainables.kit.data.manifest import read_manifest
    from trainables.kit.data.splits import complete_splits

    picked = load_model(folder)
    data: Any = picked.config
    manifest = read_manifest(data.data.manifest)
    test = set(complete_splits(manifest.videos, data.data.split_seed).ids("test"))
    files = [video.path for video in manifest.videos if video.id in test][:most]
    answers: dict[str, Any] = {}
    for mode in dict.fromkeys((picked.mode, "all_on")):
        how: dict[str, Any] = {"knobs": picked.knobs, "mode": mode}
        turns.work[mode] = lambda how=how, mode=mode: answers.update(
            {mode: list(picked.system.predict_many(picked.network, picked.config, files, **how))}
        )
    seconds = turns.seconds()
    gflops = {mode: statistics.mean(each.gmacs["full"] for each in answers[mode]) for mode in answers}
    return {
        "videos": len(files),
        "videos_per_s": {mode: len(files) / taken for mode, taken in seconds.items()},
        "pipeline_over_all_on": seconds[picked.mode] / seconds["all_on"],
        "gflops_over_all_on": gflops[picked.mode] / gflops["all_on"],
    }


def make_clip(path: Path, case: Case, seed: int) -> Path:
    """A texture that moves, with noise on it, and sound."""
    random = np.random.default_rng(seed)
    rows, columns = case.size
    texture = random.integers(0, 255, (rows // 8 + 1, columns // 8 + 1, 3)).repeat(8, 0).repeat(8, 1)[:rows, :columns]
    frames = np.stack([np.roll(texture, 2 * f, axis=1) for f in range(round(case.fps * case.clip_s))])
    noisy = np.clip(frames + random.normal(0, 4, frames.shape), 0, 255).astype(np.uint8)
    sound = random.normal(0, 0.1, round(SAMPLE_RATE * case.clip_s)).astype(np.float32)
    write_clip(path, noisy, sound, frame_rate=case.fps, encoder_options={"preset": "veryfast", "g": "250"})
    return path


def _no_grad(work: Callable[[], object]) -> Callable[[], object]:
    def run() -> object:
        with torch.no_grad():
            return work()

    return run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--nets", nargs="+", choices=list(CASES), default=list(CASES))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1, help="of torch")
    parser.add_argument("--clock", choices=list(CLOCKS), default="wall")
    parser.add_argument("--quick", action="store_true", help="one round, two rates")
    parser.add_argument("--pick", type=Path, help="a folder of `explorer pick`: measure that instead")
    parser.add_argument("--most", type=int, default=40, help="videos with --pick")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    keep_freed_memory()  # as predict does
    rates, rounds = ((0.25, 1.0), 1) if args.quick else (RATES, args.rounds)
    clock = CLOCKS[args.clock]
    load = os.getloadavg()[0]
    found: dict[str, Any] = {}
    if args.pick is not None:
        found["pick"] = measure_pick(args.pick, Turns(rounds, clock), args.most)
    else:
        with tempfile.TemporaryDirectory() as folder:
            for name in args.nets:
                (place := Path(folder) / name).mkdir()
                found[name] = measure(CASES[name], rates, Turns(rounds, clock), place)
    machine = {"cpus": os.cpu_count(), "threads": args.threads, "torch": torch.__version__, "clock": args.clock}
    result = {"machine": {**machine, "load_before": load, "load_after": os.getloadavg()[0]}, "rounds": rounds, **found}
    if args.json:
        print(json.dumps(result, indent=1))
        return
    for name in found:
        for row in found[name].get("rates", [found[name]]):
            print(name, {key: round(value, 3) if isinstance(value, float) else value for key, value in row.items()})


if __name__ == "__main__":
    main()
