"""Evaluating a pick on manifests: the sweep's own splits give the front's figures, other classes are refused."""

import json
from pathlib import Path

import pytest

from explorer.api import evaluate
from explorer.errors import UserError


@pytest.fixture(scope="module")
def decoded(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("decoded")


def rewritten(clips: Path, target: Path, change) -> Path:
    """The manifest with every row changed; paths absolute. ``change`` returns None to leave a row out."""
    rows = [json.loads(line) for line in clips.read_text().splitlines()]
    kept = [row for row in (change({**row, "path": str(clips.parent / row["path"])}) for row in rows) if row]
    target.write_text("\n".join(json.dumps(row) for row in kept) + "\n")
    return target


def test_the_test_split_gives_the_very_figures_of_the_front(model, picked, clips, decoded):
    found = evaluate(model, clips, cache=decoded)
    measured = picked.point.test
    assert (found.split, found.videos) == ("test", measured.videos)
    assert found.accuracy.value == pytest.approx(measured.accuracy)
    for convention, cost in found.gflops.items():
        assert cost.value == pytest.approx(measured.gflops[convention], rel=1e-5)
    assert {site: rate.value for site, rate in found.rates.items()} == pytest.approx(measured.rates, rel=1e-5)


def test_standard_errors_are_those_of_a_mean_over_videos(model, clips, decoded):
    found = evaluate(model, clips, split="all", cache=decoded)
    accuracy, videos = found.accuracy.value, found.videos
    assert videos == len(clips.read_text().splitlines())
    assert found.accuracy.standard_error == pytest.approx((accuracy * (1 - accuracy) / (videos - 1)) ** 0.5)
    right = sum(found.accuracy_of_class[name] for name in found.accuracy_of_class) / len(found.accuracy_of_class)
    assert 0 <= found.mean_average_precision <= 1 and 0 <= right <= 1


def test_classes_are_matched_by_name_whatever_their_numbers(model, clips, decoded, tmp_path):
    names = {row["label_name"]: row["label"] for row in map(json.loads, clips.read_text().splitlines())}
    other = rewritten(clips, tmp_path / "other.jsonl", lambda r: {**r, "label": len(names) - 1 - r["label"]})
    assert evaluate(model, other, cache=decoded).accuracy == evaluate(model, clips, cache=decoded).accuracy


def test_a_manifest_with_some_of_the_classes_and_no_splits_is_measured_whole(model, clips, decoded, tmp_path):
    def two_classes(row):
        row.pop("split")
        return row if row["label"] < 2 else None

    some = rewritten(clips, tmp_path / "some.jsonl", two_classes)
    found = evaluate(model, some, cache=decoded)
    assert found.split == "all"
    assert found.videos == len(some.read_text().splitlines())
    assert len(found.accuracy_of_class) == 2


def test_a_class_that_the_model_does_not_know_is_refused_with_both_lists(model, clips, tmp_path):
    def renamed(row):
        return {**row, "label_name": "zebra" if row["label"] == 0 else row["label_name"]}

    with pytest.raises(UserError) as refused:
        evaluate(model, rewritten(clips, tmp_path / "zebra.jsonl", renamed))
    text = str(refused.value)
    assert "does not know zebra" in text
    assert f"model: {', '.join(model.classes)}" in text and "manifest" in text


def test_a_split_that_does_not_exist_is_refused(model, clips):
    with pytest.raises(UserError, match="--split must be train, val, test or all, got 'dev'"):
        evaluate(model, clips, split="dev")
