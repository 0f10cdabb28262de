"""The front page in a real browser: from disk, and inside a running MLflow server."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from explorer.api import pick
from explorer.browse import Front
from explorer.report.front_page import front_html
from explorer.tracking import MlflowTracker
from tests.report.browsing import POINTS, launched, opened, why_not
from tests.report.planted import planted_sweep, write_planted_times
from tests.report.real_sweep import train_real_sweep
from trainables.adamml.system import AdaMMLSystem
from trainables.pictures import VideoPictures

REASON = why_not()
pytestmark = pytest.mark.skipif(REASON is not None, reason=REASON or "")
PHONE = {"width": 390, "height": 844}
HOSTILE = "</script><img src=x onerror=alert(1)><b>bold</b>"


@pytest.fixture(scope="module")
def browser() -> Iterator:
    with launched() as one:
        yield one


@pytest.fixture(scope="module")
def front(tmp_path_factory) -> Front:
    """A planted front with times."""
    folder = tmp_path_factory.mktemp("browsed")
    write_planted_times(folder)
    return Front.of(planted_sweep(folder))


@pytest.fixture(scope="module")
def page_file(front, tmp_path_factory) -> Path:
    """Its page, with (grey) pictures in the gallery."""
    import numpy as np
    import simplejpeg

    grey = simplejpeg.encode_jpeg(np.full((72, 96, 3), 120, np.uint8))
    shown = VideoPictures(jpeg={"rgb": (grey,) * 5}, bounds_s=tuple((i * 0.8, i * 0.8 + 0.8) for i in range(5)))
    file = tmp_path_factory.mktemp("page") / "front.html"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(AdaMMLSystem, "pictures", lambda self, config, cache, ids: dict.fromkeys(ids, shown))
        file.write_text(front_html(front))
    return file


@pytest.fixture
def tab(browser, page_file) -> Iterator:
    with opened(browser, page_file.as_uri()) as one:
        yield one
        assert one.complaints == []
        assert one.requests == [page_file.as_uri()] + [url for url in one.requests[1:] if url.startswith("data:")]


def test_page_from_disk_shows_every_point_and_all_below(tab, front):
    assert tab.page.locator(POINTS).count() >= len(front.candidates) + len(front.baselines)
    assert tab.page.locator("#table tbody tr").count() == len(front.points) + len(front.baselines)
    assert "6 points" not in tab.text("#facts") and "7 trials" in tab.text("#facts")
    for plot in ("segment", "class", "volume", "parallel"):
        assert tab.page.locator(f"#{plot}-plot .main-svg").count() > 0, plot
    assert tab.page.locator("#gallery-plot .clip").count() == 12
    assert tab.page.locator("#gallery-plot .cell.used").count() > 0
    assert "Fewer than 8 trials" in tab.text("#importance-missing")


def test_hover_tells_accuracy_cost_rates_and_parameters(tab, front):
    tab.page.mouse.move(*tab.place("front", -1))
    tab.page.wait_for_selector("#plot .hoverlayer .hovertext")
    told = tab.page.text_content("#plot .hoverlayer")
    best = front.points[-1]
    assert f"accuracy {best.val.accuracy:.3f}" in told and "GFLOPs" in told
    assert f"rgb {round(100 * best.val.rates['rgb'])} %" in told and "lambda.rgb" in told


def test_click_shows_the_point_and_the_command_that_picks_it(tab, front):
    tab.emit_click("front", 0)
    cheapest = front.points[0]
    assert cheapest.point_id in tab.text("#choice") and "A point of the front" in tab.text("#choice")
    assert tab.text("#command").endswith(f"--point {cheapest.point_id}")
    tab.emit_click("baselines", -1)
    assert "Baseline" in tab.text("#choice") and "weighted_fusion" in tab.text("#choice")


def test_slider_moves_the_choice_and_what_lies_below(tab, front):
    tab.slide(1000)
    dear = tab.text("#choice")
    assert front.points[-1].point_id in dear
    strips = tab.page.locator("#gallery-plot .cell.used").count()
    tab.slide(600)
    assert tab.text("#choice") != dear
    assert tab.page.locator("#table tr.chosen").count() == 1
    assert tab.page.locator("#gallery-plot .cell.used").count() != strips or "not kept" in tab.text("#gallery-missing")


def test_choices_of_blocks_are_stacked_by_site_frame_and_class_and_shown_below_each_frame(
    browser, front, tmp_path, monkeypatch
):
    names, shares = ["keep", "reuse", "skip"], [0.5, 0.2, 0.3]
    chosen = {
        "unit": "frame", "columns": names, "skips": [False, False, True], "stacked": True, "mean": shares,
        "by_unit": [shares] * 2, "by_class": [*[shares] * 5, None],
        "sites": {f"layer{n}.1": dict(zip(names, shares, strict=True)) for n in (1, 2)},
    }  # fmt: skip
    ids = [point.point_id for point in (*front.candidates, *front.baselines)]
    videos = [{"id": "v0", "label": 0, "bounds_s": [], "pictures": {}}]
    one = [{"mix": [[50, 20, 30], [0, 0, 100]], "predicted": 0}]
    gallery = {"videos": videos, "decisions": dict.fromkeys(ids, one)}
    found = {
        "classes": [f"class {c}" for c in range(6)],
        "chosen": dict.fromkeys(ids, chosen),
        "gallery": gallery,
    }
    monkeypatch.setattr("explorer.report.page.sweep.decisions", lambda front, points: found)
    file = tmp_path / "stacked.html"
    file.write_text(front_html(front))
    with opened(browser, file.as_uri()) as tab:
        assert tab.complaints == []
        assert {"layer1.1", "layer2.1"} <= set(tab.page.locator("#site-plot .xtick").all_text_contents())
        assert tab.text("#unit-title") == "By frame"
        for plot in ("site", "segment", "class"):
            assert tab.page.locator(f"#{plot}-plot .trace.bars").count() == len(names), plot
        assert [cell.get_attribute("class") for cell in tab.page.locator("#gallery-plot .cell").all()] == [
            "cell used",
            "cell skipped",
        ]
        assert tab.page.locator("#gallery-plot .mix span").count() == 3 + 1
        assert tab.page.locator("#gallery-plot .mark").all_text_contents() == ["skip"]


def test_convention_and_axis_switch(tab, front):
    tab.select("#convention", "paper")
    assert "GFLOPs a video (paper convention)" in tab.page.text_content("#plot")
    tab.select("#kind", "share")
    assert "% of everything on" in tab.page.text_content("#plot")
    tab.do(lambda: tab.page.check("#paper"))
    assert "another data set" in tab.text("#paper-note")
    drawn = tab.page.text_content("#plot")
    assert "paper, on Kinetics-Sounds" in drawn and "Weighted Fusion" in drawn
    tab.select("#kind", "total_s")
    assert "seconds with decoding, a video" in tab.page.text_content("#plot")
    assert "decode pictures 200 ms" in tab.text("#time") and "a planted processor" in tab.text("#time")
    assert tab.page.is_disabled("#convention") and "prints no times" in tab.text("#paper-note")
    assert "paper, on Kinetics-Sounds" not in tab.page.text_content("#plot")
    tab.slide(1000)
    in_seconds = {p.point_id: p.total_s(front.times.times) for p in front.candidates}
    chosen = re.search(r"joint-e\d+-[0-9a-f]{6}", tab.text("#choice"))[0]
    assert f"{in_seconds[chosen]:.3g}" in tab.text("#choice")


def test_attainment_is_a_band_around_the_front_and_says_what_it_is(tab, front):
    names = "document.getElementById('plot')._fullData.map((one) => one.name)"
    assert "in half of them" not in tab.page.evaluate(names)
    tab.do(lambda: tab.page.check("#attainment"))
    assert {"attained in 5 % to 95 % of draws", "in half of them"} <= set(tab.page.evaluate(names))
    assert "200 random draws" in tab.text("#attainment-note")
    edges = tab.page.evaluate("document.getElementById('plot').data.slice(0, 2).map((one) => one.y[one.y.length - 1])")
    assert edges[0] < max(p.val.accuracy for p in front.points) < edges[1], "the dearest point lies between the edges"
    tab.select("#kind", "total_s")
    assert tab.page.is_disabled("#attainment"), "costs are kept in GFLOPs"
    assert "in half of them" not in tab.page.evaluate(names)
    assert tab.complaints == []


def test_table_sorts_both_ways(tab):
    def column() -> list[float]:
        return [float(text) for text in tab.page.locator("#table tbody tr td:nth-child(2)").all_inner_texts()]

    tab.page.click("#table th:nth-child(2) button")
    assert column() == sorted(column())
    tab.page.click("#table th:nth-child(2) button")
    assert column() == sorted(column(), reverse=True)


def test_phone_shows_all_without_scrolling_sideways(browser, page_file):
    with opened(browser, page_file.as_uri(), **PHONE) as tab:
        assert tab.page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
        assert tab.page.locator(POINTS).count() > 0 and tab.complaints == []


def test_names_are_shown_as_text_and_never_run(browser, tmp_path):
    record = planted_sweep(tmp_path, name=HOSTILE, trials=2, parameter=HOSTILE)
    stages = {key: replace(stage, classes=(HOSTILE, *stage.classes[1:])) for key, stage in record.stages.items()}
    file = tmp_path / "hostile.html"
    file.write_text(front_html(Front.of(replace(record, stages=stages))))
    with opened(browser, file.as_uri()) as tab:
        assert HOSTILE in tab.text("#title")
        tab.slide(1000)  # to a point of a last epoch, whose decisions are kept
        assert HOSTILE[:16] in tab.page.text_content("#class-plot")
        tab.page.mouse.move(*tab.place("front", -1))
        tab.page.wait_for_selector("#plot .hoverlayer .hovertext")
        assert tab.page.locator("body img[src=x], body b:text-is('bold')").count() == 0
        assert tab.complaints == [] and len(tab.requests) == 1


def test_sweeps_lie_over_each_other_and_repeats_have_a_range(browser, front, tmp_path):
    again = Front.of(planted_sweep(tmp_path / "again", name="again", trials=3, seed=1))
    file = tmp_path / "two.html"
    file.write_text(front_html([front, again]))
    with opened(browser, file.as_uri()) as tab:
        names = tab.page.evaluate("document.getElementById('plot')._fullData.map((one) => one.name)")
        assert {"front planted", "front again", "range of 2 repeats"} <= set(names)
        rows = tab.page.locator("#table tbody tr").count()
        assert rows == sum(len(f.points) + len(f.baselines) for f in (front, again))
        assert tab.complaints == []


def test_the_command_of_a_click_picks_that_very_point(browser, real_space, tmp_path):
    front = Front.load(real_space.folder)
    file = tmp_path / "real.html"
    file.write_text(front_html(front))
    with opened(browser, file.as_uri()) as tab:
        tab.emit_click("front", 0)
        words = shlex.split(tab.text("#command"))
    assert words[:2] == ["explorer", "pick"] and Path(words[2]) == real_space.folder.resolve() and words[3] == "--point"
    assert pick(front, point_id=words[4], name="clicked").point.point_id == front.points[0].point_id


# --- inside MLflow ----------------------------------------------------------------------------------------------------


@pytest.mark.server
def test_page_works_inside_a_running_mlflow_server(browser, tmp_path, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    port = 26_000 + os.getpid() % 5_000
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += [
        "--backend-store-uri",
        f"sqlite:///{tmp_path}/mlflow.db",
        "--artifacts-destination",
        str(tmp_path / "a"),
    ]
    with open(tmp_path / "server.log", "w") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
    try:
        _wait_until_it_answers(port)
        url = _tracked_sweep(tmp_path, f"http://127.0.0.1:{port}")
        page = browser.new_page(viewport={"width": 1400, "height": 1000})
        page.set_default_timeout(180_000)
        asked: list[tuple[str, str]] = []
        complaints: list[str] = []
        page.on("request", lambda request: asked.append((request.frame.url, request.url)))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(url)
        frame = page.wait_for_selector("iframe").content_frame()
        frame.wait_for_selector("body[data-drawn]")
        assert frame.locator(POINTS).count() > 0
        before = frame.inner_text("#choice")
        frame.fill("#budget", "0")
        frame.wait_for_function("(before) => document.getElementById('choice').innerText !== before", arg=before)
        frame.locator("#table tbody tr").last.click()
        frame.wait_for_function("document.querySelectorAll('#table tr.chosen').length === 1")
        assert "--point" in frame.inner_text("#command")
        ours = [to for of, to in asked if of == frame.url and not to.startswith(("data:", "blob:"))]
        assert [to for to in ours if not to.startswith(f"http://127.0.0.1:{port}/")] == []
        assert complaints == []
        page.close()
    finally:
        os.killpg(server.pid, signal.SIGKILL)  # its workers outlive a SIGTERM by a minute where the machine is busy
        server.wait(timeout=60)


def _tracked_sweep(folder: Path, uri: str) -> str:
    """Train the toy with the server as its tracker; the address of the front in the parent run."""
    from mlflow import MlflowClient

    from tests.report.real_sweep import toy_space

    fields = {"budget": {"trials": 2}, "tracking": uri}
    tracker = MlflowTracker(toy_space(folder / "runs", **fields))
    train_real_sweep(folder / "runs", listen=tracker.on_event, **fields)
    assert tracker.close(timeout_s=180)
    client = MlflowClient(tracking_uri=uri)
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    [parent] = client.search_runs(experiments, filter_string="tags.`explorer.role` = 'sweep'")
    return f"{uri}/#/experiments/{parent.info.experiment_id}/runs/{parent.info.run_id}/artifacts/front.html"


def _wait_until_it_answers(port: int) -> None:
    deadline = time.monotonic() + 180
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5):
                return
        except OSError:
            assert time.monotonic() < deadline, "the server did not come up"
            time.sleep(0.5)
