"""Two gloo ranks train one stage together: same weights on both, files from the first alone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from trainables.kit.engine.keys import stage_jobs
from trainables.kit.engine.train import run_stage
from trainables.kit.engine.weights import load_weights
from trainables.toy.config import ToyConfig
from trainables.toy.system import ToySystem

RANK = """
import sys
from pathlib import Path
import torch, torch.distributed as dist
from tests.trainables.test_ranks import first_job
from trainables.kit.engine.ranks import Ranks
from trainables.kit.engine.train import run_stage

torch.set_num_threads(1)
root, rank, system, clips = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4]
dist.init_process_group("gloo", init_method=f"file://{root}/meet", rank=rank, world_size=2)
reports = []
job = first_job(system, clips, ranks=2)
run_stage(job, work=root / "work", parents={}, cache=root / "cache", ranks=Ranks(rank=rank, size=2),
          on_epoch=lambda report: reports.append(report.epoch) or True)
print(len(reports))
dist.destroy_process_group()
"""
CASES = ("toy", "adamml")


def first_job(system: str, clips: str, ranks: int):
    from tests.trainables.adamml_parts import tiny_config
    from trainables.adamml.system import AdaMMLSystem

    if system == "toy":
        toy, toy_config = ToySystem(), ToyConfig()
        return stage_jobs(toy, toy_config, seed=0, ranks=ranks, stages=toy.stages(toy_config)[:1])[0]
    config = tiny_config({"stages": {"unimodal": {"epochs": 2, "batch_size": 12}}}, clips)
    adamml = AdaMMLSystem()
    return stage_jobs(adamml, config, seed=0, ranks=ranks, stages=adamml.stages(config)[:1])[0]


def run_two(root: Path, system: str, clips: Path) -> list[str]:
    ranks = [
        subprocess.Popen(
            [sys.executable, "-c", RANK, str(root), str(rank), system, str(clips)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).resolve().parents[2],
        )
        for rank in (0, 1)
    ]
    ended = [process.communicate(timeout=120) for process in ranks]
    assert [process.returncode for process in ranks] == [0, 0], ended
    return [out.strip() for out, _ in ended]


@pytest.mark.parametrize("system", CASES)
def test_two_ranks_train_a_stage_and_only_the_first_reports_and_writes(system, tmp_path, clips):
    reports = run_two(tmp_path, system, clips)
    assert reports == ["2", "0"]
    weights = load_weights(tmp_path / "work" / "result" / "weights.safetensors")
    assert all(torch.isfinite(tensor.float()).all() for tensor in weights.values())


def test_two_ranks_with_equal_gradients_learn_what_one_learns(tmp_path, clips):
    run_two(tmp_path, "toy", clips)
    alone = run_stage(
        first_job("toy", "", ranks=1), work=tmp_path / "alone", parents={}, cache=tmp_path, on_epoch=lambda report: True
    )
    together = load_weights(tmp_path / "work" / "result" / "weights.safetensors")
    for name, tensor in load_weights(alone / "weights.safetensors").items():
        torch.testing.assert_close(together[name], tensor)
