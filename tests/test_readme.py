"""The README's commands run, in their order, in an empty folder. Only the demonstration's training is cut short."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

from tests.tour import ROOT, commands_of

# As short as a sweep can be: the README's own takes minutes.
SHORTER = [
    "stages.unimodal.epochs=3",
    "stages.warmup.epochs=1",
    "stages.joint.epochs=1",
    "stages.finetune.epochs=1",
    "stages.fusion.epochs=1",
    "budget.trials=1",
]

pytestmark = pytest.mark.ray


def test_every_explorer_command_of_the_readme_runs(tmp_path):
    commands = commands_of(ROOT / "README.md")
    assert {words[1] for words in commands} >= {"data", "plan", "sweep", "front", "pick", "predict", "cost"}
    for words in commands:
        shorter = [x for o in SHORTER for x in ("-o", o)] if words[1] == "sweep" else []
        if words[1:3] == ["data", "synth"]:
            shorter = ["--videos", "36", "--seconds", "4"]  # tests/data makes all
        if words[1] == "reproduce":
            shorter = ["--plan"]  # tests/reproduce trains it
        done = subprocess.run(
            [sys.executable, "-m", "explorer.cli.app", *words[1:], *shorter],
            cwd=tmp_path,
            env={**os.environ, "RAY_USAGE_STATS_ENABLED": "0"},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, f"{' '.join(words)}\n{done.stdout}\n{done.stderr}"
    assert (tmp_path / "front.html").stat().st_size > 100_000


def test_every_make_target_of_the_readme_exists():
    targets = set(re.findall(r"^make (\w+)", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE))
    rules = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert targets and targets <= rules


def test_every_file_that_the_readme_names_exists():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`((?:trainables|explorer|docs|search_spaces)/[\w./-]*)`", text))
    missing = [name for name in named if not (ROOT / name).exists()]
    assert named and not missing
