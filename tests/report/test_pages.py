"""What is shown of a front: tables, one HTML page, a picture, CSV."""

import csv
import dataclasses
import io
import json
import re
import xml.etree.ElementTree as ElementTree

import pytest
from rich.console import Console

from explorer.browse import Front
from explorer.report.files import front_csv, write_front_files
from explorer.report.front_figure import drawn_members, front_figure, ticks_of_decades
from explorer.report.front_page import comparison_notes, front_html, page_data, repeat_groups
from explorer.report.page.attainment import attainment_of_repeats
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
    [data] = json.loads(parts_of(front_html(planted))["data"])["sweeps"]
    assert len(data["rows"]) == len(planted.candidates) + len(planted.baselines)
    on_front = [row for row in data["rows"] if row["front"]["full"]]
    assert {row["id"] for row in on_front} == {p.point_id for p in planted.points}
    assert all({"rates", "knobs", "accuracy", "error", "cost"} <= row.keys() for row in data["rows"])
    assert data["parameters"]["0"] == {"lambda.rgb": 0.05, "temperature.initial": 5.0}
    assert data["conventions"].keys() == {"paper", "full"}
    assert data["conventions"]["full"]["hypervolume"] == pytest.approx(planted.hypervolume, rel=1e-3)


def test_page_cannot_be_broken_out_of_by_names(hostile):
    page = front_html(hostile)
    parts = parts_of(page)  # three scripts still: none was ended early
    assert "<img" not in page.replace(parts["library"], "")
    data = json.loads(parts["data"])
    [sweep] = data["sweeps"]
    assert sweep["name"] == HOSTILE
    assert HOSTILE in sweep["parameters"]["0"]


def test_page_script_writes_names_as_text_only(planted):
    script = parts_of(front_html(planted))["script"]
    assert "innerHTML" not in script and "insertAdjacentHTML" not in script and "document.write" not in script


def test_page_of_an_empty_front_is_drawn(tmp_path):
    front = Front.of(dataclasses.replace(planted_sweep(tmp_path), stages={}))
    assert page_data([front])["sweeps"][0]["rows"] == []
    assert front_html(front).startswith("<!doctype html>")


def test_page_shows_a_bounded_number_of_dominated_points(planted, monkeypatch):
    monkeypatch.setattr("explorer.report.page.sweep.DOMINATED_LIMIT", 10)
    rows = page_data([planted])["sweeps"][0]["rows"]
    faint = [row for row in rows if row["name"] is None and not any(row["front"].values())]
    assert len(faint) == 10
    assert {p.point_id for p in planted.points} <= {row["id"] for row in rows}


def test_page_of_several_sweeps_holds_each_and_knows_repeats(planted, tmp_path):
    again = Front.of(planted_sweep(tmp_path, name="again", trials=2, seed=7))
    data = page_data([planted, again])
    assert [sweep["name"] for sweep in data["sweeps"]] == ["planted", "again"]
    assert [sweep["repeat"] for sweep in data["sweeps"]] == [0, 0]
    assert page_data([planted])["sweeps"][0]["repeat"] is None


def test_attainment_of_a_sweep_is_over_draws_and_of_repeats_over_sweeps(planted, tmp_path):
    again = Front.of(planted_sweep(tmp_path, name="again", trials=2, seed=7))
    (of_both,) = attainment_of_repeats([planted, again], [0, 0])
    assert (of_both["sweeps"], of_both["over"], of_both["sets"]) == (["planted", "again"], "repeats", 2)
    assert max(of_both["surfaces"][0]["accuracy"]) == max(f.points[-1].val.accuracy for f in (planted, again))
    assert max(of_both["surfaces"][-1]["accuracy"]) == min(f.points[-1].val.accuracy for f in (planted, again))
    assert attainment_of_repeats([planted, again], [None, None]) == []
    own = planted.to_json()["attainment"]
    assert (own["over"], [s["share"] for s in own["surfaces"]]) == ("videos", [0.05, 0.5, 0.95])
    assert page_data([planted])["sweeps"][0]["attainment"].keys() == {"paper", "full"}


def test_sweeps_that_differ_in_more_than_the_seed_are_no_repeats():
    spaces = [
        {"name": "a", "seed": 0, "gamma": 1},
        {"name": "b", "seed": 1, "gamma": 1},
        {"name": "c", "seed": 1, "gamma": 2},
    ]
    assert repeat_groups(spaces) == [0, 0, None]


def test_sweeps_on_different_videos_are_said_not_to_compare(tmp_path):
    fronts = []
    for name in ("a", "b"):
        record = planted_sweep(tmp_path / name, trials=1)
        stages = {k: dataclasses.replace(s, data_fingerprint=name) for k, s in record.stages.items()}
        fronts.append(Front.of(dataclasses.replace(record, stages=stages)))
    assert "different videos" in comparison_notes(fronts)[0]
    assert comparison_notes(fronts[:1]) == []


# --- picture ----------------------------------------------------------------------------------------------------------


def test_picture_is_well_formed_and_names_baselines_convention_and_videos(planted):
    root = ElementTree.fromstring(front_figure([planted], "svg"))
    texts = [t.text for t in root.iter("{http://www.w3.org/2000/svg}text")]
    assert {"unimodal.rgb", "unimodal.audio", "weighted_fusion"} <= set(texts)
    assert any("120 validation videos, full cost convention" in str(t) for t in texts)


def test_picture_leaves_out_members_below_every_baseline(planted):
    worst = min(p.val.accuracy for p in planted.baselines)
    assert 0 < len(drawn_members(planted)) == len([p for p in planted.points if p.val.accuracy >= worst])


def test_picture_is_the_same_bytes_twice_and_also_a_png(planted):
    assert front_figure([planted], "svg") == front_figure([planted], "svg")
    assert front_figure([planted, planted], "png").startswith(b"\x89PNG")


def test_picture_escapes_names_and_survives_an_empty_front(hostile, tmp_path):
    ElementTree.fromstring(front_figure([hostile], "svg"))
    ElementTree.fromstring(front_figure([Front.of(dataclasses.replace(planted_sweep(tmp_path), stages={}))], "svg"))


def test_ticks_are_1_2_5_of_each_decade_and_more_where_these_are_few():
    assert ticks_of_decades(0.05, 3) == [0.05, 0.1, 0.2, 0.5, 1.0, 2.0]
    assert ticks_of_decades(0.009, 0.025) == [0.01, 0.015, 0.02]


# --- tables -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [80, 120, 200])
def test_table_always_says_split_videos_and_convention(planted, width):
    text = text_of(front_table(planted, width=width), width)
    flat = " ".join(text.split())
    assert "120 validation videos" in flat and "full convention" in flat
    assert "chosen on val, valued on test" in flat
    assert all(point.point_id in text for point in planted.points)
    assert "weighted_fusion" in text


@pytest.mark.parametrize("width", [60, 70, 80, 120])
def test_table_breaks_no_cell_and_names_the_columns_that_a_narrow_terminal_has_no_room_for(planted, width):
    text = text_of(front_table(planted, width=width), 400)
    assert max(map(len, text.partition("validation videos")[0].splitlines()[:-1])) <= width
    assert "…" not in text and all(point.point_id in text for point in planted.points)
    assert ("not shown for want of width: rgb %" in text) == (width == 60)


def test_table_of_a_system_that_decides_at_many_places_shows_means_by_kind(planted):
    rates = {f"layer{n}.{kind}": share for n in range(4) for kind, share in (("kept", n / 4), ("reused", 0.1))}
    change = dataclasses.replace
    points = tuple(change(p, point=change(p.point, val=change(p.val, rates=rates))) for p in planted.candidates)
    many = change(planted, candidates=points, baselines=())
    text = " ".join(text_of(front_table(many, width=120), 120).split())
    assert "mean mean of kept reused point" in text and "layer1" not in text  # headers are broken between words
    row = text.partition(many.points[0].point_id)[2]
    assert " 38 10 " in row  # mean of 0, .25, .5, .75


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
