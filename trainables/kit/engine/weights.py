"""Weights on disk: safetensors only, so that nothing that is read from a shared storage can run code."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

import safetensors.torch
import torch
from torch import nn


def save_weights(path: Path, state: Mapping[str, torch.Tensor]) -> None:
    """Write a state dict atomically."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    # clone(): safetensors refuses tensors that share memory, and a view would drag its whole storage along.
    safetensors.torch.save_file(
        {name: tensor.detach().cpu().clone().contiguous() for name, tensor in state.items()}, aside
    )
    os.replace(aside, path)


def load_weights(path: Path) -> dict[str, torch.Tensor]:
    """Read a state dict."""
    return safetensors.torch.load_file(path)


def load_into(model: nn.Module, state: Mapping[str, torch.Tensor]) -> None:
    """Load ``state``, which may cover only part of ``model``; names that the model lacks are our bug."""
    missing_and_unexpected = model.load_state_dict(dict(state), strict=False)
    assert not missing_and_unexpected.unexpected_keys, missing_and_unexpected.unexpected_keys


def owned_state(model: nn.Module, *, trained: Iterable[str], inherited: Iterable[str]) -> dict[str, torch.Tensor]:
    """The part of the model's state that stands for this stage: what it inherited and what it trained."""
    inherited = set(inherited)
    prefixes = tuple(trained)
    return {name: t for name, t in model.state_dict().items() if name in inherited or starts_with(name, prefixes)}


def starts_with(name: str, prefixes: Iterable[str]) -> bool:
    """Whether ``name`` is one of the dotted ``prefixes`` or lies below it."""
    return any(name == prefix or name.startswith(prefix + ".") for prefix in prefixes)
