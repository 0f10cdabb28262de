"""Videos a second of a training step of AdaMML, against a bare forward and backward of the same networks.

``python -m benchmarks.gpu_throughput --preset paper --videos 12 --precision bfloat16 --json``

No Ray, no files: random inputs lie in memory, in as many batches as there are steps. ``step`` is the engine's own epoch
(``trainables.kit.engine.epoch.train_epoch``): transfer, draws, policy, sparse gathering, losses, gradients, optimiser.
``bare`` runs the same networks on equally many segments, with a cross-entropy and an optimiser, and nothing else. Both are
timed in turns, the first turn is thrown away, and the median is reported. ``peak_bytes``: of the device's memory.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace

import torch
from torch.nn import functional as F

from trainables.adamml.config import AdaMMLConfig
from trainables.adamml.model import AdaMML
from trainables.adamml.system import AdaMMLSystem
from trainables.contract import Batch, Stage, StageJob
from trainables.kit.data.modalities import MODALITIES
from trainables.kit.engine.epoch import train_epoch
from trainables.kit.engine.optim import PairedOptimiser
from trainables.kit.engine.prepare import Run, this_device
from trainables.kit.engine.ranks import Ranks

CLASSES = 31


@dataclass(frozen=True, kw_only=True)
class PassSpeed:
    """Of one pass. ``rate``: mean selection rate over modalities of what recognition was computed on."""

    videos_per_second: float
    bare_videos_per_second: float
    step_over_bare: float
    rate: float
    peak_bytes: int


class RandomData:
    """Batches of noise, made once. ``trainables.contract.Data`` as far as training reads it."""

    def __init__(self, config: AdaMMLConfig, *, videos: int, steps: int, segments: int) -> None:
        self.classes = [str(label) for label in range(CLASSES)]
        names = config.data.inputs
        self.batches = [
            Batch(
                inputs={m: torch.randn(videos, segments, *MODALITIES[m].shape(config.data)) for m in names},
                label_B=torch.randint(CLASSES, (videos,)),
                present_BSM=torch.ones(videos, segments, len(names), dtype=torch.bool),
                index_B=torch.arange(step * videos, (step + 1) * videos),
            )
            for step in range(steps)
        ]

    def ids(self, split: str) -> Sequence[str]:
        return [str(i) for batch in self.batches for i in batch.index_B.tolist()]

    def train_batches(self, **asked: object) -> Iterator[Batch]:
        return iter(self.batches)

    def eval_batches(self, split: str, **asked: object) -> Iterator[Batch]:
        return iter(self.batches)


def measure(config: AdaMMLConfig, *, videos: int, steps: int, turns: int) -> dict[str, PassSpeed]:
    """Speed of both passes of the joint stage."""
    device, system = this_device(), AdaMMLSystem()
    joint = next(stage for stage in system.stages(config) if stage.name == "joint")
    data = RandomData(config, videos=videos, steps=steps, segments=joint.segments)
    torch.manual_seed(0)
    model = AdaMML(config, CLASSES).to(device)
    speeds = {}
    for pass_ in joint.passes:
        run = _run(system, config, replace(joint, passes=(pass_,), batch_size=videos), data, model, device)
        metrics: dict[str, float] = {}

        def step(run: Run = run, metrics: dict[str, float] = metrics) -> None:
            metrics.update(train_epoch(run, 0))

        step()
        rates = {m: metrics[f"{pass_.name}.rate.{m}"] for m in config.data.modalities}
        sparse = pass_.name == "recognition" and config.compute.mode == "sparse"
        use = rates if sparse else dict.fromkeys(rates, 1.0)
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
        bare = _Bare(run, pass_.name, use)
        took = _in_turns({"step": step, "bare": bare}, turns, device)
        peak = torch.cuda.max_memory_allocated(device) if device.type == "cuda" else 0
        count = videos * steps
        speeds[pass_.name] = PassSpeed(
            videos_per_second=count / took["step"],
            bare_videos_per_second=count / took["bare"],
            step_over_bare=took["step"] / took["bare"],
            rate=sum(use.values()) / len(use),
            peak_bytes=peak,
        )
    return speeds


def _run(
    system: AdaMMLSystem, config: AdaMMLConfig, stage: Stage, data: RandomData, model: AdaMML, device: torch.device
) -> Run:
    job = StageJob(key="", system="adamml", stage="joint", config={}, seed=0, parents={}, epochs=1, training_passes=1)
    trained = [p for n, p in model.named_parameters() if n.startswith(stage.passes[0].trains)]
    optimiser = PairedOptimiser(stage.passes[0].optimiser, trained, steps_per_epoch=len(data.batches), epochs=1)
    return Run(
        job=job,
        system=system,
        config=config,
        stage=stage,
        data=data,
        model=model,
        optimisers=[optimiser],
        inherited=(),
        device=device,
        ranks=Ranks(),
        history=[],
    )


class _Bare:
    """The networks of a pass on the same number of segments, and nothing around them."""

    def __init__(self, run: Run, pass_name: str, rates: dict[str, float]) -> None:
        self.run, self.pass_name, self.rates = run, pass_name, rates

    def __call__(self) -> None:
        run = self.run
        model, optimiser = run.model, run.optimisers[0]
        assert isinstance(model, AdaMML)
        for batch in run.data.train_batches(modalities=(), segments=0, batch_size=0, draw=()):
            on_device = batch.to(run.device)
            optimiser.zero_grad()
            enabled = run.stage.precision == "bfloat16"
            with torch.autocast(run.device.type, torch.bfloat16, enabled=enabled, cache_enabled=False):
                losses = self._losses(model, on_device)
            torch.stack(losses).sum().backward()
            optimiser.step()
            losses[0].item()  # the engine looks at every step's loss, too

    def _losses(self, model: AdaMML, batch: Batch) -> list[torch.Tensor]:
        losses = []
        if self.pass_name == "policy":
            with torch.no_grad():
                for m in model.modalities:
                    model.recognise(m, batch.inputs[m])
            logits_2 = model.policy(batch.inputs).flatten(0, -2)
            return [
                F.cross_entropy(logits_2.float(), torch.zeros(len(logits_2), dtype=torch.long, device=logits_2.device))
            ]
        with torch.no_grad():
            model.policy(batch.inputs)
        for m in model.modalities:
            x_NTCHW = batch.inputs[m].flatten(0, 1)
            count = max(1, round(self.rates[m] * len(x_NTCHW)))
            logits_NC = model.recognition[m](x_NTCHW[:count])
            losses.append(
                F.cross_entropy(logits_NC.float(), torch.zeros(count, dtype=torch.long, device=x_NTCHW.device))
            )
        return losses


def _in_turns(work: dict[str, Callable[[], None]], turns: int, device: torch.device) -> dict[str, float]:
    """Median seconds of each, run in turns so that both see the same machine; the first turn warms up."""
    seconds: dict[str, list[float]] = {name: [] for name in work}
    for turn in range(turns + 1):
        for name, function in work.items():
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            started = time.perf_counter()
            function()
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            if turn:
                seconds[name].append(time.perf_counter() - started)
    return {name: statistics.median(values) for name, values in seconds.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--preset", default="paper", choices=sorted(AdaMMLSystem.presets))
    parser.add_argument("--modalities", default="rgb,audio")
    parser.add_argument("--videos", type=int, default=12, help="videos a step")
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--precision", choices=["float32", "bfloat16"], default="bfloat16")
    parser.add_argument("--mode", choices=["sparse", "dense"], default="sparse")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    preset = AdaMMLSystem.presets[args.preset]
    raw = {
        **preset,
        "data": {**preset["data"], "manifest": "", "modalities": args.modalities.split(",")},
        "compute": {"mode": args.mode, "precision": args.precision, "compile": args.compile},
    }
    for part in ("recognition", "policy"):  # random weights: nothing is fetched
        nets = {m: {**raw[part].get(m, {}), "weights": None} for m in MODALITIES}
        raw[part] = {**raw[part], **nets}
    config = AdaMMLConfig.model_validate(raw)
    speeds = measure(config, videos=args.videos, steps=args.steps, turns=args.turns)
    device = this_device()
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"
    if args.json:
        print(json.dumps({"device": name, **vars(args), "passes": {n: asdict(s) for n, s in speeds.items()}}, indent=1))
        return
    for pass_name, speed in speeds.items():
        print(
            f"{pass_name:12}{speed.videos_per_second:9.2f} videos/s, bare {speed.bare_videos_per_second:9.2f} "
            f"(x{speed.step_over_bare:.2f} the time), rate {speed.rate:.0%}, peak {speed.peak_bytes / 2**30:.1f} GiB on {name}"
        )


if __name__ == "__main__":
    main()
