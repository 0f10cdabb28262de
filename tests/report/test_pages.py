"""What is shown of a front: tables, one HTML page, one picture, CSV."""

import csv
import io
import json
import re
import xml.etree.ElementTree as ElementTree

import pytest
from rich.console import Console

from explorer.browse import Front
from explorer.report.files import front_csv, write_front_files
from explorer.report.front_page import front_html, page_data
from explorer.report.front_svg import front_svg, ticks_1_2_5
from explorer.report.tables import front_table, point_table
from tests.report.planted import planted_sweep

HOSTILE = "</script><img src=x onerror=alert(1)>[bold]&amp;"


@pytest.fixture(scope="module")
def hostile(tmp_path_factory) -> Front:
    """A sweep whose names try to be markup."""
    return Front.of(planted_sweep(tmp_path_factory.mktemp("hostile"), name=HOSTILE, trials=2, parameter=HOSTILE))


def text_of(renderable, width: int = 100) -> str:
    console = Console(width=width, file=io.StringIO(), color_system=None)
    console.print(renderable)
    return console.file.getvalue()


# --- HTML -------------------------------------------------------------------------------------------------------------


def parts_of(page: str) -> dict[str, str]:
    """The page's own markup, its data, and the library."""
    scripts = re.findall(r"<script[^>]*>(.*?)</script>", page, flags=re.DOTALL)
    assert len(scripts) == 3
    own = page
    for script in scripts:
        own = own.replace(script, "")
    return {"own": own, "data": scripts[0], "library": scripts[1], "script": scripts[2]}


def test_page_is_one_file_that_loads_nothing(planted):
    parts = parts_of(front_html(planted))
    assert "Content-Security-Policy" in parts["own"] and "default-src 'none'" in parts["own"]
    for part in ("own", "data", "script"):
        assert not re.search(r"https?://|src=|@import|url\(", parts[part]), part
    assert "Plotly" in parts["library"]
    assert not re.search(r"@@\w+@@", parts["own"] + parts["script"])


def test_page_data_holds_every_point_with_its_parameters(planted):
    data = json.loads(parts_of(front_html(planted))["data"])
    assert len(data["rows"]) == len(planted.candidates) + len(planted.baselines)
    on_front = [row for row in data["rows"] if row["front"]["full"]]
    assert {row["id"] for row in on_front} == {p.point_id for p in planted.points}
    assert all({"rates", "knobs", "accuracy", "error", "gflops"} <= row.keys() for row in data["rows"])
    assert data["parameters"]["0"] == {"lambda.rgb": 0.05, "temperature.initial": 5.0}
    assert data["conventions"].keys() == {"paper", "full"}
    assert data["conventions"]["full"]["hypervolume"] == pytest.approx(planted.hypervolume)


def test_page_cannot_be_broken_out_of_by_names(hostile):
    page = front_html(hostile)
    parts = parts_of(page)  # three scripts still: none was ended early
    assert "<img" not in page.replace(parts["library"], "")
    data = json.loads(parts["data"])
    assert data["sweep"] == HOSTILE
    assert HOSTILE in data["parameters"]["0"]


def test_page_script_writes_names_as_text_only(planted):
    script = parts_of(front_html(planted))["script"]
    assert "innerHTML" not in script and "insertAdjacentHTML" not in script and "document.write" not in script


def test_page_of_an_empty_front_is_drawn(tmp_path):
    import dataclasses

    front = Front.of(dataclasses.replace(planted_sweep(tmp_path), stages={}))
    assert page_data(front)["rows"] == []
    assert front_html(front).startswith("<!doctype html>")


def test_page_shows_a_bounded_number_of_dominated_points(planted, monkeypatch):
    monkeypatch.setattr("explorer.report.front_page.DOMINATED_LIMIT", 10)
    rows = page_data(planted)["rows"]
    faint = [row for row in rows if row["name"] is None and not any(row["front"].values())]
    assert len(faint) == 10
    assert {p.point_id for p in planted.points} <= {row["id"] for row in rows}


# --- picture ----------------------------------------------------------------------------------------------------------


def test_picture_is_well_formed_and_draws_each_baseline_and_each_member_that_beats_the_worst_one(planted):
    root = ElementTree.fromstring(front_svg(planted))
    space = "{http://www.w3.org/2000/svg}"
    big = [c for c in root.iter(f"{space}circle") if c.get("r") == "4.6"]
    worst = min(p.val.accuracy for p in planted.baselines)
    better = [p for p in planted.points if p.val.accuracy >= worst]
    assert 0 < len(big) == len(better) < len(planted.points)
    texts = [t.text for t in root.iter(f"{space}text")]
    assert {"unimodal.rgb", "unimodal.audio", "weighted_fusion"} <= set(texts)
    assert any("120 validation videos, full cost convention" in str(t) for t in texts)


def test_picture_escapes_names_and_survives_an_empty_front(hostile, tmp_path):
    import dataclasses

    ElementTree.fromstring(front_svg(hostile))
    ElementTree.fromstring(front_svg(Front.of(dataclasses.replace(planted_sweep(tmp_path), stages={}))))


def test_ticks_are_1_2_5_of_each_decade():
    assert ticks_1_2_5(0.05, 3) == [0.05, 0.1, 0.2, 0.5, 1.0, 2.0]


# --- tables -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [80, 120, 200])
def test_table_always_says_split_videos_and_convention(planted, width):
    text = text_of(front_table(planted, width=width), width)
    flat = " ".join(text.split())
    assert "120 validation videos" in flat and "full convention" in flat
    assert "chosen on val, valued on test" in flat
    assert all(point.point_id in text for point in planted.points)
    assert "weighted_fusion" in text


def test_table_prints_names_as_they_are(hostile):
    assert "[bold]" in text_of(front_table(hostile, width=200), 400)


def test_wide_table_shows_knobs_and_parameters(planted):
    text = text_of(front_table(planted, width=200), 200)
    assert "threshold.audio" in text and "lambda.rgb" in text


def test_point_table_sets_validation_beside_test(planted):
    text = text_of(point_table(planted.points[-1], planted))
    assert "validation (120 videos)" in text and "test (120 videos)" in text


# --- files ------------------------------------------------------------------------------------------------------------


def test_csv_has_one_line_a_point_with_its_own_columns(planted):
    rows = list(csv.DictReader(io.StringIO(front_csv(planted))))
    assert len(rows) == len(planted.points) + len(planted.baselines)
    assert float(rows[0]["rate.rgb"]) == planted.points[0].val.rates["rgb"]
    assert rows[0]["param.lambda.rgb"] and rows[0]["knob.threshold.rgb"]
    assert rows[-1]["name"] in {"unimodal.rgb", "unimodal.audio", "weighted_fusion"}


def test_files_are_written_together_and_nothing_is_left_aside(planted, tmp_path):
    paths = write_front_files(planted, tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["front.csv", "front.html", "front.json"]
    assert json.loads(paths[0].read_text()) == planted.to_json()
