"""BN-Inception (Ioffe and Szegedy, 2015) as ported from Caffe, with a gate after each of its modules.

Widths are those of the published weights; convolutions have a bias beside their batch norm.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from trainables.adafuse.config import NetworkConfig
from trainables.adafuse.gates import GatePoint
from trainables.adafuse.nets.base import Block, Fuse, GatedNet, Plain
from trainables.kit.nets.backbones.frames import BatchNorm2d
from trainables.kit.nets.backbones.weights import read_state, require_fit

_CLASSIFIER = "last_linear."  # of the published weights


@dataclass(frozen=True)
class Widths:
    """Channels of a module: 1x1; 3x3 (reduced, out); two 3x3 (reduced, out); pooled. ``one`` and ``pooled`` 0: it halves the
    picture, and its pool passes all channels on.
    """

    one: int
    three: tuple[int, int]
    double: tuple[int, int]
    pooled: int
    pool: str = "mean"


MODULES = {
    "3a": Widths(64, (64, 64), (64, 96), 32),
    "3b": Widths(64, (64, 96), (64, 96), 64),
    "3c": Widths(0, (128, 160), (64, 96), 0, "max"),
    "4a": Widths(224, (64, 96), (96, 128), 128),
    "4b": Widths(192, (96, 128), (96, 128), 128),
    "4c": Widths(160, (128, 160), (128, 160), 128),
    "4d": Widths(96, (128, 192), (160, 192), 128),
    "4e": Widths(0, (128, 192), (192, 256), 0, "max"),
    "5a": Widths(352, (192, 320), (160, 224), 128),
    "5b": Widths(352, (192, 320), (192, 224), 128, "max"),
}


class Unit(nn.Module):
    """Convolution with bias, batch norm, ReLU."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride=stride, padding=kernel // 2)
        self.norm = BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """The activation."""
        return F.relu(self.norm(self.conv(x)))


class InceptionModule(Block):
    """Four branches side by side. Its gate is on its output, and what reads that is the next module's."""

    def __init__(self, name: str, inputs: int, widths: Widths) -> None:
        super().__init__()
        self.name, self.inputs = f"inception.{name}", inputs
        halves = not widths.one
        stride = 2 if halves else 1
        units = {
            "3x3_reduce": Unit(inputs, widths.three[0], 1),
            "3x3": Unit(*widths.three, 3, stride),
            "double_3x3_reduce": Unit(inputs, widths.double[0], 1),
            "double_3x3_1": Unit(*widths.double, 3),
            "double_3x3_2": Unit(widths.double[1], widths.double[1], 3, stride),
        }
        if not halves:
            units |= {"1x1": Unit(inputs, widths.one, 1), "pool_proj": Unit(inputs, widths.pooled, 1)}
        self.units = nn.ModuleDict(units)
        self.pool = (
            nn.AvgPool2d(3, stride, padding=1)
            if widths.pool == "mean"
            else nn.MaxPool2d(3, stride, padding=0 if halves else 1, ceil_mode=True)
        )
        self.channels = widths.one + widths.three[1] + widths.double[1] + (widths.pooled or inputs)

    def convolutions(self, *names: str) -> list[nn.Conv2d]:
        """Those of the branches of these names that the module has."""
        units = (self.units[name] for name in names if name in self.units)
        return [unit.conv for unit in units if isinstance(unit, Unit)]

    def point(self) -> GatePoint:
        """After this module; no convolution reads what the last one gives."""
        reader = self.__dict__.get("next_module")
        return GatePoint(
            name=self.name,
            inputs=self.inputs,
            channels=self.channels,
            before=self.convolutions("1x1", "3x3", "double_3x3_2", "pool_proj"),
            after=() if reader is None else reader.convolutions("1x1", "3x3_reduce", "double_3x3_reduce", "pool_proj"),
        )

    def forward(self, x_NCHW: Tensor, frames: int, fuse: Fuse | None) -> Tensor:
        """The module's output."""
        units = self.units
        branches = [units["1x1"](x_NCHW)] if "1x1" in units else []
        branches.append(units["3x3"](units["3x3_reduce"](x_NCHW)))
        double = units["double_3x3_1"](units["double_3x3_reduce"](x_NCHW))
        branches.append(units["double_3x3_2"](double))
        pooled = self.pool(x_NCHW)
        branches.append(units["pool_proj"](pooled) if "pool_proj" in units else pooled)
        y_NKHW = torch.cat(branches, 1)
        return y_NKHW if fuse is None else fuse(self.name, x_NCHW, y_NKHW)


def build(net: NetworkConfig) -> GatedNet:
    """The network; ``weights`` is a file with the names of the Caffe port (``inception_3a_1x1.weight``)."""
    stem = nn.ModuleDict({"7x7": Unit(3, 64, 7, 2), "reduce": Unit(64, 64, 1), "3x3": Unit(64, 192, 3)})
    pools = (nn.MaxPool2d(3, 2, ceil_mode=True), nn.MaxPool2d(3, 2, ceil_mode=True))
    first = nn.Sequential(stem["7x7"], pools[0], stem["reduce"], stem["3x3"], pools[1])
    modules, channels = [], 192
    for name, widths in MODULES.items():
        modules.append(InceptionModule(name, channels, widths))
        channels = modules[-1].channels
    for module, reader in itertools.pairwise(modules):
        module.__dict__["next_module"] = reader  # not a part of it
    model = GatedNet([Plain(first), *modules], dim=channels)
    if net.weights is not None and not next(model.parameters()).is_meta:
        _load(model, net.weights)
    return model


def _load(model: GatedNet, path: str) -> None:
    state = {name: tensor for name, tensor in read_state(path).items() if not name.startswith(_CLASSIFIER)}
    published = {ours: _published(ours) for ours in model.state_dict()}
    expected = {published[ours]: tensor for ours, tensor in model.state_dict().items()}
    require_fit(path, "bn_inception", state, expected)
    found = {ours: state[name] for ours, name in published.items() if name in state}
    model.load_state_dict(found, strict=False)  # files of before 2018 do not count batches


def _published(name: str) -> str:
    """``blocks.1.units.3x3.conv.weight`` -> ``inception_3a_3x3.weight``."""
    _, block, _, unit, kind, tensor = name.split(".")
    if block == "0":
        found = {"0": "conv1_7x7_s2", "2": "conv2_3x3_reduce", "3": "conv2_3x3"}[unit]
    else:
        found = f"inception_{list(MODULES)[int(block) - 1]}_{unit}"
    return f"{found}{'_bn' if kind == 'norm' else ''}.{tensor}"
