"""Clips with something wrong or unusual about them, made from nothing. One second each, so that hundreds are affordable."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import simplejpeg

from trainables.kit.data.synthetic import SAMPLE_RATE, write_clip

FRAME_RATE = 30
FRAMES = 30
SIZE = (96, 128)


def texture(frames: int = FRAMES, size: tuple[int, int] = SIZE, seed: int = 0) -> np.ndarray:
    """A coarse random pattern that moves, uint8 ``[F, H, W, 3]``: damage anywhere in it shows."""
    height, width = size
    coarse = np.random.default_rng(seed).integers(
        20, 235, ((height + frames) // 8 + 2, (width + 2 * frames) // 8 + 2, 3)
    )
    fine = np.kron(coarse, np.ones((8, 8, 1))).astype(np.uint8)
    return np.stack([fine[f : f + height, 2 * f : 2 * f + width] for f in range(frames)])


def hum(seconds: float) -> np.ndarray:
    """A tone, float32 at 16 kHz."""
    return (0.3 * np.sin(2 * np.pi * 440 * np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE)).astype(np.float32)


def good(
    path: Path, *, sound_s: float | None = 1.0, frames: int = FRAMES, rate: int = FRAME_RATE, **options: Any
) -> Path:
    """A whole clip, encoded as most are: B-frames, AAC."""
    options.setdefault("encoder_options", {"preset": "veryfast"})
    write_clip(path, texture(frames), None if sound_s is None else hum(sound_s), frame_rate=rate, **options)
    return path


def remux(source: Path, target: Path, streams: Sequence[int] | None = None, **options: str) -> Path:
    """The same packets in another container, or only some of the streams."""
    with av.open(str(source)) as container, av.open(str(target), "w", options=options) as out:
        kept = [s for s in container.streams if streams is None or s.index in streams]
        copies = {stream.index: out.add_stream_from_template(stream) for stream in kept}
        for packet in container.demux(*kept):
            if packet.dts is not None:
                packet.stream = copies[packet.stream.index]
                out.mux(packet)
    return target


def with_times(path: Path, times_ms: Sequence[int]) -> Path:
    """Frames at any times."""
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("libx264", rate=1000, options={"bf": "0"})
        stream.height, stream.width = SIZE
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        for image, time_ms in zip(texture(len(times_ms)), times_ms, strict=True):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
            frame.pts, frame.time_base = time_ms, Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def frame_folder(path: Path, *, frames: int = 24, first: int = 1, size: tuple[int, int] = SIZE) -> Path:
    """A folder of numbered JPEG pictures, as Something-Something V1 and Jester are published; picture f is grey of 10 f."""
    path.mkdir(parents=True)
    for number in range(frames):
        grey = np.full((*size, 3), min(255, 10 * number), dtype=np.uint8)
        (path / f"{first + number:05d}.jpg").write_bytes(simplejpeg.encode_jpeg(grey, quality=95))
    return path


def two_pictures(path: Path) -> Path:
    """Two video streams of different size; the first one is 128 wide."""
    with av.open(str(path), "w", format="matroska") as container:
        streams: list[Any] = [container.add_stream("libx264", rate=FRAME_RATE) for _ in range(2)]
        for stream, side in zip(streams, (128, 64), strict=True):
            stream.height, stream.width = SIZE[0], side
            stream.pix_fmt = "yuv420p"
        for number, image in enumerate(texture()):
            for stream in streams:
                frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image[:, : stream.width]), format="rgb24")
                frame.pts, frame.time_base = number, Fraction(1, FRAME_RATE)
                container.mux(stream.encode(frame))
        for stream in streams:
            container.mux(stream.encode(None))
    return path


def still(path: Path) -> Path:
    """One JPEG, whatever the name says."""
    with av.open(str(path), "w", format="image2") as container:
        stream: Any = container.add_stream("mjpeg", rate=1)
        stream.height, stream.width = SIZE
        stream.pix_fmt = "yuvj420p"
        frame = av.VideoFrame.from_ndarray(texture(1)[0], format="rgb24").reformat(format="yuvj420p")
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def sound_with_cover(path: Path, *, cover: bool) -> Path:
    """A song, with or without a picture attached to it."""
    with av.open(str(path), "w", format="matroska") as container:
        stream: Any = container.add_stream("aac", rate=SAMPLE_RATE, layout="mono")
        if cover:
            picture = still(path.with_name("cover.jpg"))
            container.add_attachment("cover.jpg", "image/jpeg", picture.read_bytes())
            picture.unlink()
        frame = av.AudioFrame.from_ndarray(hum(1.0)[None], format="fltp", layout="mono")
        frame.sample_rate = SAMPLE_RATE
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def on_its_side(path: Path) -> Path:
    """The display matrix replaced by a quarter turn, as phones write it."""
    upright, turned = (
        b"".join(v.to_bytes(4, "big", signed=True) for v in matrix)
        for matrix in ((1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30), (0, 1 << 16, 0, -(1 << 16), 0, 0, 0, 0, 1 << 30))
    )
    content = good(path, sound_s=None).read_bytes()
    at = content.index(upright, content.index(b"tkhd"))
    path.write_bytes(content[:at] + turned + content[at + len(upright) :])
    return path


def cut(path: Path, share: float) -> Path:
    """Only the first part of the bytes is left."""
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    return path


def flip_in_picture(path: Path, *, seed: int = 0, bits: int = 40) -> Path:
    """Bits flipped in the second quarter of an mp4, which holds picture and sound, not the header."""
    content, draw = bytearray(path.read_bytes()), random.Random(seed)
    for _ in range(bits):
        content[draw.randrange(len(content) // 4, len(content) // 2)] ^= 1 << draw.randrange(8)
    path.write_bytes(content)
    return path


def mutate(content: bytes, seed: int) -> tuple[str, bytes]:
    """One of eight kinds of damage at a random place, and its name."""
    draw = random.Random(seed)
    name = list(MUTATIONS)[seed % len(MUTATIONS)]
    return name, bytes(MUTATIONS[name](bytearray(content), draw))


def _flip(count: int) -> Callable[[bytearray, random.Random], bytearray]:
    def flip(content: bytearray, draw: random.Random) -> bytearray:
        for _ in range(count):
            content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
        return content

    return flip


def _span(content: bytearray, draw: random.Random) -> slice:
    begin = draw.randrange(len(content))
    return slice(begin, min(len(content), begin + draw.choice((1, 16, 512, 4096))))


def _fill(content: bytearray, draw: random.Random) -> bytearray:
    span = _span(content, draw)
    content[span] = bytes(span.stop - span.start)
    return content


def _scramble(content: bytearray, draw: random.Random) -> bytearray:
    span = _span(content, draw)
    content[span] = draw.randbytes(span.stop - span.start)
    return content


def _remove(content: bytearray, draw: random.Random) -> bytearray:
    del content[_span(content, draw)]
    return content


def _repeat(content: bytearray, draw: random.Random) -> bytearray:
    span = _span(content, draw)
    return content[: span.stop] + content[span] + content[span.stop :]


def _shorten(content: bytearray, draw: random.Random) -> bytearray:
    return content[: draw.randrange(len(content))]


def _header(content: bytearray, draw: random.Random) -> bytearray:
    begin = content.index(b"moov")
    for _ in range(draw.choice((1, 4))):
        content[draw.randrange(begin, len(content))] = draw.randrange(256)
    return content


MUTATIONS: Mapping[str, Callable[[bytearray, random.Random], bytearray]] = {
    "1 bit": _flip(1),
    "16 bits": _flip(16),
    "zeros": _fill,
    "noise": _scramble,
    "removed": _remove,
    "repeated": _repeat,
    "shortened": _shorten,
    "header bytes": _header,
}
