"""Batches drawn ahead by a thread: same batches, same order, same errors, and no thread left behind."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import closing

import pytest
import torch

from trainables.contract import Batch
from trainables.kit.engine.prefetch import AHEAD, ahead


def batches(count: int, made: list[int], *, fails_at: int = -1) -> Iterator[Batch]:
    for index in range(count):
        if index == fails_at:
            raise OSError(f"batch {index} cannot be read")
        made.append(index)
        empty = torch.zeros(1, 1, 1)
        yield Batch(inputs={}, label_B=empty, present_BSM=empty, index_B=torch.tensor([index]))


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("batches")]


def test_all_batches_come_in_order_and_the_thread_ends_with_them():
    assert [batch.index_B.item() for batch in ahead(batches(7, []))] == list(range(7))
    assert threads() == []


def test_batches_are_made_while_a_step_runs_but_never_more_than_the_queue_holds():
    made: list[int] = []
    with closing(ahead(batches(20, made))) as ready:
        next(ready)
        deadline = time.monotonic() + 10
        while len(made) < 1 + AHEAD and time.monotonic() < deadline:
            time.sleep(0.001)
        time.sleep(0.02)
        assert len(made) == 1 + AHEAD


def test_an_error_while_a_batch_is_made_reaches_the_step_that_wanted_it():
    ready = ahead(batches(5, [], fails_at=2))
    assert [next(ready).index_B.item() for _ in range(2)] == [0, 1]
    with pytest.raises(OSError, match="batch 2"):
        next(ready)
    assert threads() == []


def test_a_pass_that_fails_in_the_middle_leaves_no_thread_behind():
    made: list[int] = []
    with pytest.raises(ZeroDivisionError), closing(ahead(batches(1000, made))) as ready:
        for batch in ready:
            _ = 1 / (3 - batch.index_B.item())
    assert threads() == []
    assert len(made) < 10
