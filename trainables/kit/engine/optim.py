"""Optimiser and schedule as one pair. The rate is a pure function of the step, so there is no schedule state to lose."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import nn

from trainables.contract import Optimiser

ONE_CYCLE_RISE = 0.3
ONE_CYCLE_START = 1 / 25
ONE_CYCLE_END = 1e-4


def lr_at(spec: Optimiser, step: int, *, steps_per_epoch: int, epochs: int) -> float:
    """Learning rate of ``step`` (0-based, counted over the whole stage)."""
    total = max(1, steps_per_epoch * epochs)
    if spec.schedule == "constant":
        return spec.lr
    if spec.schedule == "multistep":
        passed = sum(step >= milestone * steps_per_epoch for milestone in spec.milestones)
        return spec.lr * spec.factor**passed
    if spec.schedule == "cosine":
        return spec.lr * 0.5 * (1 + math.cos(math.pi * step / total))
    rise = ONE_CYCLE_RISE * total
    if step < rise:
        return _cosine_between(spec.lr * ONE_CYCLE_START, spec.lr, step / rise)
    return _cosine_between(spec.lr, spec.lr * ONE_CYCLE_END, (step - rise) / max(1.0, total - rise))


def _cosine_between(start: float, end: float, share: float) -> float:
    return end + (start - end) * 0.5 * (1 + math.cos(math.pi * min(1.0, share)))


class PairedOptimiser:
    """A torch optimiser whose learning rate follows its spec. Stored and restored as one."""

    def __init__(
        self, spec: Optimiser, parameters: Iterable[nn.Parameter], *, steps_per_epoch: int, epochs: int
    ) -> None:
        self.spec = spec
        self.steps_per_epoch = steps_per_epoch
        self.epochs = epochs
        self.steps = 0
        self.torch = _build(spec, list(parameters))

    def step(self) -> None:
        """Set the rate of this step, then update."""
        rate = lr_at(self.spec, self.steps, steps_per_epoch=self.steps_per_epoch, epochs=self.epochs)
        for group in self.torch.param_groups:
            group["lr"] = rate
        self.torch.step()
        self.steps += 1

    @property
    def parameters(self) -> list[nn.Parameter]:
        """What it updates."""
        return [p for group in self.torch.param_groups for p in group["params"]]

    def zero_grad(self) -> None:
        self.torch.zero_grad(set_to_none=True)

    def state_dict(self) -> dict:
        return {"steps": self.steps, "torch": self.torch.state_dict()}

    def load_state_dict(self, state: dict) -> None:
        self.steps = state["steps"]
        self.torch.load_state_dict(state["torch"])


def _build(spec: Optimiser, parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
    if spec.name == "sgd":
        return torch.optim.SGD(parameters, lr=spec.lr, momentum=spec.momentum, weight_decay=spec.weight_decay)
    cls = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[spec.name]
    return cls(parameters, lr=spec.lr, weight_decay=spec.weight_decay)
