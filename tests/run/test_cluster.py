"""How many worker groups fit a cluster: arithmetic, no Ray."""

from __future__ import annotations

from pathlib import Path

import pytest

from explorer.errors import UserError
from explorer.run.cluster import Node, Shape, close_token, slots

LAPTOP = Node(cpus=2, gpus=0, memory_gib=16)
GPU_NODE = Node(cpus=16, gpus=4, memory_gib=128)
ONE_CPU = Shape(workers=1, cpus_per_worker=1, gpus_per_worker=0)


@pytest.mark.parametrize(
    ("shape", "nodes", "expected"),
    [
        (ONE_CPU, [LAPTOP], 2),
        (Shape(workers=1, cpus_per_worker=0.1, gpus_per_worker=0), [Node(cpus=0.3, gpus=0, memory_gib=64)], 3),
        (Shape(workers=1, cpus_per_worker=1, gpus_per_worker=0.5), [GPU_NODE], 8),
        (Shape(workers=2, cpus_per_worker=1, gpus_per_worker=1), [GPU_NODE, GPU_NODE], 4),
        (ONE_CPU, [Node(cpus=64, gpus=0, memory_gib=6)], 4),  # memory for four
        (ONE_CPU, [Node(cpus=1, gpus=0, memory_gib=1)], 1),  # too little memory is tried all the same
    ],
)
def test_as_many_groups_start_as_fit(shape: Shape, nodes: list[Node], expected: int) -> None:
    assert slots(shape, nodes, groups=None, useful=100) == expected


def test_no_more_groups_start_than_have_something_to_do() -> None:
    assert slots(ONE_CPU, [GPU_NODE], groups=None, useful=3) == 3


def test_given_number_of_groups_is_kept_or_refused() -> None:
    assert slots(ONE_CPU, [LAPTOP], groups=1, useful=100) == 1
    with pytest.raises(UserError, match=r"at most 2, got 3: each needs 1 CPU, the cluster has 2 CPU"):
        slots(ONE_CPU, [LAPTOP], groups=3, useful=100)


def test_group_that_fits_nowhere_is_refused_with_need_and_supply() -> None:
    shape = Shape(workers=1, cpus_per_worker=1, gpus_per_worker=1)
    with pytest.raises(UserError, match=r"needs 1 CPU and 1 GPU, the cluster has 2 CPU and 0 GPU on 1 node"):
        slots(shape, [LAPTOP], groups=None, useful=100)


def test_torch_threads_of_all_groups_together_are_no_more_than_the_cores() -> None:
    for cpus in (0.5, 1, 1.5, 4):
        shape = Shape(workers=1, cpus_per_worker=cpus, gpus_per_worker=0)
        groups = slots(shape, [GPU_NODE], groups=None, useful=16)
        assert shape.threads * groups <= GPU_NODE.cpus


def test_a_token_that_everyone_may_read_is_closed_and_a_missing_one_is_not_made(tmp_path: Path) -> None:
    token = tmp_path / "auth_token"
    close_token(token)
    assert not token.exists()
    token.write_text("secret")
    token.chmod(0o644)
    close_token(token)
    assert token.stat().st_mode & 0o777 == 0o600
