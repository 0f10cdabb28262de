"""The documentation runs: the tutorial word for word, the notebook's code, and the command reference is current."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.tour import ROOT, TUTORIAL, class_folders, commands_of

DOCS = ROOT / "docs"


def test_the_command_reference_is_what_the_program_says():
    spec = importlib.util.spec_from_file_location("make_cli", DOCS / "make_cli.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.page() == (DOCS / "cli.md").read_text(encoding="utf-8"), "run `make docs`"


def test_every_link_between_pages_leads_somewhere():
    pages = [*DOCS.rglob("*.md"), ROOT / "README.md"]
    broken = [
        f"{page.relative_to(ROOT)}: {target}"
        for page in pages
        for target in re.findall(r"\]\(([^)#:]+?)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
        if not (page.parent / target).exists()
    ]
    assert not broken


def test_every_command_that_the_tutorial_names_is_one_of_the_program():
    from explorer.cli.app import VERBS

    assert {words[1] for words in commands_of(TUTORIAL)} <= set(VERBS)


@pytest.mark.ray
def test_who_follows_the_tutorial_word_for_word_has_a_picked_model_that_labels_a_video(tour):
    said = {command.split()[1]: text for command, text in tour.said.items()}
    assert "0 problem(s)" in said["doctor"]
    assert "36 videos of 6 classes" in said["init"]
    for command in said["init"].split("Next:")[1].strip().splitlines()[:2]:
        assert command.strip() in tour.said, "init proposes other commands than the tutorial"
    smoked = tour.said["explorer sweep videos.yaml --smoke"]
    assert smoked.startswith("rehearsing videos") and "OK after" in smoked and "finetune" in smoked
    assert not (tour.folder / "runs" / ".smoke").exists()
    assert "videos  finished  2 complete" in said["status"] and "full convention" in said["status"]
    assert "test" in said["pick"] and (tour.sweep / "picks" / "first" / "weights.safetensors").is_file()
    classes = {folder.name for folder in (tour.folder / "videos").iterdir()}
    label = re.match(r"new\.mp4: (.+) \(", said["predict"])
    assert label and label.group(1) in classes


@pytest.mark.ray
def test_the_code_of_the_notebook_page_runs(tour, clips, tmp_path):
    begin, rehearse, *others = re.findall(r"```python\n(.*?)```", (DOCS / "notebook.md").read_text(), re.DOTALL)
    assert "api.smoke(space)" in rehearse
    run_python(begin, class_folders(clips, tmp_path / "videos").parent)
    # The tutorial's sweep is finished and was rehearsed: nothing is trained again.
    said = run_python(rehearse.replace("print(api.smoke(space).stage_s)\n", ""), tour.folder)
    assert "finished {'complete': 2}" in said
    assert "full" in run_python("\n".join(others), tour.folder)


def run_python(code: str, folder: Path) -> str:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    environment.pop("MLFLOW_TRACKING_URI", None)
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout
