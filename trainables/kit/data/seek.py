"""The picture of one file, of which only the frames that are asked for are decoded.

Where the frames are is told by the file's packets, without decoding: their presentation times are those of the frames. A
wanted frame needs all from the key frame before it on; the decoder goes on from where it stands, or jumps to that key frame
where this leaves out more than it costs. Frames on the way are not scaled, and those that no other frame refers to are not
decoded either. Files whose packets do not tell their frames one to one are decoded whole (see :func:`index_picture`).

Axes: ``F`` frame, ``H`` ``W`` pixel rows and columns.
"""

from __future__ import annotations

import bisect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np

from trainables.errors import DecodeError
from trainables.kit.data import decode
from trainables.kit.data.config import DataConfig
from trainables.kit.data.decode import WHOLE
from trainables.kit.data.streams import picture_stream

# Codecs of whose packets each holds one frame that is shown. (VP9 and AV1 have packets that show nothing.)
ONE_FRAME_A_PACKET = frozenset({"h264", "hevc", "mpeg4"})
# A jump empties the decoder and reads anew; it has to leave out at least so many frames.
WORTH_A_JUMP = 4
FEWEST_FRAMES = 2  # a file with fewer is no video


@dataclass(frozen=True, kw_only=True)
class PictureIndex:
    """``shown_F``: which source frame each output frame shows, as a position in ``pts`` (ascending).

    ``keys``: positions of the frames at which decoding can start. ``edges_s``: as of a decoded picture.
    """

    pts: list[int]
    keys: list[int]
    shown_F: np.ndarray
    edges_s: np.ndarray


def index_picture(path: Path, config: DataConfig) -> PictureIndex | None:
    """Read the packets of a file's picture; None where they do not tell what decoding would give.

    Raises:
        DecodeError: missing, not a video, or cut off before its header's duration.
    """
    if path.is_dir():
        return None
    with decode._opened(path) as container:
        stream = picture_stream(container)
        if stream is None or stream.codec_context.name not in ONE_FRAME_A_PACKET:
            return None
        packets = [packet for packet in container.demux(stream) if packet.size]
        if any(p.pts is None or p.is_corrupt or p.is_discard for p in packets):
            return None
        packets.sort(key=lambda packet: packet.pts)
        pts = [packet.pts for packet in packets]
        if len(set(pts)) < len(pts) or len(pts) < FEWEST_FRAMES:
            return None
        base = float(stream.time_base)
        start_s = [value * base for value in pts]
        end_s = start_s[-1] + _packet_s(packets[-1], stream)
        clock = decode._OutputClock(config.frame_rate, decode._tick_s(stream))
        times = [clock.advance(a, b, WHOLE) for a, b in zip(start_s, [*start_s[1:], end_s], strict=True)]
        decode._check_length(path, stream, container, WHOLE, first_s=clock.times_s[0], end_s=end_s)
    keys = [position for position, packet in enumerate(packets) if packet.is_keyframe]
    if not keys or keys[0]:
        return None
    return PictureIndex(pts=pts, keys=keys, shown_F=np.repeat(np.arange(len(pts)), times), edges_s=clock.edges_s(end_s))


class SeekTrack:
    """Frames of a file, decoded when they are read, and kept. Reads like a uint8 array ``[F, H, W, 3]``."""

    def __init__(
        self,
        path: Path,
        index: PictureIndex,
        frame_size: int,
        stored: Callable[[np.ndarray], np.ndarray] = np.asarray,
        stored_planes: Callable[[decode.Planes], np.ndarray] | None = None,
    ) -> None:
        """``stored``, ``stored_planes``: what is left of a frame when it has been through the cache, see ``read_picture``."""
        self._path, self._index = path, index
        self._scale = decode._Scaler(frame_size, stored, stored_planes)
        self._kept: dict[int, np.ndarray] = {}
        self._coming: Iterator[tuple[int, av.VideoFrame]] = iter(())
        self._at = -1  # position of the last frame that came; the first is 0
        self._wanted: set[int] = set()
        self.decoded = 0  # frames that the decoder gave out

    @property
    def shape(self) -> tuple[int, ...]:
        """``(F, H, W, 3)``; the first frame tells it."""
        if not self._kept:
            self._decode([0])
        return (len(self._index.shown_F), *next(iter(self._kept.values())).shape)

    def __getitem__(self, key: tuple[np.ndarray, slice, slice]) -> np.ndarray:
        frames, rows, columns = key
        source = self._index.shown_F[frames]
        positions, place = np.unique(source, return_inverse=True)
        self._decode([position for position in positions.tolist() if position not in self._kept])
        boxes = np.stack([self._kept[position][rows, columns] for position in positions.tolist()])
        return boxes[place.reshape(source.shape)]

    def _decode(self, positions: list[int]) -> None:
        """Keep these source frames; ``positions`` ascend."""
        self._wanted = {self._index.pts[position] for position in positions}
        for position in positions:
            key = self._index.keys[bisect.bisect_right(self._index.keys, position) - 1]
            if position <= self._at or key - self._at > WORTH_A_JUMP or not self._reached(position):
                self._coming = self._from(key)  # also for a frame that was left out while another was looked for
                if not self._reached(position):
                    raise DecodeError(self._path, "does not decode (a frame that its packets announce does not come)")

    def _reached(self, position: int) -> bool:
        """Take frames until this one is kept; False where it does not come."""
        while position not in self._kept:
            pts, frame = next(self._coming, (None, None))
            if pts is None or frame is None:
                return False
            self._at, self.decoded = bisect.bisect_left(self._index.pts, pts), self.decoded + 1
            if self._at > position:
                return False
            if pts in self._wanted:
                self._kept[self._at] = self._scale(frame, times=1)[0]
        return True

    def _from(self, key: int) -> Iterator[tuple[int, av.VideoFrame]]:
        """Frames from a key frame on, in order of presentation."""
        with decode._opened(self._path) as container:
            stream: Any = picture_stream(container)
            stream.codec_context.thread_count = 1
            if key:
                container.seek(self._index.pts[key], stream=stream)
            for packet in container.demux(stream):
                # A frame that others refer to is decoded all the same.
                needed = packet.pts is None or packet.pts in self._wanted
                stream.codec_context.skip_frame = "DEFAULT" if needed else "NONREF"
                for frame in packet.decode():
                    if frame.pts is not None and frame.pts >= self._index.pts[key]:
                        yield frame.pts, frame


def _packet_s(packet: av.Packet, stream: Any) -> float:
    """How long its frame is on show."""
    if packet.duration:
        return float(packet.duration * stream.time_base)
    return float(1 / stream.average_rate) if stream.average_rate else 0.0
