"""Batches made ready by a background thread while the step before them runs."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor

import torch

from trainables.contract import Batch

AHEAD = 2  # batches that wait at most: one is being used, one is ready, one is being made


def prefetched(batches: Iterator[Batch], device: torch.device) -> Generator[Batch]:
    """The same batches in the same order; for a GPU assembled ahead and pinned, so that the copy to it overlaps too.

    What the iterator raises is raised here. Close the returned generator (``contextlib.closing``) where it may be left
    early: its thread ends with it. On a CPU the step needs the cores itself, so nothing runs ahead there.
    """
    if device.type != "cuda":
        yield from batches
        return
    yield from ahead(_pinned(batch, device) for batch in batches)


def ahead(batches: Iterator[Batch]) -> Generator[Batch]:
    """``batches``, up to ``AHEAD`` of them drawn early by a thread of its own."""
    with ThreadPoolExecutor(1, thread_name_prefix="batches") as pool:
        waiting = deque(pool.submit(next, batches, None) for _ in range(AHEAD))
        try:
            while (batch := waiting.popleft().result()) is not None:
                waiting.append(pool.submit(next, batches, None))
                yield batch
        finally:
            for future in waiting:
                future.cancel()


def _pinned(batch: Batch, device: torch.device) -> Batch:
    with torch.cuda.device(device):  # the thread's own; else every rank would open a context on the first GPU
        return Batch(
            inputs={name: tensor.pin_memory() for name, tensor in batch.inputs.items()},
            label_B=batch.label_B.pin_memory(),
            present_BSM=batch.present_BSM.pin_memory(),
            index_B=batch.index_B,
        )
