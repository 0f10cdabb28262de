"""Initial weights that do not depend on what else a network is made of."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def own_seed(part: str) -> Iterator[None]:
    """Initial weights of a part from (seed, name of the part): they do not depend on what was built before it.

    The key of a stage that trains one part names that part alone, so its start must not change with another part's.
    """
    seed = torch.initial_seed()
    digest = int.from_bytes(hashlib.sha256(f"{seed}:{part}".encode()).digest()[:8], "big") >> 1
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(digest)
        yield
