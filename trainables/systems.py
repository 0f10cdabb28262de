"""Every system by name. A new one is a folder beside this file and a line here. Of equal names of tables the first is meant."""

from __future__ import annotations

import importlib

from trainables.contract import System
from trainables.errors import UserError

SYSTEMS = {
    "adamml": "trainables.adamml.system:AdaMMLSystem",
    "arnet": "trainables.arnet.system:ArNetSystem",
    "adafuse": "trainables.adafuse.system:AdaFuseSystem",
    "toy": "trainables.toy.system:ToySystem",
}


def load_system(name: str) -> System:
    """The system called ``name``, or one of the user's own given as ``package.module:Class``.

    Raises:
        UserError: there is no such system, or the object is not a ``System``.
    """
    target = SYSTEMS.get(name, name)
    if ":" not in target:
        raise UserError(f"system must be one of {', '.join(sorted(SYSTEMS))} or module:Class, got {name!r}")
    module_name, _, attribute = target.partition(":")
    try:
        cls = getattr(importlib.import_module(module_name), attribute)
    except (ImportError, AttributeError) as error:
        raise UserError(
            f"system {name!r} cannot be imported ({error}); install its package or correct the name"
        ) from error
    if not (isinstance(cls, type) and issubclass(cls, System)):
        raise UserError(f"system {name!r} must be a subclass of trainables.contract.System, got {cls!r}")
    return cls()
