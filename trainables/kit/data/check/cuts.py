"""Whether a file was cut off, told by the pieces that it consists of: boxes of an mp4, packets of an MPEG transport stream."""

from __future__ import annotations

from pathlib import Path

FIRST = {b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide"}
SYNC = 0x47  # the first byte of every packet of a transport stream (ISO 13818-1, 2.4.3)
PACKET_BYTES = {188: 0, 192: 4, 204: 0}  # by size: where the sync byte is. 192: m2ts, with a time before each packet
PACKETS = 5  # so many sync bytes in a row are no accident
TAIL_BYTES = 4 << 20  # of the end: holds the last piece of every stream


def cut_off(path: Path, *, damaged: bool = False) -> str:
    """How the end of a file shows that it was cut off; empty for whole files and for formats that do not show it.

    ``damaged``: something does not decode, so that also an end is a sign that 1 of 184 whole transport streams have.

    Raises:
        OSError: the file cannot be read.
    """
    if missing := missing_bytes(path):
        return f"the file ends {missing} bytes before the end that it announces"
    return _cut_stream(path, damaged)


def missing_bytes(path: Path) -> int:
    """How many bytes the last box of an mp4 (or mov, m4v, 3gp; ISO 14496-12, 4.2) announces beyond the end of the file.

    0 for whole files and for other formats.

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


def _cut_stream(path: Path, damaged: bool) -> str:
    """A transport stream names no length. But it consists of whole packets, and sound says how long each of its pieces is."""
    end = path.stat().st_size
    with path.open("rb") as file:
        size = _packet_bytes(file.read(204 * PACKETS + 4))
        if size is None:
            return ""
        if end % size:
            return f"the file ends {size - end % size} bytes before the end of its last packet"
        file.seek(max(0, end - TAIL_BYTES // size * size))
        tail = file.read()
    announced, there, full = dict[int, int](), dict[int, int](), dict[int, bool]()
    for place in range(PACKET_BYTES[size], len(tail), size):
        packet = tail[place : place + 188]
        if packet[0] != SYNC:
            return ""  # damaged, which is for the decoder to tell
        stream, control = int.from_bytes(packet[1:3], "big") & 0x1FFF, packet[3] >> 4 & 3
        payload = packet[4 + (packet[4] + 1 if control & 2 else 0) :] if control & 1 else b""
        if packet[1] & 0x40 and payload[:3] == b"\0\0\1":  # a piece begins
            length = int.from_bytes(payload[4:6], "big")
            announced[stream], there[stream] = length + 6 if length else 0, 0
        if stream in announced:
            there[stream] += len(payload)
            full[stream] = len(payload) == 184
    missing = max((length - there[stream] for stream, length in announced.items() if length), default=0)
    if missing > 0:
        return f"the file ends {missing} bytes before the end of the last piece of a stream"
    # Pictures say no length; but their last packet is filled up, unless it happens to be full.
    open_end = damaged and any(full[stream] for stream, length in announced.items() if not length)
    return "the file ends within a picture" if open_end else ""


def _packet_bytes(head: bytes) -> int | None:
    """Size of the packets of a transport stream, None if it is none."""
    for size, place in PACKET_BYTES.items():
        marks = head[place : size * PACKETS : size]
        if len(marks) == PACKETS and set(marks) == {SYNC}:
            return size
    return None
