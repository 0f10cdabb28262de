"""The first step on videos of one's own: from a folder of class folders to a manifest and a commented search space."""

from __future__ import annotations

import re
import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING

import yaml

from explorer.cost import cost_info
from explorer.errors import InvalidInput
from explorer.spec.load import load_space
from explorer.spec.space import check_name
from trainables.contract import Json
from trainables.kit.data.importers.entry import Options
from trainables.kit.data.importers.run import Imported, import_videos, make_splits
from trainables.kit.data.manifest import write_manifest
from trainables.kit.data.outputs import folder_problems

if TYPE_CHECKING:
    from trainables.kit.data.heads import Head

LEAST_CLASSES = 2
COMMENTS = 34  # the column at which the template's comments begin
TEMPLATE = Path(__file__).with_name("init_template.yaml")
# Price of a modality's use: from hardly any to so high that it is all but never used, at the size of preset tiny
# (docs/results/conditioned-front.md).
RANGES: Mapping[str, str] = {"rgb": "[0.5, 64]", "audio": "[0.125, 16]"}
MEANINGS: Mapping[str, str] = {"rgb": "the picture of a segment", "audio": "its sound"}


@dataclass(frozen=True, kw_only=True)
class Begun:
    """What was written, and what was found. ``left_out``: files without a use, each with its reason.

    ``mute``: videos without a sound track. ``next_commands``: rehearse, sweep, pick.
    """

    manifest: Path
    space: Path
    videos: int
    classes: tuple[str, ...]
    splits: Mapping[str, int]
    modalities: tuple[str, ...]
    mute: int
    left_out: tuple[str, ...]
    next_commands: tuple[str, ...]

    def to_json(self) -> dict[str, Json]:
        """The output of ``explorer init --json``."""
        return {
            "manifest": str(self.manifest),
            "space": str(self.space),
            "videos": self.videos,
            "classes": list(self.classes),
            "splits": dict(self.splits),
            "modalities": list(self.modalities),
            "mute": self.mute,
            "left_out": list(self.left_out),
            "next": list(self.next_commands),
        }


def init(folder: str | Path, *, name: str | None = None, out: str | Path = ".") -> Begun:
    """Write ``OUT/NAME.jsonl`` and ``OUT/NAME.yaml`` for the videos in ``folder``; ``name`` is the folder's by default.

    Train, val and test are folders in ``folder``, or they are made: seeded, stratified, 80/10/10. Sound is among the
    modalities unless every file is mute. Nothing is overwritten, and no video is moved or changed.

    Raises:
        UserError: it is no folder of class folders, has too few classes or videos, or a file of that name is there.
    """
    from trainables.kit.data.heads import read_heads  # PyAV: not for who only imports the API

    source, place = Path(folder), Path(out)
    label = name or _name_of(source)
    manifest, space = place / f"{label}.jsonl", place / f"{label}.yaml"
    _refuse(source, label, manifest, space)
    imported = import_videos([source], "folders", Options())
    heads = {head.path: head for head in read_heads([video.path for video in imported.videos])}
    kept, left_out = _readable(imported, heads, source)
    split, _ = make_splits(kept, 0)
    modalities = ("rgb", "audio") if any(heads[v.path].has_sound for v in split.videos) else ("rgb",)
    splits = Counter(str(video.split) for video in split.videos)
    write_manifest(manifest, split.videos, multi_label=False)
    space.write_text(_yaml(label, manifest, modalities, split, source), encoding="utf-8")
    return Begun(
        manifest=manifest,
        space=space,
        videos=len(split.videos),
        classes=split.classes,
        splits={name: splits[name] for name in ("train", "val", "test")},
        modalities=modalities,
        mute=sum(not heads[video.path].has_sound for video in split.videos),
        left_out=left_out,
        next_commands=_next(space),
    )


def _name_of(source: Path) -> str:
    """The folder's name as far as a sweep can have it."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", source.resolve().name).strip("-._") or "videos"


def _refuse(source: Path, label: str, manifest: Path, space: Path) -> None:
    """Every rule that is broken, before anything is read."""
    problems = []
    if source.is_file():
        problems.append(f"{source} is a file; a list of videos becomes a manifest by: explorer data import {source}")
    elif not source.is_dir():
        problems.append(f"{source} does not exist; give the folder that holds a folder for each class")
    if wrong := check_name(label):
        problems.append(f"{wrong}; choose one with --name")
    there = [path for path in (manifest, space) if path.exists()]
    problems += [f"{path} is there already and is not overwritten; choose another --name or --out" for path in there]
    problems += [f"--out {problem}" for problem in folder_problems(manifest.parent)]
    if problems:
        raise InvalidInput("init", problems)


def _readable(imported: Imported, heads: Mapping[Path, Head], source: Path) -> tuple[Imported, tuple[str, ...]]:
    """The videos whose headers open, with labels that have no gaps, and what is left out."""
    good = [video for video in imported.videos if heads[video.path].problem is None]
    left_out = [
        f"{video.path.relative_to(source.absolute())}: {heads[video.path].problem}"
        for video in imported.videos
        if heads[video.path].problem is not None
    ]
    left_out += [f"{line.where}: {line.detail}" for line in imported.unresolved]
    names = sorted({name for video in good for name in video.label_names})
    if len(names) < LEAST_CLASSES:
        found = ", ".join(names) or "none"
        told = [
            f"{source} must hold at least {LEAST_CLASSES} class folders with videos in them, got {found}; "
            f"put the videos of each class into a folder of its own, as {source}/bowling/a.mp4"
        ]
        raise InvalidInput("init", [*told, *left_out[:5]])
    number = {name: label for label, name in enumerate(names)}
    videos = tuple(replace(video, labels=(number[video.label_names[0]],)) for video in good)
    return replace(imported, videos=videos, classes=tuple(names)), tuple(left_out)


def _yaml(label: str, manifest: Path, modalities: Sequence[str], imported: Imported, source: Path) -> str:
    width = max(len(f"lambda.{m}: {{log: {RANGES[m]}}}") for m in modalities)
    ranges = [f"  {f'lambda.{m}: {{log: {RANGES[m]}}}':<{width}}   # price of using {MEANINGS[m]}" for m in modalities]
    return Template(TEMPLATE.read_text(encoding="utf-8")).substitute(
        name=label,
        name_line=_padded(f"name: {label if yaml.safe_load(label) == label else repr(label)}"),  # 2024 is a number
        manifest_line=_padded(f"  manifest: {manifest.name}"),
        modalities_line=_padded(f"  modalities: [{', '.join(modalities)}]"),
        ranges="\n".join(ranges),
        videos=len(imported.videos),
        classes=len(imported.classes),
        source=source,
    )


def _padded(line: str) -> str:
    return f"{line:<{COMMENTS - 1}} "


def _next(space: Path) -> tuple[str, ...]:
    """Rehearse, sweep, pick at half the cost of everything on."""
    loaded = load_space(space)
    half = cost_info(loaded)["conventions"]["full"]["all_on_gflops"] / 2
    file = shlex.quote(str(space))
    return (
        f"explorer sweep {file} --smoke",
        f"explorer sweep {file}",
        f"explorer pick {file} --max-gflops {half:.2g} --name first",
    )
