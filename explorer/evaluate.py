"""Measure what was picked on any manifest: accuracy, mAP, GFLOPs by convention and selection rates, with standard errors.

Axes: ``B`` video, ``C`` class.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from explorer.errors import InvalidInput, UserError
from explorer.predict import PickedModel, load_model
from trainables.contract import CONVENTIONS, Convention, Json
from trainables.kit.data.manifest import SPLITS, Manifest, Video, read_manifest
from trainables.kit.data.splits import complete_splits
from trainables.kit.measure.metrics import mean_average_precision

if TYPE_CHECKING:
    from trainables.contract import Replay

ALL = "all"


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A mean over videos and its standard error, from the sampling of videos alone."""

    value: float
    standard_error: float

    @classmethod
    def of(cls, value_B: np.ndarray) -> Estimate:
        """From each video's value; the error of a single video is not known (0)."""
        spread = float(value_B.std(ddof=1)) if len(value_B) > 1 else 0.0
        return cls(value=float(value_B.mean()), standard_error=spread / len(value_B) ** 0.5)

    def to_json(self) -> dict[str, Json]:
        return {"value": self.value, "standard_error": self.standard_error}


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """``accuracy_of_class``: of the classes that occur. ``videos``: how many were measured."""

    manifest: Path
    split: str
    videos: int
    accuracy: Estimate
    mean_average_precision: float
    gflops: Mapping[Convention, Estimate]
    rates: Mapping[str, Estimate]
    accuracy_of_class: Mapping[str, float]

    def to_json(self) -> dict[str, Json]:
        """The output of ``explorer evaluate --json``."""
        return {
            "manifest": str(self.manifest),
            "split": self.split,
            "videos": self.videos,
            "accuracy": self.accuracy.to_json(),
            "map": self.mean_average_precision,
            "gflops": {convention: cost.to_json() for convention, cost in self.gflops.items()},
            "rates": {site: rate.to_json() for site, rate in self.rates.items()},
            "accuracy_of_class": dict(self.accuracy_of_class),
        }


def evaluate(
    model: PickedModel | str | Path, manifest: str | Path, *, split: str | None = None, cache: str | Path | None = None
) -> Evaluation:
    """Measure ``model`` (loaded, a pick's folder, or ``models:/NAME@ALIAS``) on a manifest.

    ``split``: train, val, test or ``all``; default ``test``, and ``all`` where the manifest names no split. A split that the
    manifest does not name is the one that a training on it would make. Classes are matched by name; the manifest may lack some
    of the model's. ``cache``: where decoded videos are kept for the next time; default: nowhere.

    Raises:
        UserError: the manifest has classes that the model does not know, or no video in the split; files do not decode.
    """
    loaded = model if isinstance(model, PickedModel) else load_model(model)
    read = read_manifest(manifest)
    wanted = split or (ALL if all(video.split is None for video in read.videos) else "test")
    chosen = _videos(read, wanted, seed=int(loaded.info["config"].get("data", {}).get("split_seed", 0)))
    _check_classes(chosen, loaded.classes, Path(manifest))
    tables = _replays(loaded, chosen, several=read.multi_label, cache=cache)
    return _measured(loaded, Path(manifest), wanted, tables)


def _videos(manifest: Manifest, split: str, seed: int) -> list[Video]:
    if split == ALL:
        return list(manifest.videos)
    if split not in SPLITS:
        raise UserError(f"--split must be {', '.join(SPLITS)} or {ALL}, got {split!r}")
    if all(video.split is not None for video in manifest.videos):
        named = [video for video in manifest.videos if video.split == split]
        if named:
            return named
    assignment = complete_splits(manifest.videos, seed).assignment
    return [video for video in manifest.videos if assignment[video.id] == split]


def _check_classes(videos: Sequence[Video], classes: Sequence[str], manifest: Path) -> None:
    theirs = sorted({name for video in videos for name in video.label_names})
    unknown = [name for name in theirs if name not in classes]
    if unknown:
        raise InvalidInput(
            "the classes of manifest and model (they are matched by name)",
            [
                f"the model does not know {', '.join(unknown)}",
                f"manifest {manifest}: {', '.join(theirs)}",
                f"model: {', '.join(classes)}",
            ],
        )


def _replays(model: PickedModel, videos: Sequence[Video], *, several: bool, cache: str | Path | None) -> list[Replay]:
    """Replay tables that together hold the videos.

    A system opens data of three splits, none empty, so two files are set apart in splits of their own; all are measured.
    """
    import torch

    from trainables.kit.data.relabel import Relabelled
    from trainables.kit.engine.ranks import Ranks

    raw = model.config.model_dump(mode="json", by_alias=True)
    if "manifest" not in raw.get("data", {}):
        raise UserError(f"system {model.system.name} reads no manifest; evaluate a pick of another system")
    files = list(dict.fromkeys(video.path for video in videos))
    if len(files) < len(SPLITS):
        raise UserError(
            f"at least {len(SPLITS)} files are needed to evaluate on, got {len(files)}; give a larger split"
        )
    with tempfile.TemporaryDirectory(prefix="evaluate-") as scratch:
        file = Path(scratch) / "manifest.jsonl"
        apart = {files[0]: "train", files[1]: "val"}
        file.write_text("\n".join(_lines(videos, apart, several=several)) + "\n", encoding="utf-8")
        config = model.system.Config.model_validate({**raw, "data": {**raw["data"], "manifest": str(file)}})
        data = model.system.open_data(config, Path(cache) if cache else Path(scratch) / "cache")
        named, seed = Relabelled(data, model.classes), int(model.info["provenance"]["seed"])
        with torch.no_grad():
            return [
                model.system.replay(model.network, config, named, split, mode=model.mode, seed=seed, share=Ranks())
                for split in SPLITS
            ]


def _lines(videos: Sequence[Video], apart: Mapping[Path, str], *, several: bool) -> Iterator[str]:
    """The videos as a manifest of their own, its labels without gaps."""
    names = sorted({name for video in videos for name in video.label_names})
    for video in videos:
        labels = [names.index(name) for name in video.label_names]
        row: dict[str, Any] = {"id": video.id, "path": str(video.path), "split": apart.get(video.path, "test")}
        if several:
            row |= {"labels": labels, "label_names": list(video.label_names)}
        else:
            row |= {"label": labels[0], "label_name": video.label_names[0]}
        row |= {k: v for k in ("start_s", "end_s", "fps", "sha256") if (v := getattr(video, k)) is not None}
        yield json.dumps(row)


def _measured(model: PickedModel, manifest: Path, split: str, tables: Sequence[Replay]) -> Evaluation:
    # Drawn decisions have several settings, whose mean counts; any other pick has its own knobs.
    settings = [dict(model.knobs)] if model.knobs else [dict(s) for s in model.system.default_settings(model.config)]
    scored = [table.score(settings) for table in tables]
    correct_B = np.concatenate([s.correct_PB.mean(0, dtype=float) for s in scored])
    truth_BC = np.concatenate([table.truth_BC for table in tables])
    logits_BC = np.concatenate([table.video_logits(settings[0]) for table in tables])
    classes = np.flatnonzero(truth_BC.any(0))
    return Evaluation(
        manifest=manifest,
        split=split,
        videos=len(correct_B),
        accuracy=Estimate.of(correct_B),
        mean_average_precision=mean_average_precision(logits_BC, truth_BC),
        gflops={c: Estimate.of(np.concatenate([s.gmacs_PB[c].mean(0) for s in scored])) for c in CONVENTIONS},
        rates={
            site: Estimate.of(np.concatenate([s.rate_PB[site].mean(0, dtype=float) for s in scored]))
            for site in scored[0].rate_PB
        },
        accuracy_of_class={model.classes[c]: float(correct_B[truth_BC[:, c]].mean()) for c in classes},
    )
