"""Import this before torchvision or torchaudio, wherever either is used.

The registry's torchvision and torchaudio wheels link CUDA libraries. Beside a CPU-only torch their compiled parts do
not load: ``import torchvision`` then fails with "operator torchvision::nms does not exist", ``import torchaudio`` on
``libc10_cuda.so``. The Python parts, which are all that we use, need no compiled operator. So where loading fails, and
only there, the two missing operators are declared (without an implementation) and torchaudio's loader is replaced by one
that reports "no extension". What stays unusable then: ``torchvision.ops.nms``, torchvision's image codecs, torchaudio's
``lfilter`` on the compiled path and its forced alignment.

Where the wheels fit the installed torch, importing this module changes nothing. Importing it costs 0.03 s beyond torch:
torchvision itself (about 1 s) is not imported.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

_TORCHVISION_OPERATORS = {
    "nms": "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms": "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
}
# A Library object undeclares its operators when it is collected: it has to live as long as the process.
_declared: list[torch.library.Library] = []


def ready_torchvision() -> bool:
    """Make ``import torchvision`` possible. True if something had to be done for it.

    The same libraries are loaded that torchvision will load, which does no harm: loading one twice is one load.
    """
    if "torchvision" in sys.modules:
        return False
    spec = importlib.util.find_spec("torchvision")
    if spec is None or spec.origin is None:
        return False
    for library in sorted(Path(spec.origin).parent.glob("_C*.so")):
        with contextlib.suppress(OSError):
            torch.ops.load_library(str(library))
    if hasattr(torch.ops.torchvision, "nms"):
        return False
    library_of_schemas = torch.library.Library("torchvision", "DEF")
    for name, schema in _TORCHVISION_OPERATORS.items():
        library_of_schemas.define(name + schema)
    _declared.append(library_of_schemas)
    return True


def ready_torchaudio() -> bool:
    """Make ``import torchaudio`` possible. True if something had to be done for it."""
    if "torchaudio" in sys.modules or importlib.util.find_spec("torchaudio") is None:
        return False
    try:
        importlib.import_module("torchaudio")
    except OSError:  # what the dynamic loader raises for a library whose dependency is missing
        for name in [name for name in sys.modules if name == "torchaudio" or name.startswith("torchaudio.")]:
            del sys.modules[name]
        sys.modules["torchaudio._extension"] = _no_extension()
        return True
    return False


def _no_extension() -> ModuleType:
    """Stands in for ``torchaudio._extension``: the names that its other modules read, all saying "not compiled"."""

    def unavailable(function: Callable[..., Any]) -> Callable[..., Any]:
        def fail(*_: object, **__: object) -> None:
            raise RuntimeError(f"{function.__name__} needs torchaudio's compiled part, which this torch cannot load")

        return fail

    stub: Any = ModuleType("torchaudio._extension")
    stub._IS_TORCHAUDIO_EXT_AVAILABLE = False
    stub._IS_ALIGN_AVAILABLE = False
    stub._check_cuda_version = lambda: None
    stub._load_lib = lambda _name: False
    stub.fail_if_no_align = unavailable
    return stub


ready_torchvision()
ready_torchaudio()
