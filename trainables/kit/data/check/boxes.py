"""Whether an mp4 (or mov, m4v, 3gp) was cut off, told by the boxes that it consists of (ISO 14496-12, 4.2)."""

from __future__ import annotations

from pathlib import Path

FIRST = {b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide"}


def missing_bytes(path: Path) -> int:
    """How many bytes the last box announces beyond the end of the file; 0 for whole files and for other formats.

    Raises:
        OSError: the file cannot be read.
    """
    end, place = path.stat().st_size, 0
    with path.open("rb") as file:
        while place < end:
            file.seek(place)
            head = file.read(16)
            size, kind = int.from_bytes(head[:4], "big"), head[4:8]
            if place == 0 and kind not in FIRST:
                return 0
            if size == 1:  # the size is in the eight bytes after the kind
                size = int.from_bytes(head[8:16], "big")
            if size < 8:  # 0: up to the end; anything else is no box
                return 0
            place += size
    return place - end
