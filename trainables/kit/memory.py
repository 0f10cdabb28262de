"""How this process gives memory back."""

from __future__ import annotations

import ctypes
import functools

_MMAP_THRESHOLD, _TRIM_THRESHOLD = -3, -1  # parameters of glibc's mallopt
_KEEP_BYTES = 1 << 30


@functools.cache
def keep_freed_memory() -> bool:
    """Let freed memory up to 1 GiB be used again instead of being returned to the system. Whether it could be set.

    A batch of paper-size videos is hundreds of megabytes that glibc maps and unmaps anew each time; touching fresh pages took
    12 of the 42 ms that loading a video takes. Other C libraries have no such setting, and nothing is changed there.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    return bool(mallopt(_MMAP_THRESHOLD, _KEEP_BYTES) and mallopt(_TRIM_THRESHOLD, _KEEP_BYTES))
