"""What a trial of AdaMML costs to train: only the chosen segments (``compute.mode: sparse``) against all of them (``dense``).

``python -m benchmarks.training_cost --json``                       the demonstration clips, a shortened trial
``python -m benchmarks.training_cost --manifest M.jsonl --space adamml_small --seeds 3 --json``

Each mode trains the stages after the unimodal ones twice: once under a clock, once under a counter of multiply-accumulates
(both give the same weights, since nothing in training depends on time). Dense already skips the backward pass through
frozen networks. ``closed_form_macs`` is what the stage must cost at the selection rates that training logged:

- a pass on recognition: rate x (3 c - f) for each modality, plus p for the policy that decides;
- a pass on the policy: c for each modality, plus 3 p - f;

with c and p the multiply-accumulates of a forward pass over a segment and f those of a first convolution, whose input needs
no gradient. Measuring on validation is left out of both. ``accuracy``: what the fine-tuned checkpoint reaches on validation
with its policy and with everything used: skipped segments reach the batch statistics of dense training alone.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from explorer.spec.load import load_space
from explorer.spec.plan import chain
from trainables.adamml.config import AdaMMLConfig
from trainables.adamml.cost import cost_table
from trainables.adamml.model import AdaMML
from trainables.contract import StageJob
from trainables.kit.data.modalities import MODALITIES
from trainables.kit.data.synthetic import synthesise
from trainables.kit.engine import train
from trainables.kit.engine.keys import find_stage
from trainables.kit.engine.measure import replay
from trainables.kit.engine.prepare import open_for, system_of
from trainables.kit.engine.ranks import Ranks

MODES = ("sparse", "dense")
DEMONSTRATION_VIDEOS = 240


@dataclass(frozen=True, kw_only=True)
class StageCost:
    """One stage in one mode. ``rates``: mean selection rate of the passes that train recognition, by modality."""

    macs: int
    closed_form_macs: int
    seconds: float
    rates: dict[str, float]


@dataclass(frozen=True, kw_only=True)
class TrainingCost:
    """Of the stages after the unimodal ones. ``stages``: of the first seed, mode -> stage; ``accuracy``: a value a seed."""

    stages: dict[str, dict[str, StageCost]]
    macs_over_closed_form: dict[str, float]
    sparse_over_dense_macs: float
    sparse_over_dense_seconds: float
    accuracy: dict[str, dict[str, list[float]]]


class _Meter:
    """Stands around ``train_epoch``: seconds, or multiply-accumulates (a counted epoch takes about twice as long)."""

    def __init__(self, *, count: bool) -> None:
        self.count = count
        self.total = 0.0

    @contextmanager
    def around_epochs(self) -> Iterator[None]:
        real: Callable[..., Any] = train.train_epoch

        def metered(*args: Any) -> Any:
            if not self.count:
                started = time.perf_counter()
                metrics = real(*args)
                self.total += time.perf_counter() - started
                return metrics
            with FlopCounterMode(display=False) as counter:
                metrics = real(*args)
            self.total += counter.get_total_flops() / 2
            return metrics

        with patch.object(train, "train_epoch", metered):
            yield


def measure(space_name: str, overrides: Sequence[str], *, seeds: int, threads: int) -> TrainingCost:
    """Train, count and compare."""
    torch.set_num_threads(threads)
    stages: dict[str, dict[str, StageCost]] = {mode: {} for mode in MODES}
    accuracy: dict[str, dict[str, list[float]]] = {mode: {"policy": [], "all_on": []} for mode in MODES}
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(seeds):
            for mode in MODES:
                space = load_space(space_name, [*overrides, f"compute.mode={mode}", f"seed={seed}"])
                jobs = chain(space, {})
                root = Path(folder) / f"{seed}"
                run = partial(_trial, jobs, root=root, cache=Path(folder) / "cache")
                timed = run(meter=_Meter(count=False), again="timed")
                for name, value in _accuracy(jobs[-1], timed.results[jobs[-1].stage], Path(folder) / "cache").items():
                    accuracy[mode][name].append(value)
                if seed == 0:
                    counted = run(meter=_Meter(count=True), again="counted")
                    stages[mode] = _compare(jobs, timed, counted, Path(folder) / "cache")
    totals = {mode: sum(stage.macs for stage in stages[mode].values()) for mode in MODES}
    seconds = {mode: sum(stage.seconds for stage in stages[mode].values()) for mode in MODES}
    closed = {mode: sum(stage.closed_form_macs for stage in stages[mode].values()) for mode in MODES}
    return TrainingCost(
        stages=stages,
        macs_over_closed_form={mode: totals[mode] / closed[mode] for mode in MODES},
        sparse_over_dense_macs=totals["sparse"] / totals["dense"],
        sparse_over_dense_seconds=seconds["sparse"] / seconds["dense"],
        accuracy=accuracy,
    )


@dataclass(frozen=True, kw_only=True)
class _Trained:
    results: dict[str, Path]
    metered: dict[str, float]


def _trial(jobs: Sequence[StageJob], *, root: Path, cache: Path, meter: _Meter, again: str) -> _Trained:
    """Train a chain; unimodal stages once for all, and without the meter: sparse and dense are the same there."""
    results: dict[str, Path] = {}
    metered: dict[str, float] = {}
    for job in jobs:
        unimodal = job.stage.startswith("unimodal.")
        work = root / job.key / ("" if unimodal else again)
        parents = {name: results[name] for name in job.parents}
        meter.total = 0.0
        go = partial(train.run_stage, job, work=work, parents=parents, cache=cache, on_epoch=lambda report: True)
        if unimodal:
            results[job.stage] = go()
            continue
        with meter.around_epochs():
            results[job.stage] = go()
        metered[job.stage] = meter.total
    return _Trained(results=results, metered=metered)


def _accuracy(job: StageJob, result: Path, cache: Path) -> dict[str, float]:
    system, config = system_of(job)
    data = open_for(system, job, cache)
    stage = find_stage(system, config, job.stage)
    model = train.load_model(system, config, result / "weights.safetensors", classes=len(data.classes))
    found = {}
    for mode in ("policy", "all_on"):
        table = replay(system, model, config, data, "val", stage=replace(stage, mode=mode), seed=0, ranks=Ranks())
        found[mode] = float(table.score([{}]).correct_PB.mean())
    return found


def _compare(jobs: Sequence[StageJob], timed: _Trained, counted: _Trained, cache: Path) -> dict[str, StageCost]:
    costs = {}
    for job in jobs:
        if job.stage not in timed.metered:
            continue
        info = json.loads((timed.results[job.stage] / "stage.json").read_text())
        costs[job.stage] = StageCost(
            macs=round(counted.metered[job.stage]),
            closed_form_macs=round(_closed_form(job, info["metrics"], cache)),
            seconds=timed.metered[job.stage],
            rates=_mean_rates(info["metrics"]),
        )
    return costs


def _mean_rates(history: Sequence[dict[str, float]]) -> dict[str, float]:
    prefix = "recognition.rate."
    names = [name.removeprefix(prefix) for name in history[0] if name.startswith(prefix)]
    return {name: float(np.mean([epoch[prefix + name] for epoch in history])) for name in names}


def _closed_form(job: StageJob, history: Sequence[dict[str, float]], cache: Path) -> float:
    system, config = system_of(job)
    assert isinstance(config, AdaMMLConfig)
    data = open_for(system, job, cache)
    stage = find_stage(system, config, job.stage)
    table = cost_table(config, len(data.classes))
    forward, policy = table.per_segment_macs["full"], table.always_macs["full"]
    with torch.device("meta"):
        model = AdaMML(config.model_copy(update={"compute": config.compute.model_copy(update={"compile": False})}), 2)
    first = {m: _first_convolution(model.recognition[m], MODALITIES[m].shape(config.data)) for m in forward}
    looked = {m: model.policy.look(config.seen_by_policy(m), _meta(config, config.seen_by_policy(m))) for m in forward}
    policy_first = sum(_first_convolution(model.policy.nets[m], tuple(x.shape[2:])) for m, x in looked.items())
    segments = len(data.ids("train")) * stage.segments
    total = 0.0
    for epoch in history:
        for m, macs in forward.items():
            rate = epoch[f"recognition.rate.{m}"] if config.compute.mode == "sparse" else 1.0
            total += segments * rate * (3 * macs - first[m])
        total += segments * policy
        if len(stage.passes) == 2:
            total += segments * (sum(forward.values()) + 3 * policy - policy_first)
    return total


def _meta(config: AdaMMLConfig, name: str) -> torch.Tensor:
    return torch.empty(1, 1, *MODALITIES[name].shape(config.data), device="meta")


def _first_convolution(net: nn.Module, shape: tuple[int, ...]) -> int:
    """Multiply-accumulates of the first convolution of ``net`` for one segment of ``shape`` TCHW."""
    convolution = next(module for module in net.modules() if isinstance(module, nn.Conv2d))
    y = convolution(torch.empty(*shape, device="meta"))
    return y.numel() * convolution.weight[0].numel()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--space", default="quickstart", help="a search space; its own values are trained")
    parser.add_argument(
        "--manifest", type=Path, help="a data set; default: the demonstration clips, made in a temporary folder"
    )
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("-o", dest="overrides", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        manifest = args.manifest or synthesise(Path(folder), videos=DEMONSTRATION_VIDEOS)
        overrides = [*args.overrides, f"data.manifest={Path(manifest).resolve()}"]
        cost = measure(args.space, overrides, seeds=args.seeds, threads=args.threads)
    if args.json:
        print(json.dumps(asdict(cost), indent=1))
        return
    for mode, stages in cost.stages.items():
        for name, stage in stages.items():
            rates = ", ".join(f"{m} {rate:.0%}" for m, rate in stage.rates.items())
            ratio = stage.macs / stage.closed_form_macs
            print(
                f"{mode:7}{name:10}{stage.macs / 1e12:8.3f} TMACs ({ratio:.3f} of closed form) {stage.seconds:7.1f} s  {rates}"
            )
    print(f"sparse over dense: {cost.sparse_over_dense_macs:.3f} MACs, {cost.sparse_over_dense_seconds:.3f} seconds")


if __name__ == "__main__":
    main()
