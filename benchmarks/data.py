"""Loading from the cache against decoding each time, and ``data prepare`` against decoding and resizing alone.

``python -m benchmarks.data --json``

Training batches, sound and augmentation included, come (a) from the cache and (b) from an assembler that decodes every video
anew, on the same draws. ``cached_over_memory_read``: how much longer the cache takes than copying, in memory, the bytes that
the batch's inputs hold in the cache (crops of 8-bit pixels, 16-bit spectrograms or samples). ``read_over_decode``: pictures alone,
without what follows for both alike (scaling, mirroring, normalisation). ``prepare_over_decode_resize``: building
the JPEG cache of frames, against a bare loop that decodes the same files and scales every frame to RGB, on the same cores
(``..._yuv``: scales without converting colours, which is what ``prepare`` does; ``prepare_over_decode``: does not scale);
none hashes. ``manifest_over_json``: reading and checking a manifest of 100,000 lines, against parsing its lines alone. All are
timed in turns, and the fastest turn of each counts: other work on the machine only ever adds.

The clips are made here: scenes with 1/f texture, a moving camera, an object and sensor noise, 340x256 and 1280x720 at
30 frames a second; ``tiny`` reads the demonstration's clips.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch
from av.video.reformatter import VideoReformatter

from trainables.kit.data.assemble import Assembler
from trainables.kit.data.cache import Clip, ClipCache, Source, decode_clip, decode_frames
from trainables.kit.data.config import DATA_PRESETS, DataConfig
from trainables.kit.data.dataset import VideoData
from trainables.kit.data.manifest import read_manifest
from trainables.kit.data.pack import SingleClips
from trainables.kit.data.synthetic import synthesise, write_clip
from trainables.kit.data.timeline import Timeline

SIZES = {"340x256": (256, 340), "1280x720": (720, 1280)}
FRAME_RATE, SAMPLE_RATE = 30, 16_000
MODALITIES = ("rgb", "audio")
CLOCK: Callable[[], float] = time.perf_counter
ENCODER = {"preset": "medium", "crf": "23"}


class DecodedEachTime(SingleClips):
    """Every batch decodes its videos; ``forget`` comes before each."""

    def __init__(self, sources: Sequence[Source], config: DataConfig, timeline: Timeline) -> None:
        super().__init__(config, timeline)
        self._sources, self._clips = sources, dict[int, Clip]()

    def forget(self) -> None:
        self._clips.clear()

    def clip(self, video: int) -> Clip:
        if video not in self._clips:
            self._clips[video] = decode_clip(self._sources[video], self.config)
        return self._clips[video]


def make_scenes(folder: Path, size: str, clips: int, seconds: float) -> Path:
    """A manifest of clips of one size; all are training clips but two."""
    height, width = SIZES[size]
    folder.mkdir()
    with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
        list(pool.map(lambda index: _make_scene(folder / f"{index}.mp4", height, width, seconds, index), range(clips)))
    splits = ["val", "test", *["train"] * (clips - 2)]
    rows = [
        {"id": str(i), "path": f"{i}.mp4", "split": split, "label": i % 2, "label_name": "ab"[i % 2]}
        for i, split in enumerate(splits)
    ]
    (folder / "manifest.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder / "manifest.jsonl"


def _make_scene(path: Path, height: int, width: int, seconds: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    scale, count = height / 256, round(seconds * FRAME_RATE)
    texture = _texture(round(width + 160 * scale), rng).astype(np.float32)
    grain = rng.normal(0, 2, (8, height, width, 1)).astype(np.float32)
    yy, xx = np.mgrid[:height, :width]
    frames = np.empty((count, height, width, 3), dtype=np.uint8)
    for f in range(count):
        top, left = round(scale * (80 + 60 * np.sin(f / 45))), round(scale * (80 + 70 * np.cos(f / 60)))
        image = texture[top : top + height, left : left + width].copy()
        y, x = scale * (128 + 60 * np.sin(f / 20)), scale * (170 + 90 * np.cos(f / 25))
        inside = (yy - y) ** 2 + (xx - x) ** 2 < (40 * scale) ** 2
        image[inside] = 0.3 * texture[:height, :width][inside] + (140, 60, 30)
        frames[f] = (image + grain[rng.integers(len(grain))]).clip(0, 255)
    sound = 0.1 * rng.standard_normal(round(seconds * SAMPLE_RATE)).astype(np.float32)
    write_clip(path, frames, sound, frame_rate=FRAME_RATE, sample_rate=SAMPLE_RATE, encoder_options=ENCODER)


def _texture(side: int, rng: np.random.Generator) -> np.ndarray:
    """Grey that falls off with spatial frequency as in video frames, and weaker, smoother colour.

    Chosen so that a frame of 340x256 takes about 45 kB as JPEG of quality 95, so that 10 s take about as much as the 13 MB that
    were once measured for a real clip.
    """
    frequency = np.maximum(np.hypot(np.fft.fftfreq(side)[:, None], np.fft.fftfreq(side)[None]), 1 / side)

    def wave(power: float) -> np.ndarray:
        phases = np.exp(2j * np.pi * rng.random((side, side)))
        values: np.ndarray = np.fft.ifft2(frequency**-power * phases).real
        return values / values.std()

    grey = wave(1.3)
    colours = np.stack([grey + 0.2 * wave(1.8) for _ in range(3)], axis=-1)
    return (colours - colours.mean()) / colours.std() * 45 + 120


def loading(config: DataConfig, cache: Path, batch_size: int, turns: int) -> dict[str, float]:
    """Seconds a training batch takes from the cache, by decoding, and for its bytes in memory."""
    data = VideoData(config, cache)
    videos = read_manifest(config.manifest).videos
    sources = [Source(path=video.path) for video in videos]
    raw = config.model_copy(update={"cache": "raw"})
    decoded = DecodedEachTime(sources, raw, data._assembler.clips.timeline)
    slow = VideoData(config, cache)
    slow._assembler = Assembler(decoded, raw)
    segments = config.segments.train

    def batch(source: VideoData, turn: int) -> Any:
        decoded.forget()
        asked = {"modalities": MODALITIES, "segments": segments, "batch_size": batch_size}
        return next(iter(source.train_batches(**asked, draw=(0, turn, 0))))  # type: ignore[arg-type]

    def read(turn: int) -> None:
        """The pictures of as many segments, from the cache: no sound, no augmentation, no normalisation."""
        clips = data._assembler.clips
        draw = np.random.default_rng(turn)
        shape = (batch_size, segments, config.segments.frames)
        videos_B = draw.permutation(len(videos))[:batch_size]
        index = draw.integers(0, clips.frames_N[videos_B][:, None, None], (len(videos_B), *shape[1:]))
        clips.pictures("frames", videos_B, index)

    def decode(turn: int) -> None:
        for source in sources[:batch_size]:
            decode_frames(source, raw)

    held = batch(data, 0)
    count = len(held.label_B)
    pixels = np.ones(held.inputs["rgb"].numel(), dtype=np.uint8)
    sound = np.ones(held.inputs["audio"].numel(), dtype=np.float16)
    best = _in_turns(
        {
            "cached": lambda turn: batch(data, turn),
            "decoded": lambda turn: batch(slow, turn),
            "read": read,
            "decode": decode,
            "memory": lambda turn: (pixels.copy(), sound.copy()),
        },
        turns,
    )
    videos_in = {"read": min(batch_size, len(videos)), "decode": min(batch_size, len(videos))}
    return {name: seconds / videos_in.get(name, count) for name, seconds in best.items()}


def preparing(manifest: Path, folder: Path, turns: int) -> dict[str, float]:
    """Seconds a clip of building the JPEG cache of frames, and of decoding and scaling alone, on all cores."""
    config = DataConfig(manifest=str(manifest), modalities=("rgb",))
    sources = {f"v{i}": Source(path=video.path) for i, video in enumerate(read_manifest(manifest).videos)}

    def bare(format: str | None) -> None:
        with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
            list(pool.map(lambda source: _decode_resize(source.path, config.frame_size, format), sources.values()))

    best = _in_turns(
        {
            "prepare": lambda turn: ClipCache(folder / f"turn{turn}", config).build(sources),
            "rgb": lambda turn: bare("rgb24"),
            "yuv": lambda turn: bare("yuvj420p"),
            "decode": lambda turn: bare(None),
        },
        turns,
    )
    return {name: seconds / len(sources) for name, seconds in best.items()}


def _decode_resize(path: Path, frame_size: int, format: str | None) -> None:
    """Every frame decoded and scaled to a pixel format; None: decoded alone."""
    scale = VideoReformatter()
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        for frame in container.decode(stream):
            if format is None:
                continue
            ratio = frame_size / min(frame.width, frame.height)
            size = {"width": round(frame.width * ratio), "height": round(frame.height * ratio)}
            scaled = scale.reformat(frame, **size, format=format, interpolation="AREA", threads=1)
            if format == "rgb24":
                scaled.to_ndarray()


def _in_turns(work: Mapping[str, Callable[[int], Any]], turns: int) -> dict[str, float]:
    """The fastest of each; the first turn warms up."""
    best = dict.fromkeys(work, float("inf"))
    for turn in range(turns + 1):
        for name, function in work.items():
            started = CLOCK()
            function(turn)
            if turn:
                best[name] = min(best[name], CLOCK() - started)
    return best


def quality(manifest: Path) -> float:
    """PSNR of the JPEG frames of one clip against the decoded ones, dB."""
    source = Source(path=read_manifest(manifest).videos[0].path)
    everything = (np.arange(0, 60, 10), slice(None), slice(None))
    config = DataConfig(manifest=str(manifest))
    coded, exact = (
        decode_frames(source, config.model_copy(update={"cache": name})).frames_FHW3[everything].astype(float)
        for name in ("jpeg", "raw")
    )
    return float(10 * np.log10(255**2 / np.mean((coded - exact) ** 2)))


def bytes_a_clip(config: DataConfig, cache: Path) -> int:
    """Size of the entries, without packs."""
    folders = ClipCache(cache, config).folders.values()
    files = [f for folder in folders for f in folder.glob("*.[jn]p*") if not f.name.startswith("pack")]
    return round(sum(f.stat().st_size for f in files) / len(read_manifest(config.manifest).videos))


def reading(folder: Path, turns: int, lines: int = 100_000) -> dict[str, float]:
    """Seconds to read and check a manifest of so many parts of one file, and to parse its lines alone."""
    folder.mkdir()
    (folder / "a.mp4").touch()
    labels = ({"label": n % 400, "label_name": f"class {n % 400}"} for n in range(lines))
    rows = (
        {"id": f"v{n}", "split": "train", "path": "a.mp4", **x, "start_s": n, "end_s": n + 10}
        for n, x in enumerate(labels)
    )
    file = folder / "manifest.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    best = {"manifest": float("inf"), "json": float("inf")}
    for _ in range(turns):
        started = CLOCK()
        assert len(read_manifest(file).videos) == lines
        read = CLOCK()
        assert len([json.loads(line) for line in file.read_text().splitlines()]) == lines
        best = {"manifest": min(best["manifest"], read - started), "json": min(best["json"], CLOCK() - read)}
    return best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--clips", type=int, default=8, help="of each size")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument(
        "--cpu", action="store_true", help="count processor time of all threads: for a machine that is busy"
    )
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    if args.cpu:
        global CLOCK
        CLOCK = time.process_time
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        result = measure(Path(name), clips=args.clips, seconds=args.seconds, turns=args.turns)
    if args.json:
        print(json.dumps({**vars(args), **result}, indent=1))
        return
    for key, value in result.items():
        print(f"{key}: {value}")


def measure(folder: Path, *, clips: int, seconds: float, turns: int) -> dict[str, Any]:
    """Everything, as ``--json`` prints it."""
    # The large ones a third as long: a clip is rendered in memory, and what is measured of them is a ratio.
    lengths = {"340x256": seconds, "1280x720": seconds / 3}
    manifests = {size: make_scenes(folder / size, size, clips, lengths[size]) for size in SIZES}
    demo = synthesise(folder / "demo", videos=72, seconds=8.0)
    paper = {"manifest": str(manifests["340x256"]), "modalities": MODALITIES}
    configs = {
        "tiny raw": DataConfig(manifest=str(demo), **{**DATA_PRESETS["tiny"], "modalities": MODALITIES}),
        "paper jpeg": DataConfig(**paper, cache="jpeg"),
        "paper raw": DataConfig(**paper, cache="raw"),
    }
    cache = folder / "cache"
    load = {
        name: loading(config, cache, 48 if name.startswith("tiny") else 6, turns) for name, config in configs.items()
    }
    prepare = {size: preparing(manifest, folder / f"{size} cache", turns) for size, manifest in manifests.items()}
    lines = reading(folder / "lines", turns)
    return {
        "cores": os.cpu_count(),
        "load_average": os.getloadavg()[0],
        "cached_over_decoding": {name: round(s["decoded"] / s["cached"], 2) for name, s in load.items()},
        "read_over_decode": {name: round(s["decode"] / s["read"], 2) for name, s in load.items()},
        "cached_over_memory_read": {name: round(s["cached"] / s["memory"], 1) for name, s in load.items()},
        "prepare_over_decode_resize": {size: round(s["prepare"] / s["rgb"], 2) for size, s in prepare.items()},
        "prepare_over_decode_resize_yuv": {size: round(s["prepare"] / s["yuv"], 2) for size, s in prepare.items()},
        "prepare_over_decode": {size: round(s["prepare"] / s["decode"], 2) for size, s in prepare.items()},
        "prepare_videos_per_second": {size: round(1 / s["prepare"], 2) for size, s in prepare.items()},
        "bytes_a_clip": {name: bytes_a_clip(config, cache) for name, config in configs.items()},
        "source_bytes_a_clip": {
            size: round(sum(f.stat().st_size for f in m.parent.glob("*.mp4")) / clips) for size, m in manifests.items()
        },
        "manifest_over_json": round(lines["manifest"] / lines["json"], 1),
        "manifest_s": round(lines["manifest"], 2),
        "jpeg_psnr_db": round(quality(manifests["340x256"]), 1),
        "ms_a_video": {n: {what: round(1000 * s, 2) for what, s in seconds.items()} for n, seconds in load.items()},
    }


if __name__ == "__main__":
    main()
