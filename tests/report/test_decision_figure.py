"""What points choose: columns and means in closed form, and the picture of several sweeps."""

import re

import numpy as np
import pytest

from explorer.report.chosen import chosen, columns_of, ordered
from explorer.report.decision_figure import MOST_CLASSES, decision_figure
from explorer.report.decision_tables import class_table, site_table
from tests.report.test_pages import text_of
from trainables.contract import Site
from trainables.kit.measure.choices import chosen as held
from trainables.kit.measure.choices import steady, told_choices
from trainables.kit.measure.settings import NOT_ASKED

BINARY = (
    Site(name="rgb", kind="bernoulli", axes=("segment",)),
    Site(name="audio", kind="bernoulli", axes=("segment",)),
)
CHOICES = ("skip", "reuse", "keep")


def blocks(count: int) -> tuple[Site, ...]:
    return tuple(
        Site(
            name=f"b{n}",
            kind="categorical",
            axes=("frame", "channel"),
            choices=CHOICES,
            shares=(f"b{n}.kept", f"b{n}.reused"),
            told=(None, f"b{n}.reused", f"b{n}.kept"),
        )
        for n in range(count)
    )


def shares_of(sites, shares, label_B, classes):
    choices = told_choices(sites, shares)
    columns = columns_of(sites, choices, shares)
    return chosen(sites, choices, columns, label_B, classes)


def document(sites, shares, label_B, classes: int, system: str) -> dict:
    """As ``point_shares`` gives it."""
    return {
        "point_id": "joint-e1-abcdef",
        "system": system,
        "classes": [f"class {c}" for c in range(classes)],
        "videos": np.bincount(label_B, minlength=classes).tolist(),
        "mean": {name: float(share.mean()) for name, share in shares.items()},
        "chosen": shares_of(sites, shares, label_B, classes),
    }


def random_blocks(count: int, classes: int, videos: int, frames: int = 8) -> dict:
    rng = np.random.default_rng(0)
    label_B = np.arange(videos) % classes
    parts = rng.dirichlet([2, 1, 3], (count, videos, frames))
    shares = {f"b{n}.{name}": parts[n, ..., k] for n in range(count) for k, name in enumerate(("kept", "reused"))}
    return document(blocks(count), shares, label_B, classes, "adafuse")


def test_sites_that_use_or_skip_are_columns_of_their_own_and_do_not_stack():
    shares = {"rgb": np.array([[1, 0], [1, 1]], bool), "audio": np.zeros((2, 2), bool)}
    found = shares_of(BINARY, shares, np.array([0, 1]), 3)
    assert (found["columns"], found["stacked"], found["unit"]) == (["rgb", "audio"], False, "segment")
    assert found["mean"] == [0.75, 0]
    assert found["by_unit"] == [[1, 0], [0.5, 0]]
    assert found["by_class"] == [[0.5, 0], [1, 0], None]
    assert found["sites"] == {"rgb": {"use": 0.75, "skip": 0.25}, "audio": {"use": 0, "skip": 1}}


def test_choices_of_several_sites_are_their_mean_and_add_up_to_one():
    shares = {
        "b0.kept": np.array([[0.5]]),
        "b0.reused": np.array([[0.25]]),
        "b1.kept": np.array([[0.1]]),
        "b1.reused": np.array([[0.0]]),
    }
    found = shares_of(blocks(2), shares, np.array([0]), 1)
    assert (found["columns"], found["stacked"], found["unit"]) == (["keep", "reuse", "skip"], True, "frame")
    assert found["mean"] == pytest.approx([0.3, 0.125, 0.575])
    assert found["sites"]["b1"] == pytest.approx({"keep": 0.1, "reuse": 0, "skip": 0.9})


def test_a_skip_of_several_frames_counts_for_every_frame_that_it_covers():
    choice_BU = np.array([[1, NOT_ASKED, 0, 1], [0, 0, 1, NOT_ASKED]], np.uint8)
    share_BUA = held(choice_BU, 2, unasked=NOT_ASKED)
    assert share_BUA[..., 1].tolist() == [[1, 1, 0, 1], [0, 0, 1, 1]]
    assert (share_BUA.sum(-1) == 1).all()


def test_steady_is_what_every_unit_of_a_video_got():
    share_BUA = held(np.array([[1, 1, 1], [0, 1, 1]], np.uint8), 2, unasked=NOT_ASKED)
    assert steady(share_BUA).tolist() == [[0, 1], [0, 0]]
    found = chosen(BINARY[:1], {"rgb": share_BUA}, columns_of(BINARY[:1], {"rgb": share_BUA}, {}), np.array([0, 0]), 1, {
        "rgb": steady(share_BUA)
    })  # fmt: skip
    assert found["steady"] == {"rgb": {"use": 0.5, "skip": 0}}


def test_what_computes_comes_before_what_skips():
    assert ordered(CHOICES) == ("keep", "reuse", "skip")
    assert ordered(("r224", "r84", "skip1", "skip4")) == ("r224", "r84", "skip1", "skip4")


def test_tables_have_a_row_a_choice_and_a_column_a_choice():
    one = random_blocks(2, classes=2, videos=6)
    lines = [line.split() for line in text_of(site_table([("a", one), ("b", one)])).splitlines()]
    keep = round(100 * one["chosen"]["sites"]["b1"]["keep"])
    assert ["b1", "keep", f"{keep}", f"{keep}"] in lines
    text = text_of(class_table(one))
    assert re.search(r"keep %\s+reuse %\s+skip %", text)
    assert "class 1" in text


@pytest.mark.parametrize("kind", ["svg", "png"])
def test_systems_side_by_side_are_one_picture_with_the_same_bytes_each_time(kind):
    label_B = np.arange(6) % 2
    shares = {"rgb": np.ones((6, 4), bool), "audio": np.zeros((6, 4), bool)}
    named = [
        ("of blocks", random_blocks(3, classes=2, videos=6)),
        ("modalities $", document(BINARY, shares, label_B, 2, "adamml")),
    ]
    picture = decision_figure(named, kind)
    assert picture == decision_figure(named, kind)
    if kind == "svg":
        text = picture.decode()
        assert all(
            word in text for word in ("of blocks", "modalities $", "keep", "reuse", "audio", "Overall", "by segment")
        )


def test_of_many_classes_those_that_compute_most_and_least_are_drawn():
    one = random_blocks(16, classes=200, videos=400)
    text = decision_figure([("many", one)], "svg").decode()
    drawn = {int(c) for c in re.findall(r"class (\d+)<", text)}
    computed = np.array([line[0] + line[1] for line in one["chosen"]["by_class"]])
    order = np.argsort(computed)
    assert len(drawn) == MOST_CLASSES
    assert {int(order[0]), int(order[-1])} <= drawn
    assert "of 200 the 15 that compute most and least" in text
