"""Three random kills, in ``make soak`` (two and a half minutes); it does a hundred more, of every kind."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from benchmarks.chaos import ROOT


@pytest.mark.ray
@pytest.mark.soak
def test_random_kills_lose_nothing_and_leave_nothing_behind() -> None:
    command = [sys.executable, "-m", "benchmarks.chaos", "--kills", "3", "--kinds", "node", "queue", "driver", "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stdout + done.stderr[-4000:]
    found = json.loads(done.stdout)
    assert sum(found["kills"].values()) == 3
    assert found["fronts_identical"]
    assert (found["lost"], found["duplicated"], found["left_behind"]) == (0, 0, [])
