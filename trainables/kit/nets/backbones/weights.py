"""Initial weights of torchvision's networks: by name, or from a file; then the first convolution for other inputs."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

import trainables.kit.compat  # noqa: F401  (must come before torchvision: see its docstring)
from trainables.errors import UserError
from trainables.kit.nets.backbones.base import BackboneSpec, Layout

# isort: split
import torchvision.models as tv
from torchvision.ops import StochasticDepth

NAMED = {"imagenet": "IMAGENET1K_V1", "kinetics400": "KINETICS400_V1"}


def initialise(net: nn.Module, spec: BackboneSpec, layout: Layout) -> None:
    """Turn torchvision's ``net`` into a feature extractor for ``spec``: weights, no classifier, ``in_channels`` inputs.

    Weights for exactly ``in_channels`` inputs are loaded as they are, weights for RGB are adapted afterwards. On the meta
    device nothing is read. Stochastic depth is off: which clips it drops would come from torch's generator and so
    depend on the batch and the rank.

    Raises:
        UserError: see :func:`read_state`; or the weights are another network's.
    """
    net.set_submodule(layout.classifier.split(".")[0], nn.Identity())
    first = net.get_submodule(layout.first)
    assert isinstance(first, nn.Conv2d | nn.Conv3d)
    if spec.weights is not None and not first.weight.is_meta:
        head = layout.classifier.split(".")[0] + "."
        state = {name: t for name, t in _state_of(spec).items() if not name.startswith(head)}
        stored = state.get(f"{layout.first}.weight")
        if stored is not None and stored.shape[1:2] == (spec.in_channels,):
            first = adapt_first_convolution(first, spec.in_channels)
            net.set_submodule(layout.first, first)
        require_fit(spec.weights, spec.name, state, net.state_dict())
        net.load_state_dict(state)
    net.set_submodule(layout.first, adapt_first_convolution(first, spec.in_channels))
    for module in net.modules():
        if isinstance(module, StochasticDepth):
            module.p = 0.0


def adapt_first_convolution(convolution: nn.Conv2d | nn.Conv3d, in_channels: int) -> nn.Conv2d | nn.Conv3d:
    """The same convolution for other input channels: the mean of the RGB filters, repeated (AdaMML's release)."""
    if in_channels == convolution.in_channels:
        return convolution
    adapted = type(convolution)(
        in_channels,
        convolution.out_channels,
        kernel_size=convolution.kernel_size,  # type: ignore[arg-type]
        stride=convolution.stride,  # type: ignore[arg-type]
        padding=convolution.padding,  # type: ignore[arg-type]
        bias=convolution.bias is not None,
    )
    with torch.no_grad():
        adapted.weight.copy_(convolution.weight.mean(1, keepdim=True).expand_as(adapted.weight))
        if adapted.bias is not None and convolution.bias is not None:
            adapted.bias.copy_(convolution.bias)
    return adapted


def read_state(path: str | Path) -> dict[str, Tensor]:
    """The state dict in a ``.safetensors`` file or in a torch file (``weights_only``: nothing in it is run).

    A dict that holds it as ``model`` or ``state_dict``, as training scripts write it, is opened, and the ``module.`` of a
    distributed model's names is taken off.

    Raises:
        UserError: the file is missing, does not read as weights, or holds more than tensors.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"weights must be an existing file or one of {', '.join(NAMED)}, got {str(path)!r}")
    state: Any
    try:
        if path.suffix == ".safetensors":
            state = safetensors.torch.load_file(path)
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError) as error:
        # Torch's own text for a file that holds code advises to switch the protection off.
        why = "it holds more than tensors" if isinstance(error, pickle.UnpicklingError) else _first_line(error)
        raise UserError(
            f"{path}: does not read as weights ({why}); "
            "give a .safetensors file, or a .pth file with a state dict and nothing else in it"
        ) from error
    for key in ("model", "state_dict"):
        if isinstance(state, dict) and isinstance(state.get(key), dict):
            state = state[key]
    if not (isinstance(state, dict) and state and all(isinstance(t, Tensor) for t in state.values())):
        raise UserError(
            f"{path}: a file of weights must hold a state dict (names and tensors); save one with torch.save"
        )
    return {name.removeprefix("module."): tensor for name, tensor in state.items()}


def require_fit(source: str | Path, name: str, state: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> None:
    """Check that ``state`` has the names and shapes of ``expected``.

    Raises:
        UserError: it does not; the first difference is named, the others are counted.
    """
    problems = []
    for key, tensor in expected.items():
        if key not in state:
            if not key.endswith("num_batches_tracked"):  # torch fills it in: files of before 2018 lack it
                problems.append(f"{key} is missing")
        elif state[key].shape != tensor.shape:
            problems.append(f"{key} is {tuple(state[key].shape)} instead of {tuple(tensor.shape)}")
    problems += [f"{key} is not part of it" for key in state if key not in expected]
    if problems:
        more = f" (and {len(problems) - 1} more differences)" if len(problems) > 1 else ""
        raise UserError(
            f"{source}: these are not weights of {name}: {problems[0]}{more}; "
            "give the weights of that network, or name the network that they belong to"
        )


def _state_of(spec: BackboneSpec) -> Mapping[str, Tensor]:
    assert spec.weights is not None
    if spec.weights not in NAMED:
        return read_state(spec.weights)
    published = tv.get_model_weights(spec.name).__members__
    if NAMED[spec.weights] not in published:
        known = [name for name, member in NAMED.items() if member in published]
        raise UserError(f"weights of {spec.name} must be {' or '.join(known)} or a file, got {spec.weights!r}")
    try:
        return published[NAMED[spec.weights]].get_state_dict(progress=False, check_hash=True)
    except (OSError, RuntimeError) as error:  # no network, or a download that was cut short
        raise UserError(
            f"weights {spec.weights!r} of {spec.name} cannot be fetched ({_first_line(error)}); "
            "download them elsewhere and give the path of the file"
        ) from error


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
