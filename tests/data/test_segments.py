from __future__ import annotations

import numpy as np
import pytest

from trainables.kit.data.config import SegmentConfig
from trainables.kit.data.segments import (
    SegmentSpec,
    end_frames,
    first_samples,
    frame_indices,
    test_starts,
    train_starts,
)

PAPER = SegmentSpec(span_frames=32, frames=8, stride=4)
TINY = SegmentSpec(span_frames=8, frames=1, stride=1, offset=3, grid=True)


def test_training_starts_lie_one_in_each_equal_part_of_the_range() -> None:
    frames_B = np.array([131])  # 100 possible starts, five parts of 20
    low = train_starts(PAPER, frames_B, np.zeros((1, 5)))
    high = train_starts(PAPER, frames_B, np.full((1, 5), 0.999))
    assert low.tolist() == [[0, 20, 40, 60, 80]]
    assert high.tolist() == [[19, 39, 59, 79, 99]]


def test_evaluation_starts_are_evenly_spaced_from_0_to_the_last_possible() -> None:
    assert test_starts(PAPER, np.array([122, 32]), 10).tolist() == [[0, 10, 20, 30, 40, 50, 60, 70, 80, 90], [0] * 10]
    assert test_starts(PAPER, np.array([122]), 1).tolist() == [[45]]


def test_grid_starts_are_multiples_of_the_span() -> None:
    frames_B = np.array([80])
    assert test_starts(TINY, frames_B, 10).tolist() == [list(range(0, 80, 8))]
    starts = train_starts(TINY, frames_B, np.random.default_rng(0).random((1, 5)))
    assert [start // 16 for start in starts[0]] == [0, 1, 2, 3, 4]
    assert not (starts % 8).any()


def test_a_segment_looks_at_every_stride_frame_from_its_offset() -> None:
    assert frame_indices(PAPER, np.array([[10]]), np.array([100])).tolist() == [[[10, 14, 18, 22, 26, 30, 34, 38]]]
    assert frame_indices(TINY, np.array([[72]]), np.array([80])).tolist() == [[[75]]]


def test_a_short_video_wraps() -> None:
    frames_B = np.array([10])
    starts = train_starts(PAPER, frames_B, np.full((1, 2), 0.7))
    assert starts.tolist() == [[0, 0]]
    assert frame_indices(PAPER, starts, frames_B)[0, 0].tolist() == [0, 4, 8, 2, 6, 0, 4, 8]
    assert end_frames(PAPER, starts, frames_B).tolist() == [[10, 10]]


@pytest.mark.parametrize(
    ("begin", "end", "start", "expected"),
    [
        (0.0, 0.8, 0.0, 0),
        (1.0, 2.0, 0.0, 17_600),
        (1.0, 2.0, 0.25, 13_600),
        (1.0, 2.00005, 0.0, 17_600),  # 0.4 samples later
        (1.0, 2.0001, 0.0, 17_601),  # 0.8 samples later
        (0.0, 0.8, 2.0, -32_000),
    ],
)
def test_window_is_centred_on_the_span_on_the_common_clock_to_the_sample(
    begin: float, end: float, start: float, expected: int
) -> None:
    first = first_samples(
        begin_s=np.array([[begin]]),
        end_s=np.array([[end]]),
        sound_start_s=np.array([[start]]),
        window=12_800,
        sample_rate=16_000,
    )
    assert first.tolist() == [[expected]]


def test_frames_outside_the_span_are_refused() -> None:
    with pytest.raises(ValueError, match="must be below span_frames 8, got 8"):
        SegmentConfig(span_frames=8, frames=3, stride=4)
