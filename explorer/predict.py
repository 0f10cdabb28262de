"""Run what was picked: a folder of ``explorer pick``, on video files."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from explorer.curve import setting_within, settings_of
from explorer.errors import NotFound, UserError
from explorer.fronts.controller import BudgetController
from trainables.contract import Convention, Json, Prediction, SegmentPrediction, System, SystemConfig
from trainables.systems import load_system

if TYPE_CHECKING:
    from torch import nn

VIDEO_SUFFIXES = (".mp4", ".m4v", ".mkv", ".mov", ".avi", ".webm")


@dataclass(frozen=True, kw_only=True)
class VideoPrediction:
    """A labelled video. ``gflops``: GMACs that ran, in ``convention``."""

    path: Path
    label: str
    probability: float
    gflops: float
    convention: Convention
    prediction: Prediction

    def to_json(self) -> dict[str, Json]:
        """As in the output contract of ``predict``."""
        return {
            "path": str(self.path),
            "label": self.label,
            "probability": self.probability,
            "gflops": self.gflops,
            "convention": self.convention,
            "decisions": [asdict(decision) for decision in self.prediction.decisions],
        }


@dataclass(frozen=True, kw_only=True)
class PickedModel:
    """A pick, loaded: the network, its knobs and what is known about it (``info`` is ``pick.json``)."""

    system: System
    config: SystemConfig
    network: nn.Module
    knobs: Mapping[str, float]
    mode: str
    classes: tuple[str, ...]
    info: Mapping[str, Any]

    def within(self, max_gflops: float, convention: Convention = "full") -> PickedModel:
        """The same network at the most accurate setting of its knobs within a budget, on validation.

        Raises:
            NoPoint: no setting is so cheap.
        """
        return replace(self, knobs=setting_within(self.info, max_gflops, convention).knobs)

    def with_knobs(self, knobs: Mapping[str, float]) -> PickedModel:
        """The same network with other thresholds.

        Raises:
            UserError: the model has no such knob.
        """
        unknown = sorted(set(knobs) - set(self.knobs))
        if unknown:
            raise UserError(f"knobs must be {', '.join(self.knobs) or 'none'}, got {', '.join(unknown)}")
        return replace(self, knobs={**self.knobs, **knobs})

    def predict(self, videos: Iterable[str | Path], *, convention: Convention = "full") -> list[VideoPrediction]:
        """See :func:`predict`."""
        labelled = []
        for answer in self.label_all(video_files(videos), convention):
            if isinstance(answer, UserError):
                raise answer
            labelled.append(answer)
        return labelled

    def label_all(
        self, paths: Sequence[Path], convention: Convention = "full"
    ) -> Iterator[VideoPrediction | UserError]:
        """One answer a file, in order: its label, or why it does not decode. Several files are computed together."""
        answers = self.system.predict_many(self.network, self.config, paths, knobs=self.knobs, mode=self.mode)
        for path, found in zip(paths, answers, strict=True):
            yield found if isinstance(found, UserError) else self._labelled(path, found, convention)

    def label(self, path: Path, convention: Convention = "full") -> VideoPrediction:
        """Label one file.

        Raises:
            UserError: it does not decode.
        """
        return self.predict([path], convention=convention)[0]

    def stream(self, path: str | Path) -> Iterator[SegmentPrediction]:
        """Each segment's decisions as soon as it is seen, and the prediction so far; the last one is the whole video's.

        Raises:
            UserError: the file does not decode.
        """
        return self.system.stream(self.network, self.config, Path(path), knobs=self.knobs, mode=self.mode)

    def _labelled(self, path: Path, found: Prediction, convention: Convention) -> VideoPrediction:
        best = max(range(len(found.probability_C)), key=lambda c: found.probability_C[c])
        return VideoPrediction(
            path=path,
            label=self.classes[best],
            probability=found.probability_C[best],
            gflops=found.gmacs[convention],
            convention=convention,
            prediction=found,
        )


class Stream:
    """Labels files one after the other, each at the setting that keeps the running mean of GFLOPs at a budget.

    Raises:
        UserError: the budget is below the cheapest setting.
    """

    def __init__(self, model: PickedModel, mean_gflops: float, convention: Convention = "full") -> None:
        self._model, self._convention = model, convention
        self._settings = settings_of(model.info, convention)
        self.controller = BudgetController([s.gflops[convention] for s in self._settings], mean_gflops)

    def label(self, path: Path) -> VideoPrediction:
        """Label one file. Raises ``UserError`` where it does not decode; it then costs nothing."""
        chosen = self.controller.choose()
        found = replace(self._model, knobs=self._settings[chosen].knobs).label(path, self._convention)
        self.controller.spent(found.gflops, chosen)
        return found

    def label_all(self, paths: Sequence[Path]) -> Iterator[VideoPrediction | UserError]:
        """One answer a file, in order: its label, or why it does not decode."""
        for path in paths:
            try:
                yield self.label(path)
            except UserError as error:
                yield error


def load_model(model: str | Path, *, tracking: str | None = None) -> PickedModel:
    """Load a folder written by ``explorer pick``, or a registered one (``models:/NAME@ALIAS``).

    ``tracking``: the MLflow that knows the registered one; default ``MLFLOW_TRACKING_URI``, else the database in ``./runs``.

    Raises:
        NotFound: there is no such folder or registered model.
        TrackingFailed: MLflow does not answer.
    """
    if not str(model).startswith("models:"):
        return _load_folder(Path(model))
    from explorer.tracking.registry import download

    with tempfile.TemporaryDirectory(prefix="registered-") as scratch:
        return _load_folder(download(str(model), Path(scratch), tracking=tracking))


def _load_folder(folder: Path) -> PickedModel:
    from trainables.kit.engine.train import load_model as load_network

    missing = [name for name in ("pick.json", "weights.safetensors") if not (folder / name).is_file()]
    if missing:
        raise NotFound(
            f"{folder} must be a folder written by `explorer pick`; it has no {' and no '.join(missing)}. "
            "Run `explorer pick SWEEP --max-gflops X` and give the folder that it prints"
        )
    info = json.loads((folder / "pick.json").read_text(encoding="utf-8"))
    system = load_system(info["system"])
    config = system.Config.model_validate(info["config"])
    network = load_network(system, config, folder / "weights.safetensors", classes=len(info["classes"]))
    return PickedModel(
        system=system,
        config=config,
        network=network,
        knobs=info["knobs"],
        mode=info["mode"],
        classes=tuple(info["classes"]),
        info=info,
    )


def predict(
    model: PickedModel | str | Path, videos: Iterable[str | Path], *, convention: Convention = "full"
) -> list[VideoPrediction]:
    """Label video files, or all video files of folders. Skipped segments of a modality are not computed.

    Raises:
        NotFound: a path does not exist, or a folder holds no video.
        UserError: a file does not decode.
    """
    loaded = model if isinstance(model, PickedModel) else load_model(model)
    return loaded.predict(videos, convention=convention)


def video_files(paths: Iterable[str | Path]) -> list[Path]:
    """Files as given; a folder stands for the video files in it and in the folders below it, sorted."""
    files: list[Path] = []
    problems: list[str] = []
    for path in map(Path, paths):
        if path.is_dir():
            inside = sorted(p for p in path.rglob("*") if p.is_file() and p.suffix.lower() in VIDEO_SUFFIXES)
            files += inside
            if not inside:
                problems.append(f"{path} holds no video file ({', '.join(VIDEO_SUFFIXES)})")
        elif path.is_file():
            files.append(path)
        else:
            problems.append(f"{path} does not exist")
    if problems:
        raise NotFound("; ".join(problems) + "; give video files or folders of them")
    if not files:
        raise UserError("no video was given; give video files or folders of them")
    return files
