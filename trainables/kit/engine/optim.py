"""Optimiser and schedule as one pair. The rate is a pure function of the step, so there is no schedule state to lose."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from trainables.contract import Optimiser
from trainables.kit.engine.weights import starts_with

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


@dataclass(frozen=True, kw_only=True)
class Group:
    """Parameters whose learning rate is ``times`` the schedule's, and their weight decay."""

    parameters: tuple[nn.Parameter, ...]
    times: float = 1.0
    decay: float = 0.0


class PairedOptimiser:
    """A torch optimiser whose learning rate follows its spec. Stored and restored as one."""

    def __init__(self, spec: Optimiser, groups: Sequence[Group], *, steps_per_epoch: int, epochs: int) -> None:
        self.spec = spec
        self.steps_per_epoch = steps_per_epoch
        self.epochs = epochs
        self.steps = 0
        self.groups = tuple(groups)
        self.torch = _build(spec, self.groups)

    def step(self) -> None:
        """Set the rate of this step, scale a gradient that is too long, then update."""
        rate = lr_at(self.spec, self.steps, steps_per_epoch=self.steps_per_epoch, epochs=self.epochs)
        for group, built in zip(self.groups, self.torch.param_groups, strict=True):
            built["lr"] = rate * group.times
        if self.spec.clip_norm is not None:
            nn.utils.clip_grad_norm_(self.parameters, self.spec.clip_norm)
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


def parameter_groups(spec: Optimiser, model: nn.Module, trains: Iterable[str]) -> tuple[Group, ...]:
    """The parameters of ``model`` below the prefixes ``trains``, in its own order, by factor and decay. Empty if there are none."""
    prefixes = tuple(trains)
    found: dict[tuple[float, float], list[nn.Parameter]] = {}
    kinds = {id(p): kind for module in model.modules() for p, kind in _kinds(module)}
    for name, parameter in model.named_parameters():
        if starts_with(name, prefixes):
            norm, bias, linear = kinds[id(parameter)]
            times = 1.0 if norm else (spec.bias_times if bias else 1.0) * (spec.linear_times if linear else 1.0)
            decay = 0.0 if (norm or bias) and not spec.decay_biases else spec.weight_decay
            found.setdefault((times, decay), []).append(parameter)
    return tuple(Group(parameters=tuple(each), times=times, decay=decay) for (times, decay), each in found.items())


def _kinds(module: nn.Module) -> Iterator[tuple[nn.Parameter, tuple[bool, bool, bool]]]:
    """Of a module's own parameters: whether it belongs to a norm, is a bias, belongs to a linear layer."""
    norm = isinstance(module, (nn.modules.batchnorm._NormBase, nn.LayerNorm, nn.GroupNorm))
    for name, parameter in module.named_parameters(recurse=False):
        yield parameter, (norm, name.startswith("bias"), isinstance(module, nn.Linear))


def _build(spec: Optimiser, groups: Sequence[Group]) -> torch.optim.Optimizer:
    parameters = [{"params": list(group.parameters), "weight_decay": group.decay} for group in groups]
    if spec.name == "sgd":
        return torch.optim.SGD(parameters, lr=spec.lr, momentum=spec.momentum, weight_decay=spec.weight_decay)
    cls = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[spec.name]
    return cls(parameters, lr=spec.lr, weight_decay=spec.weight_decay)
