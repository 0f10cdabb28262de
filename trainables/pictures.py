"""What a person is shown of a video's segments. Types only; no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class VideoPictures:
    """``jpeg``: site -> a picture (JPEG) for each segment, for the sites that can be shown.

    ``bounds_s``: when each segment begins and ends in the video, in seconds.
    """

    jpeg: Mapping[str, tuple[bytes, ...]]
    bounds_s: tuple[tuple[float, float], ...]
