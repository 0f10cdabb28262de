"""How the steps of a system are timed: the quickest of some calls counts, since what else the machine does only ever adds."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import torch

from trainables.kit.data.config import DataConfig
from trainables.kit.data.dataset import LoadedFile, load_file
from trainables.timing import TimedPart, TimeTable

REPEATS = 5  # of a network, after one call that does not count
READS = 2  # of a file


def quickest_medians(videos: Sequence[Path], steps: Callable[[Path], Iterator[tuple[str, float]]]) -> dict[str, float]:
    """Seconds by step: of every file the quickest read, medians over files; none without files."""
    each = [_quickest([dict(steps(video)) for _ in range(READS)]) for video in videos]
    return {name: statistics.median(one[name] for one in each) for name in (each[0] if each else ())}


def network_s(call: Callable[[], object], device: torch.device) -> float:
    """Seconds of a call of a network, without gradients; the first call does not count."""

    def run() -> None:
        call()
        if device.type == "cuda":
            torch.cuda.synchronize(device)

    with torch.no_grad():
        run()
        return min(seconds_of(run) for _ in range(REPEATS))


def seconds_of(call: Callable[[], object]) -> float:
    """Seconds of one call."""
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def this_device() -> torch.device:
    """The first GPU, or the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def table_of(parts: Sequence[TimedPart], *, videos: int, batch: int, device: torch.device) -> TimeTable:
    """The parts and on what they were measured."""
    return TimeTable(
        parts=tuple(parts),
        videos=videos,
        batch=batch,
        device=torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        threads=torch.get_num_threads(),
        torch=torch.__version__,
    )


OPEN, READ = "open the file", "decode, crop"


def frames_s(video: Path, data: DataConfig, modality: str) -> Iterator[tuple[str, float]]:
    """Opening a file, and decoding and cropping all its frames, for systems that see nothing else."""
    opened: list[LoadedFile] = []
    yield OPEN, seconds_of(lambda: opened.append(load_file(video, data)))
    yield READ, seconds_of(lambda: opened[0].read(modality, range(data.segments.test)))


def _quickest(calls: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {name: min(call[name] for call in calls) for name in calls[0]}
