"""A cluster that asks for a token: who has none, or a wrong one, is told so at once."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.run.sweeps import ROOT, free_ports

TOKEN, WRONG = "1" * 64, "2" * 64
PATIENCE_S = 300.0


@dataclass(frozen=True, kw_only=True)
class Head:
    """A head node on loopback; ``home``: of a user without a token."""

    job_server: str
    gcs: str
    home: Path

    def explorer(self, *words: str, token: str | None) -> subprocess.CompletedProcess[str]:
        environment = _environment(self.home) | ({} if token is None else {"RAY_AUTH_TOKEN": token})
        command = [sys.executable, "-m", "explorer.cli.app", *words]
        return subprocess.run(
            command, env=environment, cwd=self.home, capture_output=True, text=True, timeout=PATIENCE_S, check=False
        )


def _environment(home: Path) -> dict[str, str]:
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith("RAY_AUTH") and name != "RAY_ADDRESS"
    }
    return {**kept, "HOME": str(home), "PYTHONPATH": str(ROOT)}


@pytest.fixture(scope="module")
def head(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Head]:
    home = tmp_path_factory.mktemp("home")
    temporary = tempfile.mkdtemp(prefix="token-", dir="/tmp")  # Ray's sockets lie in it, whose paths must be short
    gcs, dashboard, agent = free_ports(3)
    options = {
        "port": gcs,
        "dashboard-host": "127.0.0.1",
        "dashboard-port": dashboard,
        "dashboard-agent-listen-port": agent,
        "num-cpus": 0,
        "object-store-memory": 100 * 2**20,
        "temp-dir": temporary,
    }
    words = [f"--{name}={value}" for name, value in options.items()]
    command = [sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block", *words]
    environment = {**_environment(home), "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": TOKEN}
    with (home / "head.log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)
    try:
        deadline = time.monotonic() + PATIENCE_S
        while "Ray runtime started" not in (home / "head.log").read_text():
            assert process.poll() is None and time.monotonic() < deadline, (home / "head.log").read_text()
            time.sleep(0.2)
        yield Head(job_server=f"http://127.0.0.1:{dashboard}", gcs=f"127.0.0.1:{gcs}", home=home)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        shutil.rmtree(temporary, ignore_errors=True)


@pytest.mark.ray
def test_who_has_no_token_or_a_wrong_one_is_told_how_to_get_it_and_never_shown_one(head: Head) -> None:
    submit = ["sweep", "toy", "-o", "tracking=none", "--detach", "--address", head.job_server]
    missing = head.explorer(*submit, token=None)
    assert missing.returncode == 2
    assert re.fullmatch(
        rf"error: the cluster at {head.job_server} asks for its token, got none; copy .*\n", missing.stderr
    )
    wrong = head.explorer(*submit, token=WRONG)
    assert wrong.returncode == 2
    assert "got a wrong one from RAY_AUTH_TOKEN; copy the head's ~/.ray/auth_token" in wrong.stderr
    joined = head.explorer("sweep", "toy", "-o", "tracking=none", "--address", head.gcs, token=WRONG)
    assert joined.returncode == 2
    assert f"the cluster at {head.gcs} asks for its token, got a wrong one" in joined.stderr
    right = head.explorer("status", "--address", head.job_server, token=TOKEN)
    assert (right.returncode, right.stderr) == (0, "")
    told = "".join(done.stdout + done.stderr for done in (missing, wrong, joined, right))
    assert TOKEN not in told and WRONG not in told and "Traceback" not in told
