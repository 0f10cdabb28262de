"""The tutorial, done word for word in an empty folder. Only the search space that ``init`` writes is cut short."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TUTORIAL = ROOT / "docs" / "tutorial.md"
# What videos.yaml says, and what it says here: as short as a sweep can be.
SHORTER = {
    "unimodal: {epochs: 50}": "unimodal: {epochs: 4, batch_size: 12}",
    "warmup: {epochs: 5}": "warmup: {epochs: 1, batch_size: 12}",
    "joint: {epochs: 20}": "joint: {epochs: 2, batch_size: 12}",
    "finetune: {epochs: 10}": "finetune: {epochs: 1, batch_size: 12}",
    "fusion: {epochs: 35}": "fusion: {epochs: 1, batch_size: 12}",
    "budget: {trials: 8}": "budget: {trials: 2}",
}


@dataclass(frozen=True)
class Tour:
    """``folder``: where it was done. ``said``: what each command printed."""

    folder: Path
    said: dict[str, str]

    @property
    def space(self) -> Path:
        return self.folder / "videos.yaml"

    @property
    def manifest(self) -> Path:
        return self.folder / "videos.jsonl"

    @property
    def sweep(self) -> Path:
        return self.folder / "runs" / "videos"


def commands_of(page: Path) -> list[list[str]]:
    """The lines of a page that call ``explorer``, as words."""
    blocks = re.findall(r"```console\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    lines = [line.partition("#")[0].split() for block in blocks for line in block.splitlines()]
    return [words for words in lines if words and words[0] == "explorer"]


def class_folders(manifest: Path, folder: Path) -> Path:
    """The videos of a manifest in a folder for each class."""
    for line in manifest.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        place = folder / row["label_name"]
        place.mkdir(parents=True, exist_ok=True)
        (place / Path(row["path"]).name).symlink_to(manifest.parent / row["path"])
    return folder


def shorten(space: Path) -> None:
    """Cut the training that a search space of ``init`` asks for."""
    text = space.read_text(encoding="utf-8")
    for written, shorter in SHORTER.items():
        assert written in text, written
        text = text.replace(written, shorter)
    space.write_text(text, encoding="utf-8")


def take_tour(clips: Path, folder: Path) -> Tour:
    """Type every command of the tutorial, in its order."""
    first = next(path for path in sorted(class_folders(clips, folder / "videos").rglob("*.mp4")))
    shutil.copy(first, folder / "new.mp4")
    environment = {**os.environ, "COLUMNS": "160", "RAY_USAGE_STATS_ENABLED": "0"}
    environment.pop("MLFLOW_TRACKING_URI", None)
    said = {}
    for words in commands_of(TUTORIAL):
        command = [sys.executable, "-m", "explorer.cli.app", *words[1:]]
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{' '.join(words)}\n{done.stdout}\n{done.stderr}"
        said[" ".join(words)] = done.stdout
        if words[1] == "init":
            shorten(folder / "videos.yaml")
    return Tour(folder, said)
