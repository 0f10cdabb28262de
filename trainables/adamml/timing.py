"""What the steps of AdaMML take on this machine: decoding, spectrogram, flow, input, policy, recognition nets.

Axes: ``S`` segment.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch

from trainables.adamml.config import AdaMMLConfig
from trainables.adamml.model import AdaMML
from trainables.kit.data.cache import Source, decode_frames
from trainables.kit.data.config import DataConfig
from trainables.kit.data.dataset import LoadedFile, load_file
from trainables.kit.data.decode import Sound, decode_sound
from trainables.kit.data.flow import FlowTrack
from trainables.kit.data.modalities import MODALITIES
from trainables.kit.data.modalities.flow import STACKED
from trainables.kit.data.segments import SegmentSpec, frame_indices, test_starts
from trainables.kit.data.spectrogram import log_spectrogram
from trainables.kit.measure.timing import network_s, quickest_medians, seconds_of, table_of, this_device
from trainables.timing import TimedPart, TimeTable

FLOW_PAIRS = 2  # of a video: TV-L1 takes seconds a pair at the paper's size, and takes as long for the next one


def measure_time(config: AdaMMLConfig, classes: int, videos: Sequence[Path]) -> TimeTable:
    """Medians over ``videos``, one file at a time, on as many threads as torch has; the nets run on a video's segments at once.

    Of every file and of every network the quickest of some calls counts. Without videos the networks alone are measured.

    Raises:
        DecodeError: a file does not decode.
        UserError: flow is among the inputs and cannot be computed here.
    """
    prepare = quickest_medians(videos, lambda video: _preprocess_s(video, config.data))
    device = this_device()
    parts = (
        *(_prepared(name, seconds, config) for name, seconds in prepare.items()),
        *_networks(config, classes, device),
    )
    return table_of(parts, videos=len(videos), batch=config.data.segments.test, device=device)


def _preprocess_s(video: Path, data: DataConfig) -> Iterator[tuple[str, float]]:
    """As ``predict`` reads a file: only the frames of the segments are decoded; sound is decoded whole."""
    every = range(data.segments.test)
    opened: list[LoadedFile] = []
    yield "open the file", seconds_of(lambda: opened.append(load_file(video, data)))
    for name in data.inputs:
        if MODALITIES[name].kind == "video" and name != "flow":
            yield f"{name}: decode, crop", seconds_of(partial(opened[0].read, name, every))
    if "flow" in data.tracks:
        yield "flow", _flow_s(Source(path=video), data)
    if "sound" in data.tracks:
        sounds: list[Sound | None] = []
        yield "decode sound", seconds_of(lambda: sounds.append(decode_sound(video, sample_rate=data.audio.sample_rate)))
        samples_N = None if sounds[0] is None else sounds[0].samples_N
        yield "spectrogram", 0.0 if samples_N is None else seconds_of(lambda: log_spectrogram(samples_N, data.audio))


def _flow_s(source: Source, data: DataConfig) -> float:
    """Of all fields that the segments need, their frames decoded before."""
    frames = decode_frames(source, data).frames_FHW3
    count_1 = np.array([frames.shape[0]])
    spec = SegmentSpec.of(data.segments)
    frame_ST = frame_indices(spec, test_starts(spec, count_1, data.segments.test), count_1)[0]
    needed = np.unique(np.minimum(frame_ST[..., None] + np.arange(STACKED), frames.shape[0] - 1))
    track = FlowTrack(frames, data.flow)
    pairs = range(min(FLOW_PAIRS, frames.shape[0] - 1))
    return seconds_of(lambda: [track.compute(pair) for pair in pairs]) / len(pairs) * len(needed)


def _prepared(name: str, seconds: float, config: AdaMMLConfig) -> TimedPart:
    """A preprocessing part with those that need it: the policy looks at every segment of what it sees."""
    modalities = config.data.modalities
    seen = {config.seen_by_policy(m) for m in modalities}
    if name == "open the file":
        return TimedPart(name=name, kind="preprocess", seconds=seconds, sites=modalities, policy=True, by_segment=False)
    if name in ("decode sound", "spectrogram"):
        sites = tuple(m for m in modalities if MODALITIES[m].kind == "sound")
        policy = any(MODALITIES[m].kind == "sound" for m in seen)
        return TimedPart(name=name, kind="preprocess", seconds=seconds, sites=sites, policy=policy, by_segment=False)
    modality = name.partition(":")[0]
    return TimedPart(name=name, kind="preprocess", seconds=seconds, sites=(modality,), policy=modality in seen)


def _networks(config: AdaMMLConfig, classes: int, device: torch.device) -> Iterator[TimedPart]:
    model = AdaMML(config, classes).to(device).eval()
    segments = config.data.segments.test
    names = {*config.data.modalities, *(config.seen_by_policy(m) for m in config.data.modalities)}
    inputs = {m: torch.randn(1, segments, *MODALITIES[m].shape(config.data), device=device) for m in sorted(names)}
    seconds = network_s(lambda: model.policy(inputs), device)
    yield TimedPart(name="policy network", kind="network", seconds=seconds, sites=(), policy=True)
    for m in config.data.modalities:
        seconds = network_s(partial(model.recognise, m, inputs[m]), device)
        yield TimedPart(name=f"{m} network", kind="network", seconds=seconds, sites=(m,))
