"""Ctrl-C at a terminal, as real processes see it: once parks a sweep, twice ends it at once, and it goes on after both."""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

import pytest
from mlflow import MlflowClient

from benchmarks.processes import descendants
from explorer.run.kept import kept
from explorer.run.status import sweep_status
from explorer.run.stopping import Signals, Stopped, signals_stop
from explorer.submit import resume_space, run_tracked
from tests.run.sweeps import ROOT, wait_for_end

PATIENCE_S = 300.0


def test_the_first_signal_waits_for_the_end_of_what_must_be_whole_and_a_second_one_does_not() -> None:
    done: list[str] = []
    with signals_stop() as signals:
        with pytest.raises(Stopped) as first, signals.held():
            signal.raise_signal(signal.SIGTERM)
            done.append("told to all")
        assert (first.value.again, first.value.grace_s) == (False, 20.0)
        with pytest.raises(Stopped) as second, signals.held():
            signal.raise_signal(signal.SIGINT)
            done.append("never")
        assert second.value.again
    assert done == ["told to all"]


def test_two_signals_at_one_moment_count_as_two() -> None:
    signals = Signals()
    frame: FrameType | None = None
    with pytest.raises(Stopped) as stopped, signals.held():
        signals.on_signal(signal.SIGINT, frame)
        signals.on_signal(signal.SIGINT, frame)
    assert stopped.value.again


def test_two_signals_that_python_tells_of_once_count_as_two() -> None:
    def press() -> None:
        for _ in range(2):  # the main thread waits in C code meanwhile
            signal.pthread_kill(threading.get_ident(), signal.SIGINT)

    thread = threading.Thread(target=press)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(60.0)
    try:
        with signals_stop(), pytest.raises(Stopped) as stopped:
            thread.start()
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert stopped.value.again


@pytest.mark.ray
def test_ctrl_c_once_parks_a_sweep_twice_ends_it_at_once_and_it_is_finished_after_both(
    tmp_path: Path, empty_database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    shutil.copyfile(empty_database, tmp_path / "mlflow.db")
    folder = tmp_path / "toy"
    fields = [f"storage={tmp_path}", "budget.trials=3", "baselines=[]", "epoch_s=0.6"]
    fields += ["resources.groups=1", "resources.cpus_per_worker=0.5"]

    with typed("sweep", "toy", *(word for field in fields for word in ("-o", field)), log=tmp_path / "once") as once:
        wait_for(lambda: trains(folder, once), once)
        started = descendants(once.pid)
        press_ctrl_c(once)
        assert once.wait(PATIENCE_S) == 130
    wait_for_end(started, seconds=PATIENCE_S)
    told = (tmp_path / "once").read_text()
    assert "stopping: running epochs finish first; Ctrl-C (once more) ends the sweep at once" in told
    assert told.rstrip().endswith(f"resume  explorer resume {folder}")
    assert sweep_status(folder).state == "interrupted"
    space = resume_space(folder)
    found = kept(space)
    epochs = found.epochs + sum(done for _, done, _ in found.half_trained)
    assert epochs >= 1, "the running epoch finished"

    with typed("resume", str(folder), log=tmp_path / "twice") as twice:
        wait_for(lambda: trains(folder, twice), twice)
        started = descendants(twice.pid)
        workers = [pid for pid, name in started.items() if "RayTrainWorker" in name]
        assert workers
        for pid in workers:  # so that no epoch ends however long this test is kept waiting
            os.kill(pid, signal.SIGSTOP)
        press_ctrl_c(twice)
        wait_for(lambda: "stopping:" in (tmp_path / "twice").read_text(), twice)
        press_ctrl_c(twice)
        assert twice.wait(PATIENCE_S) == 130
    for pid in workers:  # one that is stopped does not see that its node is gone
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)
    wait_for_end(started, seconds=PATIENCE_S)
    told = (tmp_path / "twice").read_text()
    assert "sweep interrupted at once, without its running epochs" in told
    assert "the epochs that ran are trained again" in told
    assert sweep_status(folder).state == "interrupted"
    assert not list(folder.glob(".scratch*"))

    assert run_tracked(space).trials == {"complete": 3}
    client = MlflowClient(tracking_uri=f"sqlite:///{tmp_path}/mlflow.db")
    experiment = client.get_experiment_by_name("toy")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id])
    assert {run.info.status for run in runs} == {"FINISHED"}
    assert len([run for run in runs if "trial_id" in run.data.tags]) == 3


# These tests may themselves run under nohup, and what is ignored is inherited.
_ON_TERMINAL = """
import fcntl, os, signal, sys, termios
signal.signal(signal.SIGHUP, signal.SIG_DFL)
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""


@pytest.mark.ray
def test_a_closed_terminal_parks_a_sweep_with_its_running_epoch_and_leaves_no_process(tmp_path: Path) -> None:
    folder = tmp_path / "toy"
    fields = [f"storage={tmp_path}", "tracking=none", "budget.trials=3", "baselines=[]", "epoch_s=1.0"]
    fields += ["resources.groups=1", "resources.cpus_per_worker=0.5"]
    words = ["sweep", "toy", *(word for field in fields for word in ("-o", field))]
    ours, theirs = os.openpty()
    sweep = subprocess.Popen(
        [sys.executable, "-c", _ON_TERMINAL, "-m", "explorer.cli.app", *words],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        start_new_session=True,
    )
    os.close(theirs)

    def shown_and_trained() -> bool:
        while select.select([ours], [], [], 0.0)[0]:
            os.read(ours, 2**16)
        return trains(folder, sweep)

    try:
        wait_for(shown_and_trained, sweep)
        started = descendants(sweep.pid)
        os.close(ours)
        sweep.wait(PATIENCE_S)
    finally:
        if sweep.poll() is None:
            sweep.kill()
            sweep.wait()
    wait_for_end(started, seconds=PATIENCE_S)
    assert sweep_status(folder).state == "interrupted"
    log = (folder / "sweep.log").read_text()
    assert "stopping: running epochs get 20 s to finish" in log
    assert " sweep interrupted (" in log.splitlines()[-1]
    assert not list(folder.glob(".scratch*"))


@contextmanager
def typed(*words: str, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A command in a session of its own, as of a terminal's foreground; what it prints goes to ``log``."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "explorer.cli.app", *words]
    with log.open("wb") as file:
        process = subprocess.Popen(command, stdout=file, stderr=file, env=environment, start_new_session=True)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def press_ctrl_c(process: subprocess.Popen[bytes]) -> None:
    """A terminal sends the signal to everything in its foreground, the processes of Ray as well."""
    os.killpg(process.pid, signal.SIGINT)


def trains(folder: Path, process: subprocess.Popen[bytes]) -> bool:
    """Whether an epoch was trained by ``process``, or by those before it, and a stage runs now."""
    try:
        progress = json.loads((folder / "progress.json").read_text())
    except (OSError, ValueError):
        return False
    return progress["pid"] == process.pid and progress["epochs_done"] > 0 and progress["stages"].get("running", 0) > 0


def wait_for(condition: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert process.poll() is None, "it ended before its time"
        assert time.monotonic() < deadline
        time.sleep(0.1)
