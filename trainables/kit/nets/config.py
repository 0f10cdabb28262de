"""A network of a configuration: its backbone and where its weights come from. Imports no torch."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterator
from pathlib import Path

from pydantic import field_validator

from trainables.contract import Json, SystemConfig
from trainables.kit.nets.names import BACKBONE_NAMES, PUBLISHED_WEIGHTS


class NetConfig(SystemConfig):
    """A feature extractor: a name of ``kit.nets.backbones``, or one of your own as ``module:object``.

    ``widths`` belongs to small_conv. ``weights``: null, ``imagenet``, ``kinetics400`` or a file.
    """

    backbone: str = "resnet50"
    widths: tuple[int, ...] = ()
    temporal_pool: bool = True
    weights: str | None = None

    @field_validator("backbone")
    @classmethod
    def _known(cls, name: str) -> str:
        if name not in BACKBONE_NAMES and ":" not in name:
            raise ValueError(f"backbone must be one of {', '.join(BACKBONE_NAMES)} or module:object, got {name!r}")
        return name


def net_settings(net: NetConfig) -> Json:
    """A net's settings, with the content of files in place of their paths: what a stage's key names."""
    settings = net.model_dump(mode="json")
    for name in ("weights", "checkpoint"):
        path = settings.get(name)
        if path is not None and Path(path).is_file():
            about = Path(path).stat()
            settings[name] = _sha256(path, about.st_size, about.st_mtime_ns)
    return settings


def missing_files(path: str, net: NetConfig) -> Iterator[str]:
    """What is wrong with the files that a net names: weights that are neither published nor there. ``path``: of the net."""
    if net.weights not in (None, *PUBLISHED_WEIGHTS) and not Path(net.weights).is_file():
        yield f"{path}.weights must be {', '.join(PUBLISHED_WEIGHTS)} or an existing file, got {net.weights!r}"
    checkpoint = getattr(net, "checkpoint", None)
    if checkpoint is not None and not Path(checkpoint).is_file():
        yield f"{path}.checkpoint must be an existing file, got {checkpoint!r}"


@functools.lru_cache(maxsize=64)
def _sha256(path: str, size: int, mtime_ns: int) -> str:
    """Of a file's content, read once while size and time stay: every trial asks for its keys."""
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()
