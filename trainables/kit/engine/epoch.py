"""One epoch: every pass of the stage once over the training videos.

The update of a step is that of its whole batch, however the batch is laid out over ranks and parts: each part's loss
counts by its share of the videos. All noise is keyed by (seed, epoch, pass) and video, so with batch norm in eval mode one
rank and many, one part and several give the same update up to rounding. In train mode, batch statistics are those of a part;
over the ranks' parts together on GPUs (synchronised batch norm), of one rank's part on a CPU.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from trainables.contract import Batch, Pass, StepContext
from trainables.errors import StageFailed
from trainables.kit.engine.keys import schedule_epoch
from trainables.kit.engine.optim import PairedOptimiser
from trainables.kit.engine.prefetch import prefetched
from trainables.kit.engine.prepare import Run
from trainables.kit.engine.ranks import Ranks
from trainables.kit.engine.weights import starts_with
from trainables.kit.noise import mix

_SMALLEST_PART = 2  # videos: batch norm cannot train on one


def train_epoch(run: Run, epoch: int) -> dict[str, float]:
    """Train one epoch. Means over the videos of all ranks of what each pass logs, as ``PASS.NAME``.

    Raises:
        StageFailed: the loss is not finite; on every rank, whichever saw it.
    """
    metrics: dict[str, float] = {}
    for index, (pass_, optimiser) in enumerate(zip(run.stage.passes, run.optimisers, strict=True)):
        _set_modes(run.model, pass_)
        means = _train_pass(run, pass_, optimiser, epoch=epoch, index=index)
        metrics |= {f"{pass_.name}.{name}": value for name, value in means.over(run.ranks).items()}
    run.ranks.copy_buffers(run.model)
    return metrics


@dataclass(kw_only=True)
class _Means:
    """Sums of what a pass logs, weighted by videos."""

    sums: dict[str, float] = field(default_factory=dict)
    videos: int = 0

    def add(self, numbers: Mapping[str, float], videos: int) -> None:
        self.videos += videos
        for name, number in numbers.items():
            self.sums[name] = self.sums.get(name, 0.0) + number * videos

    def over(self, ranks: Ranks) -> dict[str, float]:
        """Means over the videos of all ranks."""
        everyone = ranks.gather({ranks.rank: self}).values()
        videos = max(1, sum(means.videos for means in everyone))
        return {name: sum(means.sums.get(name, 0.0) for means in everyone) / videos for name in self.sums}


def _train_pass(run: Run, pass_: Pass, optimiser: PairedOptimiser, *, epoch: int, index: int) -> _Means:
    context = StepContext(
        stage=run.stage.name,
        pass_name=pass_.name,
        epoch=schedule_epoch(run.stage, epoch),
        epochs=run.stage.full_epochs or run.stage.epochs,
        noise=mix(run.job.seed, epoch, index),
    )
    batches = run.data.train_batches(
        modalities=run.stage.modalities,
        segments=run.stage.segments,
        batch_size=run.stage.batch_size,
        draw=(run.job.seed, epoch, index),
        rank=run.ranks.rank,
        ranks=run.ranks.ranks,
    )
    means = _Means()
    with closing(prefetched(batches, run.device)) as ready:
        for step, batch in enumerate(ready):
            # For systems that draw from torch's own generator: a resumed run draws what the first would have.
            torch.manual_seed(mix(run.job.seed, epoch, index, step))
            optimiser.zero_grad()
            numbers = _gradients(run, batch, context)
            videos = len(batch.label_B)
            all_videos, loss = run.ranks.sum(videos, videos * numbers["loss"])
            if not math.isfinite(loss):
                raise StageFailed(
                    f"{run.stage.name}: the loss is {loss / all_videos} in epoch {epoch}, pass {pass_.name}, step {step}; "
                    "lower the learning rate or the penalty"
                )
            run.ranks.combine_gradients(optimiser.parameters, weight=videos / all_videos)
            optimiser.step()
            means.add(numbers, videos)
    return means


def _gradients(run: Run, batch: Batch, context: StepContext) -> dict[str, float]:
    """Add up the gradients of this rank's batch, part by part; the means of its loss and logs.

    Autocast computes the forward pass of a step in bfloat16 where that is safe; weights, gradients and optimisers stay
    float32, and so does measuring, since that is how a published network is used.
    """
    videos = len(batch.label_B)
    sums: dict[str, float | Tensor] = {}
    for part in _split(batch, _part_count(run, videos)):
        share = len(part.label_B) / max(1, videos)
        with torch.autocast(run.device.type, torch.bfloat16, enabled=run.stage.precision == "bfloat16"):
            loss = run.system.step(run.model, run.config, part.to(run.device), context)
        (loss.total.float() * share).backward()
        for name, value in {"loss": loss.total, **loss.logs}.items():
            number = value.detach().double() if isinstance(value, Tensor) else value
            sums[name] = sums.get(name, 0.0) + number * share
    return _floats(sums)


def _part_count(run: Run, videos: int) -> int:
    """Equally many on every rank: synchronised batch norm waits for all ranks at each call of a net."""
    if run.stage.accumulate == 1:
        return 1
    return max(1, min(run.stage.accumulate, run.ranks.smallest(videos) // _SMALLEST_PART))


def _split(batch: Batch, parts: int) -> Iterator[Batch]:
    """``batch`` cut by videos into ``parts`` of nearly equal size."""
    videos = len(batch.label_B)
    for part in range(parts):
        rows = slice(part * videos // parts, (part + 1) * videos // parts)
        yield batch.take(rows)


def _floats(numbers: Mapping[str, float | Tensor]) -> dict[str, float]:
    """The numbers on the host, fetched from the device all at once: it is waited for once a step."""
    tensors = {name: number for name, number in numbers.items() if isinstance(number, Tensor)}
    fetched = torch.stack([t.to(next(iter(tensors.values())).device) for t in tensors.values()]).tolist()
    found = dict(zip(tensors, fetched, strict=True))
    return {name: found[name] if name in found else float(number) for name, number in numbers.items()}


def _set_modes(model: nn.Module, pass_: Pass) -> None:
    """Only what the pass trains learns; a frozen part is in eval mode, so that its batch statistics do not drift."""
    model.train(pass_.frozen_mode == "train")
    for name, module in model.named_modules():
        if starts_with(name, pass_.trains):
            module.train()
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(starts_with(name, pass_.trains))
