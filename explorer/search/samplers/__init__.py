"""Every sampler by name. A new one is a file beside this one with a function ``propose``, and a line here.

Importing this module imports no sampler: the search space only asks which names there are.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from explorer.search.known import Known, Proposal

SAMPLERS: dict[str, str] = {
    "tpe": "explorer.search.samplers.tpe",
    "random": "explorer.search.samplers.random",
    "qmc": "explorer.search.samplers.qmc",
    "nsga2": "explorer.search.samplers.nsga2",
    "nsga3": "explorer.search.samplers.nsga3",
    "gp": "explorer.search.samplers.gp",
    "grid": "explorer.search.samplers.grid",
}


def load_sampler(name: str) -> Callable[[Known], Proposal]:
    """The function that proposes the next trial from what is known so far."""
    propose: Callable[[Known], Proposal] = importlib.import_module(SAMPLERS[name]).propose
    return propose
