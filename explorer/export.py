"""A pick's networks as files that run without this program: ONNX or torch.export, checked against the eager ones."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import json
import logging
import os
import shutil
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from explorer.errors import ExplorerFailure, UserError
from explorer.predict import PickedModel, load_model
from trainables.contract import Json, Network

if TYPE_CHECKING:
    from torch import Tensor
    from torch.export import ExportedProgram

Format = Literal["onnx", "torch"]
SUFFIX: Mapping[str, str] = {"onnx": ".onnx", "torch": ".pt2"}
ROWS = (1, 2, 5)  # numbers of segments on which a file is checked
TOLERANCE = 1e-3  # largest difference allowed, relative to the largest output
_ONNX_NEEDS = ("onnx", "onnxscript", "onnxruntime")
INDEX = "export.json"


@dataclass(frozen=True, kw_only=True)
class Exported:
    """``files`` by name of the network; ``differences``: largest absolute difference from the eager network's outputs."""

    folder: Path
    format: Format
    files: Mapping[str, Path]
    differences: Mapping[str, float]

    def to_json(self) -> dict[str, Json]:
        """The output of ``explorer export --json``."""
        return {
            "folder": str(self.folder),
            "format": self.format,
            "files": {name: str(path) for name, path in self.files.items()},
            "largest_difference": dict(self.differences),
        }


def export(model: PickedModel | str | Path, folder: str | Path, *, format: Format = "onnx") -> Exported:
    """Write every network of ``model`` into ``folder`` (made, or empty), with ``export.json``: what a runtime needs to know.

    The first axis of every input is free: a recognition net takes any number of segments; a network with a state (the policy)
    takes one segment of any number of videos, so it runs over any number of segments.

    Raises:
        UserError: packages are missing, the system has nothing to export, or the folder holds files.
        ExplorerFailure: a network cannot be exported, or its file computes something else.
    """
    _check_format(format)
    folder = Path(folder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"an export needs a folder that does not exist or is empty, got {folder}")
    loaded = model if isinstance(model, PickedModel) else load_model(model)
    networks = loaded.system.networks(loaded.network, loaded.config)
    if not networks:
        raise UserError(f"system {loaded.system.name} has no networks that can be exported")
    aside = folder.with_name(f".{folder.name}.{os.getpid()}")
    aside.mkdir(parents=True)
    try:
        differences = {name: _export(name, network, aside, format) for name, network in networks.items()}
        (aside / INDEX).write_text(json.dumps(_index(loaded, networks, differences, format), indent=1) + "\n")
        if folder.exists():
            folder.rmdir()
        aside.rename(folder)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    files = {name: folder / f"{name}{SUFFIX[format]}" for name in networks}
    return Exported(folder=folder, format=format, files=files, differences=differences)


def _check_format(format: str) -> None:
    if format not in SUFFIX:
        raise UserError(f"--format must be {' or '.join(SUFFIX)}, got {format!r}")
    missing = [name for name in _ONNX_NEEDS if format == "onnx" and importlib.util.find_spec(name) is None]
    if missing:
        raise UserError(
            f"--format onnx needs {', '.join(missing)}; install the extra: pip install 'adaptive-video-explorer[onnx]', "
            "or use --format torch"
        )


def _export(name: str, network: Network, folder: Path, format: Format) -> float:
    """Write one network; the largest difference found when its file runs."""
    path = folder / f"{name}{SUFFIX[format]}"
    try:
        with _quiet():
            run = (_to_onnx if format == "onnx" else _to_torch)(network, path)
            return max(_difference(network, run, rows) for rows in ROWS)
    except ExplorerFailure:
        raise
    except Exception as error:  # exporters raise whatever they meet; which operator it was is in the text
        text = " ".join(str(error).split())[:400]
        raise ExplorerFailure(f"{name} cannot be exported as {format}: {type(error).__name__}: {text}") from error


def _program(network: Network) -> ExportedProgram:
    import torch

    with torch.no_grad():
        return torch.export.export(network.module, _example(network), dynamic_shapes=_free_rows(network))


def _to_torch(network: Network, path: Path) -> Callable[[Sequence[Tensor]], Sequence[Tensor]]:
    import torch

    torch.export.save(_program(network), path)
    module = torch.export.load(path).module()
    return lambda inputs: _tuple(module(*inputs))


def _to_onnx(network: Network, path: Path) -> Callable[[Sequence[Tensor]], Sequence[Tensor]]:
    import onnxruntime
    import torch

    names = list(network.inputs)
    # From the program: given the module, torch 2.13's exporter fixes the rows of one whose arguments are `*tensors`.
    program = torch.onnx.export(
        _program(network), dynamo=True, input_names=names, output_names=_output_names(network), verbose=False
    )
    assert program is not None
    program.save(path)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    taken = [entry.name for entry in session.get_inputs()]
    assert taken == names, f"inputs {taken} instead of {names}"

    def run(inputs: Sequence[Tensor]) -> Sequence[Tensor]:
        feeds = {name: tensor.numpy() for name, tensor in zip(names, inputs, strict=True)}
        return [torch.from_numpy(array) for array in session.run(None, feeds)]

    return run


def _difference(network: Network, run: Callable[[Sequence[Tensor]], Sequence[Tensor]], rows: int) -> float:
    """Largest absolute difference on seeded noise of ``rows`` rows; raises where it is not rounding."""
    import torch

    generator = torch.Generator().manual_seed(rows)
    inputs = [torch.randn(rows, *t.shape[1:], generator=generator) for t in network.inputs.values()]
    with torch.no_grad():
        eager = _tuple(network.module(*inputs))
    found = run(inputs)
    largest = 0.0
    for name, a, b in zip(_output_names(network), eager, found, strict=True):
        difference = float((a - b).abs().max()) if a.numel() else 0.0
        scale = max(1.0, float(a.abs().max())) if a.numel() else 1.0
        if a.shape != b.shape or not difference <= TOLERANCE * scale:
            raise ExplorerFailure(f"the exported file gives another {name} than the network: off by {difference:.3g}")
        largest = max(largest, difference)
    return largest


def _output_names(network: Network) -> list[str]:
    """A state's outputs must not have the names of its inputs."""
    return [f"next_{name}" if name in network.inputs else name for name in network.outputs]


def _example(network: Network) -> tuple[Tensor, ...]:
    return tuple(network.inputs.values())


def _free_rows(network: Network) -> Any:
    """The first axis of every input is free, and the same."""
    import inspect

    import torch

    rows = torch.export.Dim("rows", min=1, max=4096)
    free = tuple({0: rows} for _ in network.inputs)
    parameters = list(inspect.signature(network.module.forward).parameters.values())
    if parameters[0].kind is inspect.Parameter.VAR_POSITIONAL:
        return {parameters[0].name: free}
    return dict(zip((p.name for p in parameters), free, strict=False))


def _tuple(outputs: Any) -> tuple[Tensor, ...]:
    return outputs if isinstance(outputs, tuple) else (outputs,)


def _index(
    model: PickedModel, networks: Mapping[str, Network], differences: Mapping[str, float], format: Format
) -> dict[str, Json]:
    info = model.info
    return {
        "format": format,
        "point_id": info["point_id"],
        "classes": list(model.classes),
        "knobs": dict(model.knobs),
        "preprocessing": info["preprocessing"],
        "networks": {
            name: {
                "file": f"{name}{SUFFIX[format]}",
                "site": network.site,
                "inputs": {k: ["rows", *t.shape[1:]] for k, t in network.inputs.items()},
                "outputs": _output_names(network),
                "state": {k: f"next_{k}" for k in network.state},
                "largest_difference": differences[name],
            }
            for name, network in networks.items()
        },
    }


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Exporters print and warn of their own making."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "torch.export")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
