"""Real processes, killed for real in the middle of an epoch: what goes on afterwards ends with the same bits."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.trainables.adamml_parts import tiny_config
from tests.trainables.two_ranks import ROOT
from trainables.adamml.system import AdaMMLSystem
from trainables.contract import Loss, StageJob, System
from trainables.kit.engine.keys import stage_jobs
from trainables.kit.engine.train import EpochReport, run_stage
from trainables.toy.config import ToyConfig
from trainables.toy.system import ToySystem

SHORT = {"epochs": 1, "batch_size": 12}
# Twelve steps: an epoch of AdaMML's joint stage has two of each pass here, an epoch of the toy one of each.
ADAMML_STAGES = {"unimodal": SHORT, "warmup": SHORT, "joint": {**SHORT, "epochs": 3, "select": "best_objective"}}
TOY_STAGES = {"joint": {"epochs": 6}}


def jobs_of(name: str, clips: str) -> tuple[System, dict[str, StageJob]]:
    """The jobs up to the joint stage."""
    if name == "toy":
        toy, toy_config = ToySystem(), ToyConfig.model_validate({"stages": TOY_STAGES})
        return toy, {
            j.stage: j for j in stage_jobs(toy, toy_config, seed=1, ranks=1, stages=toy.stages(toy_config)[:-1])
        }
    adamml, config = AdaMMLSystem(), tiny_config({"stages": ADAMML_STAGES}, clips)
    return adamml, {j.stage: j for j in stage_jobs(adamml, config, seed=1, ranks=1, stages=adamml.stages(config)[:-1])}


def run(root: Path, work: str, cache: Path, job: StageJob, on_epoch: Callable[[EpochReport], bool]) -> Path:
    parents = {name: root / name / "result" for name in job.parents}
    return run_stage(job, work=root / work, parents=parents, cache=cache, on_epoch=on_epoch)


def die_in_the_middle(name: str, clips: str, root: str, cache: str, steps: str) -> None:
    """In a process of its own: train the joint stage and be killed at the start of the given step."""
    torch.set_num_threads(1)
    system, jobs = jobs_of(name, clips)
    step, left = type(system).step, [int(steps)]

    def dying(self: System, *arguments: Any) -> Loss:
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return step(self, *arguments)

    type(system).step = dying  # type: ignore[method-assign]
    run(Path(root), "killed", Path(cache), jobs["joint"], lambda report: True)


@pytest.mark.kills
@pytest.mark.parametrize("name", ["toy", "adamml"])
def test_a_process_killed_twice_within_an_epoch_goes_on_to_the_bits_of_one_that_was_not(
    name, tmp_path, clips, media_cache
):
    torch.set_num_threads(1)
    _, jobs = jobs_of(name, str(clips))
    for stage in jobs:
        run(tmp_path, stage, media_cache, jobs[stage], lambda report: True)

    # Killed in epoch 1, between its two passes (toy: in epoch 3), then again one epoch later.
    for steps in ("7", "6"):
        code = f"from {__name__} import die_in_the_middle as f; import sys; f(*sys.argv[1:])"
        arguments = [name, str(clips), str(tmp_path), str(media_cache), steps]
        killed = subprocess.run([sys.executable, "-c", code, *arguments], cwd=ROOT, capture_output=True, text=True)
        assert killed.returncode == -signal.SIGKILL, killed.stderr
    epochs: list[int] = []
    resumed = run(tmp_path, "killed", media_cache, jobs["joint"], lambda report: not epochs.append(report.epoch))
    assert epochs == ([2] if name == "adamml" else [5])

    whole = tmp_path / "joint" / "result"
    files = sorted(file.relative_to(whole) for file in whole.rglob("*.safetensors"))
    assert files == sorted(file.relative_to(resumed) for file in resumed.rglob("*.safetensors"))
    assert len(files) == 2 * jobs["joint"].epochs + 1
    for file in files:
        assert (whole / file).read_bytes() == (resumed / file).read_bytes(), file
    one, other = (json.loads((folder / "stage.json").read_text()) for folder in (whole, resumed))
    assert one["metrics"] == other["metrics"]
    assert one["chosen_epoch"] == other["chosen_epoch"]
