"""Early stopping with AdaMML on real clips: a trial that paused inside its joint stage, and was killed there, loses no bit."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.processes import descendants
from explorer.browse import Front
from explorer.execute import execute
from explorer.run.status import sweep_status
from explorer.run.sweep import run_sweep
from explorer.search.reader import read_study
from explorer.spec.load import load_space
from explorer.spec.plan import chain
from explorer.spec.space import SearchSpace
from explorer.store import Store
from tests.run.sweeps import ROOT, wait_for_end
from tests.run.test_early_stopping import written

ONE = "{epochs: 1, batch_size: 12}"
OVERRIDES = (
    "name=stopped",
    "tracking=none",
    "start_with=defaults",
    "baselines=[]",
    'search={"lambda.rgb": {"log": [0.05, 4]}, "lambda.audio": {"log": [0.02, 2]}}',
    f"stages={{unimodal: {ONE}, warmup: {ONE}, joint: {{epochs: 2, batch_size: 12}}, finetune: {ONE}}}",
    "data.segments.test=4",
    "early_stopping={reduction_factor: 2, grace_epochs: 1}",  # rungs: one epoch of the joint stage, and its end
    "budget.trials=4",  # one cohort: all of them pause after an epoch of their joint stage, two go on, one reaches the end
    "order=strict",
    "resources={groups: 1, cpus_per_worker: 0.5}",
)


@pytest.mark.ray
@pytest.mark.kills
def test_paused_killed_and_promoted_trials_have_the_bits_of_trials_that_never_paused(
    clips: Path, tmp_path: Path
) -> None:
    space = load_space("adamml_small", [f"data.manifest={clips}", f"storage={tmp_path / 'runs'}", *OVERRIDES])
    _kill_when_paused(space, tmp_path / "space.yaml", trials=2)
    status = sweep_status(space.folder)
    assert status.state == "killed"
    assert status.trials["paused"] >= 2

    assert run_sweep(space).trials == {"complete": 1, "pruned": 3}
    trials = read_study(space.folder / "study.journal")
    promoted = [t for t in trials if t.attrs["rungs"]["joint:1"]["standing"] == "promoted"]
    assert len(promoted) == 2
    (complete,) = [trial for trial in promoted if trial.state == "COMPLETE"]
    assert {point.trial for point in Front.load(space.folder).candidates} == {complete.number}

    store, apart = Store(space.store_folder), Store(tmp_path / "apart")
    for trial in promoted:
        *shared, joint, finetune = chain(space, trial.params)
        for job in shared:
            shutil.copytree(store.path(job.key), apart.root / job.key, dirs_exist_ok=True)
        for job in (joint, finetune) if trial is complete else (joint,):
            execute(job, store=apart, cache=space.cache_folder, on_epoch=lambda report: True)
            assert written(apart.path(job.key)) == written(store.path(job.key)), f"{job.stage} of trial {trial.number}"


def _kill_when_paused(space: SearchSpace, source: Path, *, trials: int) -> None:
    """Run the command that people type, and kill its driver when so many trials have paused."""
    source.write_text(space.to_yaml())
    command = [sys.executable, "-m", "explorer.cli.app", "sweep", str(source)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment, start_new_session=True
    ) as driver:
        assert driver.stdout is not None
        lines: list[str] = []
        for line in driver.stdout:
            lines.append(line)
            if sum(" paused at epoch 1 of stage joint" in told for told in lines) == trials:
                break
        children = descendants(driver.pid)
        assert children, "".join(lines)
        driver.send_signal(signal.SIGKILL)
        driver.stdout.read()
    wait_for_end({pid: name for pid, name in children.items() if "RayTrainWorker" in name}, seconds=300)
