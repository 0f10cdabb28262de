"""Names of AdaFuse's networks and of the blocks in which they decide. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trainables.adafuse.config import AdaFuseConfig

SMALL, INCEPTION = "small_resnet", "bn_inception"
RESNETS: Mapping[str, tuple[int, ...]] = {"resnet18": (2, 2, 2, 2), "resnet50": (3, 4, 6, 3)}
# Number of blocks by stage; those of the first stage expand nothing, so that nothing lies before their gate.
EFFICIENTNETS: Mapping[str, tuple[int, ...]] = {
    "efficientnet_b0": (1, 2, 2, 3, 3, 4, 1),
    "efficientnet_b1": (2, 3, 3, 4, 4, 5, 2),
    "efficientnet_b2": (2, 3, 3, 4, 4, 5, 2),
    "efficientnet_b3": (2, 3, 3, 5, 5, 6, 2),
}
INCEPTIONS = ("3a", "3b", "3c", "4a", "4b", "4c", "4d", "4e", "5a", "5b")
BACKBONES = (*RESNETS, INCEPTION, *EFFICIENTNETS, SMALL)

CHOICES = ("skip", "reuse", "keep")  # in the order of the policies' logits
SKIP, REUSE, KEEP = range(3)
COMPUTED, KEPT, REUSED = "computed", "kept", "reused"
SHARES = (COMPUTED, KEPT, REUSED)


def gated_blocks(config: AdaFuseConfig) -> tuple[str, ...]:
    """Names of the blocks that decide, in order: ``stage.block``, both from 1 on (``inception.3a``)."""
    net = config.network
    if net.backbone == INCEPTION:
        names = tuple(f"inception.{name}" for name in INCEPTIONS)
        last = tuple(name for name in names if name.startswith("inception.5"))
    elif net.backbone in EFFICIENTNETS:
        counts = EFFICIENTNETS[net.backbone]
        names = tuple(f"mbconv{s}.{b}" for s, n in enumerate(counts, 1) if s > 1 for b in range(1, n + 1))
        last = tuple(name for name in names if name.startswith(f"mbconv{len(counts)}."))
    else:
        counts = RESNETS.get(net.backbone, (1,) * (len(net.widths) - 1))
        names = tuple(f"layer{s}.{b}" for s, n in enumerate(counts, 1) for b in range(1, n + 1))
        last = tuple(name for name in names if name.startswith(f"layer{len(counts)}."))
    return last if config.gates.blocks == "last" else names


def told_names(block: str) -> tuple[str | None, ...]:
    """The share that tells how often each of ``CHOICES`` was taken; what is neither kept nor reused was skipped."""
    return (None, f"{block}.{REUSED}", f"{block}.{KEPT}")


def share_names(block: str) -> tuple[str, ...]:
    """Under which is told what share of a block's gated channels was computed, kept and taken from the frame before."""
    return tuple(f"{block}.{share}" for share in SHARES)
