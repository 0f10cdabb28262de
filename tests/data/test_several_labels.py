"""A data set whose videos have several labels, from the manifest to mAP."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from tests.trainables.adamml_parts import tiny_config
from trainables.adamml.system import AdaMMLSystem
from trainables.kit.engine.keys import stage_jobs
from trainables.kit.engine.train import read_replay, run_stage

ONE = {"epochs": 1, "batch_size": 12}


@pytest.fixture
def several(clips: Path, tmp_path: Path) -> Path:
    """The clips, every third with a second label."""
    rows = [json.loads(line) for line in clips.read_text().splitlines()]
    names = {row["label"]: row["label_name"] for row in rows}
    path = tmp_path / "several.jsonl"
    with path.open("w") as file:
        for number, row in enumerate(rows):
            first = row.pop("label")
            row.pop("label_name")
            labels = [first, (first + 1) % len(names)] if number % 3 == 0 else [first]
            row |= {"labels": labels, "label_names": [names[label] for label in labels]}
            row["path"] = str(clips.parent / row["path"])
            file.write(json.dumps(row) + "\n")
    return path


def test_a_trial_trains_and_is_measured_on_all_labels(several: Path, tmp_path: Path, media_cache: Path):
    config = tiny_config({"stages": {"unimodal": ONE}, "data": {"segments": {"test": 3}}}, str(several))
    system = AdaMMLSystem()
    data = system.open_data(config, media_cache)
    batch = next(iter(data.train_batches(modalities=("rgb",), segments=2, batch_size=12, draw=(0, 0, 0))))
    assert batch.labels_BC is not None and batch.labels_BC.sum() > 12
    assert all(batch.labels_BC[torch.arange(12), batch.label_B])
    job = stage_jobs(system, config, seed=0, ranks=1, stages=system.stages(config)[:1])[0]
    result = run_stage(job, work=tmp_path, parents={}, cache=media_cache, on_epoch=lambda report: True)
    table = read_replay(job, result, 0, "val")
    assert table.truth_BC.sum() > len(table.video_ids)
    right = table.truth_BC[range(len(table.video_ids)), table.video_logits({}).argmax(-1)]
    assert table.score([{}]).correct_PB[0].tolist() == right.tolist()
    assert 0 < json.loads((result / "stage.json").read_text())["metrics"][0]["val.map"] <= 1
