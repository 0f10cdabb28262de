"""A network from outside the repository, given as ``module:object``."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from trainables.errors import UserError
from trainables.kit.nets.backbones.base import Backbone, BackboneSpec

CALL = "(in_channels=, frames=, size=, temporal_pool=, weights=)"


class OwnNet(Backbone):
    """A user's network behind the promises of :class:`Backbone`: an empty batch does not reach it."""

    def __init__(self, net: nn.Module, name: str) -> None:
        dim = getattr(net, "dim", None)
        if not (isinstance(dim, int) and dim > 0):
            raise UserError(
                f"backbone {name!r} must have an attribute dim, the length of its feature, got {dim!r}; set it"
            )
        super().__init__(dim)
        self.net = net
        self.name = name

    def features(self, x_NTCHW: Tensor) -> Tensor:
        """``feature_NTD``, as the network gives it.

        Raises:
            UserError: it gives another shape.
        """
        feature = self.net(x_NTCHW)
        fits = isinstance(feature, Tensor) and feature.dim() == 3
        if not (fits and (feature.shape[0], feature.shape[2]) == (len(x_NTCHW), self.dim)):
            got = tuple(feature.shape) if isinstance(feature, Tensor) else type(feature).__name__
            raise UserError(
                f"backbone {self.name!r} must give features (clips, frames left, dim) = ({len(x_NTCHW)}, T, {self.dim}) "
                f"for an input of {tuple(x_NTCHW.shape)}, got {got}; correct its forward"
            )
        return feature


def build(spec: BackboneSpec) -> OwnNet:
    """Import the object and call it.

    Raises:
        UserError: it cannot be imported, is not callable like that, or does not return a network with ``dim``.
    """
    make = _imported(spec.name)
    settings = {
        "in_channels": spec.in_channels,
        "frames": spec.frames,
        "size": spec.size,
        "temporal_pool": spec.temporal_pool,
        "weights": spec.weights,
    }
    try:
        inspect.signature(make).bind(**settings)
    except (TypeError, ValueError) as error:
        raise UserError(
            f"backbone {spec.name!r} must be callable as {CALL} ({error}); give it these arguments"
        ) from error
    net = make(**settings)
    if not isinstance(net, nn.Module):
        raise UserError(
            f"backbone {spec.name!r} must return a torch.nn.Module, got {type(net).__name__}; return the network"
        )
    return OwnNet(net, spec.name)


def _imported(name: str) -> Callable[..., Any]:
    module, _, attribute = name.partition(":")
    try:
        make = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise UserError(
            f"backbone {name!r} cannot be imported ({error}); install its package or correct the name (module:object)"
        ) from error
    if not callable(make):
        raise UserError(
            f"backbone {name!r} must be callable as {CALL}, got {type(make).__name__}; give a class or a function"
        )
    return make
