"""What another reader makes of a file that is about to be called corrupt: OpenCV, where it is installed.

It brings an FFmpeg of its own, of another build but of the same family, and never decides: trainings read with PyAV, so a
file that only OpenCV reads is of no use as it is. Its answer tells a person whether re-encoding can save the file.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path


def second_opinion(path: Path, beat: Callable[[], None]) -> str:
    """A clause for the detail of a quarantined file; empty without OpenCV."""
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    try:
        import cv2
    except ImportError:
        return ""
    cv2.setNumThreads(1)
    reader = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    try:
        announced, frames = int(reader.get(cv2.CAP_PROP_FRAME_COUNT)), 0
        while reader.grab():
            frames += 1
            beat()
    except cv2.error:
        return "; OpenCV does not read it either"
    finally:
        reader.release()
    if not frames:
        return "; OpenCV does not read it either"
    return f"; OpenCV reads {frames} of {max(announced, frames)} pictures: looked at and encoded again it may be of use"
