"""Feature extractors by name. All take ``x_NTCHW`` (a still or a spectrogram has T = 1) and give ``feature_NTD``.

Two-dimensional nets see frames folded into the batch; where the AdaMML specification puts a temporal max-pool
(kernel 3, stride 2, padding 1, along time only) it halves the frames before a stage. To add a family: a file beside this
one, a line in ``BACKBONES`` and its name in ``names.py``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import trainables.kit.compat  # noqa: F401  (must come before torchvision: see its docstring)
from trainables.errors import UserError

# isort: split
from trainables.kit.nets.backbones import efficientnet, mobilenet, own, resnet, small_conv, video
from trainables.kit.nets.backbones.base import Backbone, BackboneSpec, Family

__all__ = ["BACKBONES", "Backbone", "BackboneSpec", "Family", "build_backbone"]

BACKBONES: Mapping[str, Family] = {
    "resnet18": Family(build=resnet.build, layout=resnet.LAYOUT),
    "resnet34": Family(build=resnet.build, layout=resnet.LAYOUT),
    "resnet50": Family(build=resnet.build, layout=resnet.LAYOUT),
    "mobilenet_v2": Family(build=mobilenet.build, layout=mobilenet.LAYOUT),
    "efficientnet_b0": Family(build=efficientnet.build, layout=efficientnet.LAYOUT),
    "efficientnet_b1": Family(build=efficientnet.build, layout=efficientnet.LAYOUT),
    "efficientnet_b3": Family(build=efficientnet.build, layout=efficientnet.LAYOUT),
    "small_conv": Family(build=small_conv.build),
    "mvit_v2_s": Family(build=video.build_mvit, layout=video.MVIT_LAYOUT),
    "swin3d_t": Family(build=video.build_swin, layout=video.SWIN_LAYOUT),
}
OWN = Family(build=own.build)


def build_backbone(
    name: str,
    in_channels: int,
    *,
    frames: int,
    size: int,
    temporal_pool: bool = True,
    weights: str | None = None,
    widths: Sequence[int] = (),
) -> Backbone:
    """The backbone called ``name``, or one of the user's own given as ``module:object``.

    ``frames`` and ``size`` (pixels or bands: the input's height) say what it will mostly see. ``temporal_pool``: halve the
    frames between stages; the video networks and small_conv never do. ``weights``: None, ``imagenet`` or ``kinetics400``
    (torchvision's, fetched once), or a file of torchvision's layout. ``widths`` belongs to small_conv.

    Raises:
        UserError: there is no such backbone, its weights are missing or another network's, or it cannot take the size.
    """
    spec = BackboneSpec(
        name=name,
        in_channels=in_channels,
        frames=frames,
        size=size,
        temporal_pool=temporal_pool,
        weights=weights,
        widths=tuple(widths),
    )
    return find_family(name).build(spec)


def find_family(name: str) -> Family:
    """The family of ``name``.

    Raises:
        UserError: no backbone is called so.
    """
    if ":" in name:
        return OWN
    if name not in BACKBONES:
        raise UserError(f"backbone must be one of {', '.join(BACKBONES)} or module:object, got {name!r}")
    return BACKBONES[name]
