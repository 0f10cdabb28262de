"""Trained recognition nets from files, so that a unimodal net can be given instead of trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from trainables.errors import UserError
from trainables.kit.nets.backbones import build_backbone, find_family
from trainables.kit.nets.backbones.base import Layout
from trainables.kit.nets.backbones.weights import read_state, require_fit

OWN_PREFIX = "recognition."


def read_checkpoint(
    path: str | Path,
    backbone_name: str,
    classes: int,
    in_channels: int,
    *,
    frames: int,
    size: int,
    widths: Sequence[int] = (),
    modality: str | None = None,
) -> dict[str, Tensor]:
    """State of a recognition net (``backbone.*``, ``head.weight``, ``head.bias``) from a file.

    The file is either of torchvision's layout (``.pth`` or ``.safetensors``, with a classifier of ``classes`` rows), or a
    stage's own ``weights.safetensors``, whose names start with ``recognition.MODALITY``; ``modality`` says which of them, and
    may be left out where there is one. The other arguments are those of ``build_backbone``. Unlike initial weights, a
    trained net must take exactly ``in_channels`` channels.

    Raises:
        UserError: the file is missing or unreadable, holds another network or another number of classes.
    """
    state = read_state(path)
    layout = find_family(backbone_name).layout
    with torch.device("meta"):
        net = build_backbone(backbone_name, in_channels, frames=frames, size=size, widths=widths)
    if any(name.startswith(OWN_PREFIX) for name in state):
        found = _one_of_ours(path, state, modality)
    elif layout is not None and f"{layout.classifier}.weight" in state:
        found = _from_torchvision(path, state, backbone_name, in_channels, layout)
    else:
        expected = f"{layout.classifier}.weight (torchvision's {backbone_name}) or " if layout is not None else ""
        raise UserError(
            f"{path}: a checkpoint of {backbone_name} must hold {expected}{OWN_PREFIX}* (a stage's weights.safetensors); "
            f"it holds {', '.join(list(state)[:3])}, ...; give another file or name its network"
        )
    _require_classes(path, found, classes)
    head = {"weight": torch.empty(classes, net.dim, device="meta"), "bias": torch.empty(classes, device="meta")}
    expected_state = {f"backbone.{name}": tensor for name, tensor in net.state_dict().items()}
    expected_state |= {f"head.{name}": tensor for name, tensor in head.items()}
    require_fit(path, f"{backbone_name} for {in_channels} channels", found, expected_state)
    return found


def _one_of_ours(path: str | Path, state: Mapping[str, Tensor], modality: str | None) -> dict[str, Tensor]:
    names = sorted({name.split(".")[1] for name in state if name.startswith(OWN_PREFIX)})
    if modality is None and len(names) == 1:
        modality = names[0]
    if modality not in names:
        raise UserError(f"{path}: holds recognition nets for {', '.join(names)}, asked for {modality or 'one of them'}")
    prefix = f"{OWN_PREFIX}{modality}."
    return {name.removeprefix(prefix): tensor for name, tensor in state.items() if name.startswith(prefix)}


def _from_torchvision(
    path: str | Path, state: Mapping[str, Tensor], name: str, in_channels: int, layout: Layout
) -> dict[str, Tensor]:
    """Our names for a torchvision state: the network is built from it, which checks its shapes, and gives its state."""
    first = state.get(f"{layout.first}.weight")
    if first is not None and first.shape[1] != in_channels:
        raise UserError(
            f"{path}: its first convolution takes {first.shape[1]} channels, the modality has {in_channels}; "
            "give a checkpoint trained on this modality, or use the file as initial weights and train"
        )
    # Frames and size shape no parameter of a torchvision network; these are the ones that no network refuses.
    net = build_backbone(name, in_channels, frames=16, size=224, weights=str(path))
    found = {f"backbone.{key}": tensor for key, tensor in net.state_dict().items()}
    head = f"{layout.classifier}."
    return found | {f"head.{key.removeprefix(head)}": tensor for key, tensor in state.items() if key.startswith(head)}


def _require_classes(path: str | Path, found: Mapping[str, Tensor], classes: int) -> None:
    head = found.get("head.weight")
    if head is not None and head.shape[0] != classes:
        raise UserError(
            f"{path}: its classifier has {head.shape[0]} classes, the data has {classes}; "
            "give a checkpoint trained on these classes, or use the file as initial weights and train"
        )
