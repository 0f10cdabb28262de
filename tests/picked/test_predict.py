"""Predicting with a pick: folders to the bottom, decisions as pictures, and latency in the choice."""

import dataclasses
import json
import re
import shutil
from itertools import pairwise

import av
import pytest

from explorer.api import pick
from explorer.cli.app import run
from explorer.errors import NoPoint, UserError
from explorer.predict import VideoPrediction, video_files
from explorer.report.filmstrip import Strip, filmstrip_html, frames_at, render_video
from trainables.contract import Decision, Prediction


@pytest.fixture
def found(videos) -> VideoPrediction:
    """Alternating use of two modalities over four segments of a second, as a model might say it of the first clip."""
    decisions = [
        Decision(site=site, index=s, start_s=float(s), end_s=s + 1.0, choice="use" if (s + m) % 2 else "skip")
        for s in range(4)
        for m, site in enumerate(("rgb", "audio"))
    ]
    return VideoPrediction(
        path=videos[0],
        label="<disc>",
        probability=0.75,
        gflops=0.5,
        convention="full",
        prediction=Prediction(probability_C=[0.75, 0.25], decisions=decisions, gmacs={"paper": 0.4, "full": 0.5}),
    )


def test_a_folder_stands_for_the_videos_at_any_depth_below_it(videos, tmp_path):
    for target in ("b.mp4", "deep/er/a.mp4", "deep/notes.txt"):
        (tmp_path / target).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(videos[0], tmp_path / target)
    assert [str(p.relative_to(tmp_path)) for p in video_files([tmp_path])] == ["b.mp4", "deep/er/a.mp4"]


def test_other_thresholds_decide_and_unknown_ones_are_refused(model, videos):
    lowest = model.with_knobs(dict.fromkeys(model.knobs, 0.0)).label(videos[0])
    highest = model.with_knobs(dict.fromkeys(model.knobs, 1.0)).label(videos[0])
    assert {d.choice for d in lowest.prediction.decisions} == {"use"}
    assert {d.choice for d in highest.prediction.decisions} == {"skip"}
    assert highest.gflops < lowest.gflops
    with pytest.raises(UserError, match=r"knobs must be threshold\.rgb"):
        model.with_knobs({"threshold.smell": 0.5})


# --- pictures ---------------------------------------------------------------------------------------------------------


def test_a_strip_is_the_decisions_by_site_and_segment(found):
    strip = Strip.of(found)
    assert strip.used == {"rgb": [False, True, False, True], "audio": [True, False, True, False]}
    assert strip.bounds_s == [(0.0, 1.0), (1.0, 2.0), (2.0, 3.0), (3.0, 4.0)]


def test_a_strip_of_units_with_parts_holds_their_shares(found):
    decisions = [dataclasses.replace(d, choice="use", share=0.25) for d in found.prediction.decisions]
    parts = dataclasses.replace(found, prediction=dataclasses.replace(found.prediction, decisions=decisions))
    assert Strip.of(parts).used["rgb"] == [0.25] * 4
    page = filmstrip_html([parts], {"full": 1.0})
    assert page.count("<td class='cell used'>25%</td>") == 8
    assert page.count("1 of 4") == 2


def test_frames_at_ascending_times_are_those_shown_then(videos):
    with av.open(str(videos[0])) as source:
        decoded = [(frame.time, frame.to_image()) for frame in source.decode(video=0)]
    times = [(a + b) / 2 for (a, _), (b, _) in pairwise(decoded[::5])]
    shown = [max((t, n) for n, (t, _) in enumerate(decoded) if t <= time)[1] for time in times]
    found = frames_at(videos[0], [*times, 1e6])
    assert [image.tobytes() for image in found] == [decoded[n][1].tobytes() for n in [*shown, len(decoded) - 1]]


def test_the_page_marks_every_segment_and_is_self_contained(found):
    page = filmstrip_html([found], {"full": 1.0})
    assert page.count("data:image/jpeg;base64,") == 4
    assert len(re.findall(r"<td class='cell used'>", page)) == 4 and len(re.findall(r"<td class='cell'>", page)) == 4
    assert "&lt;disc&gt; (75%)" in page and "50% of everything on" in page
    assert not re.search(r"(src|href)='?https?:", page)


def test_the_rendered_video_keeps_length_and_sound_and_shows_the_marks_below(found, tmp_path):
    target = tmp_path / "out" / "rendered.mp4"
    render_video(found, target, {"full": 1.0})
    with av.open(str(found.path)) as source, av.open(str(target)) as rendered:
        before, after = source.streams.video[0], rendered.streams.video[0]
        assert len(rendered.streams.audio) == len(source.streams.audio)
        assert after.height > after.width * before.height / before.width  # room for the marks
        count = sum(1 for _ in source.decode(before))
        frames = [frame.to_image() for frame in rendered.decode(after)]
    assert len(frames) == count
    green = sum(1 for r, g, b in frames[0].getdata() if g > r + 50 and g > b + 30)
    assert green > 1000
    assert not [p for p in target.parent.iterdir() if p != target]


def test_predict_writes_a_page_and_a_video_beside_its_text(picked, videos, tmp_path, capfd):
    page, video = tmp_path / "page.html", tmp_path / "one.mp4"
    assert run(["predict", str(picked.folder), str(videos[0]), "--html", str(page), "--render", str(video)]) == 0
    printed = capfd.readouterr().out
    assert f"Written: {page}" in printed and f"Written: {video}" in printed
    assert page.stat().st_size > 1000 and video.stat().st_size > 1000


def test_one_rendered_file_for_several_videos_is_refused_before_anything_runs(picked, videos, tmp_path, capfd):
    assert run(["predict", str(picked.folder), *map(str, videos), "--render", str(tmp_path / "one.mp4")]) == 2
    assert "must be a folder for 2 videos" in capfd.readouterr().err


def test_rendering_over_the_video_that_is_read_is_refused(picked, videos, tmp_path, capfd):
    copy = tmp_path / "clip.mp4"
    shutil.copyfile(videos[0], copy)
    assert run(["predict", str(picked.folder), str(copy), "--render", str(copy)]) == 2
    assert copy.read_bytes() == videos[0].read_bytes()


# --- latency ----------------------------------------------------------------------------------------------------------


def test_latency_is_measured_limits_the_choice_and_stands_in_the_card(video_front):
    chosen = pick(video_front, max_latency_ms=1e5, minimise="latency", name="quick")
    assert 0 < chosen.latency_ms < 1e5
    facts = json.loads((chosen.folder / "pick.json").read_text())
    assert facts["measured"]["latency"]["networks_ms"] == chosen.latency_ms == chosen.to_json()["latency_ms"]
    assert "ms a video at these rates" in (chosen.folder / "README.md").read_text()
    with pytest.raises(NoPoint, match="raise --max-latency-ms"):
        pick(video_front, max_latency_ms=1e-6)
