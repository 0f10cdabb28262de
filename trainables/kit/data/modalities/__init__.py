"""The modalities by name. A new one is a file here and a line in ``MODALITIES`` (see ``docs/modalities.md``).

Importing this package imports no torch.
"""

from __future__ import annotations

from trainables.kit.data.modalities.audio import Audio
from trainables.kit.data.modalities.base import TRACKS, Modality, Segments, TrackName
from trainables.kit.data.modalities.flow import Flow
from trainables.kit.data.modalities.rgb import Rgb
from trainables.kit.data.modalities.rgbdiff import RgbDiff

MODALITIES: dict[str, Modality] = {"rgb": Rgb(), "audio": Audio(), "flow": Flow(), "rgbdiff": RgbDiff()}

__all__ = ["MODALITIES", "TRACKS", "Modality", "Segments", "TrackName"]
