"""Runs functions of a test module in two real processes that share a gloo process group."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from trainables.kit.engine.ranks import Ranks

ROOT = Path(__file__).resolve().parents[2]
Part = Callable[[Path, Ranks], Any]


def in_two_ranks(root: Path, parts: Sequence[Part]) -> dict[str, list[Any]]:
    """Call each ``part(root, ranks)``, one after the other, on both ranks: what each returned (as JSON), by its name."""
    module, names = parts[0].__module__, [part.__name__ for part in parts]
    call = [sys.executable, "-m", __name__, str(root)]
    ranks = [
        subprocess.Popen([*call, str(rank), module, *names], stderr=subprocess.PIPE, text=True, cwd=ROOT)
        for rank in (0, 1)
    ]
    errors = [process.communicate(timeout=300)[1] for process in ranks]
    assert [process.returncode for process in ranks] == [0, 0], "\n".join(errors)
    returned = [json.loads((root / f"returned.{rank}").read_text()) for rank in (0, 1)]
    return {name: [of_rank[name] for of_rank in returned] for name in names}


def _one_rank(root: str, rank: str, module: str, *names: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{root}/meet", rank=int(rank), world_size=2)
    imported, ranks = importlib.import_module(module), Ranks.joined()
    returned = {name: getattr(imported, name)(Path(root), ranks) for name in names}
    Path(root, f"returned.{rank}").write_text(json.dumps(returned))
    dist.destroy_process_group()


if __name__ == "__main__":
    _one_rank(*sys.argv[1:])
