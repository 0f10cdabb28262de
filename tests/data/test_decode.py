from __future__ import annotations

import itertools
import math
import re
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from tests.data import damage
from trainables.errors import DecodeError
from trainables.kit.data.decode import Part, decode_picture, decode_sound
from trainables.kit.data.synthetic import SAMPLE_RATE, write_clip

Make = Callable[..., Path]
STEP = 4  # brightness from frame to frame in make_clip


def brightness(frames: np.ndarray) -> list[int]:
    """Number of each grey frame of make_clip, read off its brightness."""
    return [round(float(frame.mean()) / STEP) for frame in frames]


def remux(source: Path, target: Path, **options: str) -> Path:
    """The same streams in another container."""
    with av.open(str(target), "w", options=options) as out, av.open(str(source)) as container:
        streams = {stream.index: out.add_stream_from_template(stream) for stream in container.streams}
        for packet in container.demux():
            if packet.dts is not None:
                packet.stream = streams[packet.stream.index]
                out.mux(packet)
    return target


def test_native_rate_gives_every_frame_at_its_own_time(make_clip: Make, tmp_path: Path) -> None:
    picture = decode_picture(make_clip(tmp_path / "a.mp4"), frame_rate="native", frame_size=64)
    assert picture.frames_FHW3.shape == (20, 64, 64, 3)
    assert picture.frames_FHW3.dtype == np.uint8
    np.testing.assert_allclose(picture.edges_s, np.arange(21) / 10, atol=1e-6)
    assert brightness(picture.frames_FHW3) == list(range(20))


def test_frames_stored_out_of_order_come_in_order_of_presentation(make_clip: Make, tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mp4", encoder_options={"preset": "medium", "bf": "3"})
    with av.open(str(clip)) as container:
        decoding = [packet.pts for packet in container.demux(video=0) if packet.pts is not None]
    assert decoding != sorted(decoding)  # there are B-frames
    assert brightness(decode_picture(clip, frame_rate="native", frame_size=64).frames_FHW3) == list(range(20))


@pytest.mark.parametrize(
    ("rate", "expected"), [(5.0, range(0, 20, 2)), (20.0, [i // 2 for i in range(40)]), (10.0, range(20))]
)
def test_given_rate_takes_the_frame_on_show(make_clip: Make, tmp_path: Path, rate: float, expected: range) -> None:
    picture = decode_picture(make_clip(tmp_path / "a.mp4"), frame_rate=rate, frame_size=64)
    assert brightness(picture.frames_FHW3) == list(expected)
    np.testing.assert_allclose(picture.edges_s, np.arange(len(expected) + 1) / rate, atol=1e-6)


def test_rounded_time_stamps_do_not_repeat_frames(make_clip: Make, tmp_path: Path) -> None:
    """Matroska counts milliseconds: 1/30 s becomes 33, 67, 100 ms."""
    clip = remux(make_clip(tmp_path / "a.mp4", frame_rate=30, frames=30, sound=False), tmp_path / "a.mkv")
    assert brightness(decode_picture(clip, frame_rate=30.0, frame_size=64).frames_FHW3) == list(range(30))


def test_variable_frame_rate_follows_presentation_times(tmp_path: Path) -> None:
    path, times_ms = tmp_path / "vfr.mp4", [0, 100, 400, 1000, 1100]
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=1000, options={"bf": "0"})
        stream.width = stream.height = 64
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        for number, time_ms in enumerate(times_ms):
            frame = av.VideoFrame.from_ndarray(np.full((64, 64, 3), 40 * number, dtype=np.uint8), format="rgb24")
            frame.pts, frame.time_base = time_ms, Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    picture = decode_picture(path, frame_rate=10.0, frame_size=64)
    shown = [round(float(frame.mean()) / 40) for frame in picture.frames_FHW3]
    assert shown[:11] == [0, 1, 1, 1, 2, 2, 2, 2, 2, 2, 3]
    native = decode_picture(path, frame_rate="native", frame_size=64)
    np.testing.assert_allclose(native.edges_s[:5], np.array(times_ms) / 1000, atol=1e-6)


def test_shorter_side_is_scaled_and_the_aspect_kept(make_clip: Make, tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "wide.mp4", size=(64, 96), sound=False)
    assert decode_picture(clip, frame_rate="native", frame_size=32).frames_FHW3.shape == (20, 32, 48, 3)


def test_a_picture_stored_on_its_side_is_turned_upright(tmp_path: Path) -> None:
    """The file's display matrix is replaced by a quarter turn, as phones write it."""
    path, frames = tmp_path / "phone.mp4", np.zeros((4, 64, 96, 3), dtype=np.uint8)
    frames[:, :, :48] = 255  # left half white
    write_clip(path, frames, None)
    content = path.read_bytes()
    upright, turned = (b"".join(v.to_bytes(4, "big", signed=True) for v in matrix) for matrix in (UPRIGHT, TURNED))
    at = content.index(upright, content.index(b"tkhd"))
    path.write_bytes(content[:at] + turned + content[at + len(upright) :])
    image = decode_picture(path, frame_rate="native", frame_size=64).frames_FHW3[0]
    assert image.shape == (96, 64, 3)
    assert image[:40].mean() > 240  # turned clockwise: the left half is above now
    assert image[56:].mean() < 15


UPRIGHT = (1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)
TURNED = (0, 1 << 16, 0, -(1 << 16), 0, 0, 0, 0, 1 << 30)  # x' = -y, y' = x: clockwise on a screen


def test_sound_is_mono_at_the_rate_asked_for(make_clip: Make, tmp_path: Path) -> None:
    sound = decode_sound(make_clip(tmp_path / "a.mp4"), sample_rate=24_000)
    assert sound is not None
    assert sound.start_s == 0
    assert len(sound.samples_N) == pytest.approx(2.0 * 24_000, abs=1024 * 1.5)
    spectrum = np.abs(np.fft.rfft(sound.samples_N[:24_000].numpy()))
    assert abs(int(spectrum.argmax()) - 440) <= 1


@pytest.mark.parametrize("sound_start_s", [0.0, 0.5])
def test_a_click_is_heard_when_it_was_made(tmp_path: Path, sound_start_s: float) -> None:
    """Neither encoder priming (1,024 samples, 64 ms) nor a late beginning of the track may shift the sound."""
    samples = np.zeros(2 * SAMPLE_RATE, dtype=np.float32)
    samples[12_000] = 1.0
    grey = np.zeros((30, 64, 64, 3), dtype=np.uint8)
    write_clip(tmp_path / "click.mp4", grey, samples, sound_start_s=sound_start_s)
    sound = decode_sound(tmp_path / "click.mp4", sample_rate=SAMPLE_RATE)
    assert sound is not None
    heard_s = sound.start_s + int(sound.samples_N.abs().argmax()) / SAMPLE_RATE
    assert heard_s == pytest.approx(sound_start_s + 0.75, abs=0.001)


def test_no_sound_track_is_none_and_not_silence(make_clip: Make, tmp_path: Path) -> None:
    assert decode_sound(make_clip(tmp_path / "mute.mp4", sound=False), sample_rate=SAMPLE_RATE) is None


@pytest.mark.parametrize("rate", ["native", 10.0])
@pytest.mark.parametrize("options", [{}, {"encoder_options": {"preset": "medium", "bf": "3", "g": "6", "crf": "5"}}])
def test_a_part_of_a_file_is_what_is_on_show_during_it(
    make_clip: Make, tmp_path: Path, rate: Any, options: dict[str, Any]
) -> None:
    clip = make_clip(tmp_path / "a.mp4", frames=40, **options)
    for start_s, end_s, expected in [(1.2, 2.5, range(12, 25)), (3.5, 9.0, range(35, 40)), (-math.inf, 0.5, range(5))]:
        picture = decode_picture(clip, frame_rate=rate, frame_size=64, part=Part(start_s=start_s, end_s=end_s))
        assert brightness(picture.frames_FHW3) == list(expected)
        np.testing.assert_allclose(picture.edges_s, np.arange(expected.start, expected.stop + 1) / 10, atol=1e-3)
    within = decode_picture(clip, frame_rate="native", frame_size=64, part=Part(start_s=1.25, end_s=1.45))
    assert brightness(within.frames_FHW3) == [12, 13, 14]
    np.testing.assert_allclose(within.edges_s, [1.25, 1.3, 1.4, 1.45], atol=1e-3)
    with pytest.raises(DecodeError, match=r"has no frame between 5 and 6 s"):
        decode_picture(clip, frame_rate=rate, frame_size=64, part=Part(start_s=5, end_s=6))


def test_the_sound_of_a_part_keeps_its_time(tmp_path: Path) -> None:
    samples = np.zeros(4 * SAMPLE_RATE, dtype=np.float32)
    samples[[12_000, 40_000]] = 1.0
    grey = np.zeros((40, 64, 64, 3), dtype=np.uint8)
    write_clip(tmp_path / "click.mp4", grey, samples)
    part = decode_sound(tmp_path / "click.mp4", sample_rate=SAMPLE_RATE, part=Part(start_s=1.7, end_s=3.0))
    assert part is not None
    assert part.start_s == pytest.approx(1.7, abs=1 / SAMPLE_RATE)
    assert len(part.samples_N) == pytest.approx(1.3 * SAMPLE_RATE, abs=1)
    assert part.start_s + int(part.samples_N.abs().argmax()) / SAMPLE_RATE == pytest.approx(2.5, abs=0.001)
    whole = decode_sound(tmp_path / "click.mp4", sample_rate=SAMPLE_RATE)
    assert whole is not None
    np.testing.assert_allclose(part.samples_N, whole.samples_N[27_200:48_000], atol=1e-4)
    beside = decode_sound(tmp_path / "click.mp4", sample_rate=SAMPLE_RATE, part=Part(start_s=7.0, end_s=8.0))
    assert beside is None


def write_still(path: Path) -> Path:
    with av.open(str(path), "w", format="image2") as container:
        stream = container.add_stream("mjpeg", rate=1)
        stream.width = stream.height = 64
        stream.pix_fmt = "yuvj420p"
        frame = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), dtype=np.uint8), format="rgb24").reformat(
            format="yuvj420p"
        )
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def write_sound_only(path: Path) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=SAMPLE_RATE, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, SAMPLE_RATE), dtype=np.float32), format="fltp", layout="mono")
        frame.sample_rate = SAMPLE_RATE
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def test_files_that_are_no_whole_video_are_named_with_a_reason(make_clip: Make, tmp_path: Path) -> None:
    whole = make_clip(tmp_path / "whole.mp4", frames=40)
    matroska = remux(whole, tmp_path / "whole.mkv")
    empty, text, cut, cut_mkv = (tmp_path / name for name in ("empty.mp4", "text.mp4", "cut.mp4", "cut.mkv"))
    empty.write_bytes(b"")
    text.write_text("not a video\n" * 50)
    cut.write_bytes(whole.read_bytes()[:-2000])
    cut_mkv.write_bytes(matroska.read_bytes()[: matroska.stat().st_size // 2])
    still = write_still(tmp_path / "still.jpg").rename(tmp_path / "still.mp4")
    cases = {
        tmp_path / "none.mp4": "does not exist",
        empty: "does not decode",
        text: "does not decode",
        cut: "does not decode",
        cut_mkv: r"is cut off: \d\.\d+ s of video decode, its header announces 4\.\d+ s",
        still: "is not a video: it holds 1 frame;",
        write_sound_only(tmp_path / "sound.mp4"): "has no video stream",
    }
    for path, reason in cases.items():
        with pytest.raises(DecodeError) as caught:
            decode_picture(path, frame_rate=10.0, frame_size=32)
        assert caught.value.path == path
        assert re.search(reason, str(caught.value)), str(caught.value)
    with pytest.raises(DecodeError, match=r"is cut off: .* s of audio decode"):
        decode_sound(cut_mkv, sample_rate=SAMPLE_RATE)


def test_times_never_run_backwards(make_clip: Make, tmp_path: Path) -> None:
    edges_s = decode_picture(make_clip(tmp_path / "a.mp4"), frame_rate="native", frame_size=32).edges_s
    assert all(early <= late for early, late in itertools.pairwise(edges_s))


def test_a_title_that_is_not_utf8_is_no_obstacle(make_clip: Make, tmp_path: Path) -> None:
    clip, titled = make_clip(tmp_path / "clip.mp4"), tmp_path / "titled.mp4"
    with av.open(str(clip)) as source, av.open(str(titled), "w") as out:
        out.metadata["title"] = "TITLE-TO-BREAK"
        stream = out.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(source.streams.video[0]):
            if packet.dts is not None:
                packet.stream = stream
                out.mux(packet)
    assert b"TITLE-TO-BREAK" in titled.read_bytes()
    titled.write_bytes(titled.read_bytes().replace(b"TITLE-TO-BREAK", b"\xff\xfeTLE-TO-BREAK"))
    frames = decode_picture(titled, frame_rate="native", frame_size=32).frames_FHW3
    assert brightness(frames) == brightness(decode_picture(clip, frame_rate="native", frame_size=32).frames_FHW3)


@pytest.mark.parametrize(("rate", "expected"), [("native", range(24)), (6.0, range(0, 24, 2))])
def test_a_folder_of_pictures_is_a_video_of_the_given_rate(tmp_path: Path, rate: Any, expected: range) -> None:
    folder = damage.frame_folder(tmp_path / "100% é")
    picture = decode_picture(folder, frame_rate=rate, frame_size=48, fps=12)
    assert picture.frames_FHW3.shape == (len(expected), 48, 64, 3)
    np.testing.assert_allclose(picture.frames_FHW3.mean(axis=(1, 2, 3)), 10 * np.array(expected), atol=1.5)
    np.testing.assert_allclose(picture.edges_s, np.arange(len(expected) + 1) * expected.step / 12, atol=1e-9)
    part = decode_picture(folder, frame_rate="native", frame_size=48, fps=12, part=Part(start_s=0.5, end_s=1.0))
    np.testing.assert_allclose(part.frames_FHW3.mean(axis=(1, 2, 3)), 10 * np.arange(6, 12), atol=1.5)
    assert decode_sound(folder, sample_rate=SAMPLE_RATE) is None


def test_folders_that_are_no_videos_are_named_with_a_reason(tmp_path: Path) -> None:
    folder = damage.frame_folder(tmp_path / "frames", frames=3)
    (folder / "00002.jpg").write_text("no picture")
    (tmp_path / "empty").mkdir()
    for path, fps, reason in (
        (folder, 12, "does not decode"),
        (folder, None, "is a folder; if it holds numbered pictures, say with fps"),
        (tmp_path / "empty", 12, "is not a video: it holds no numbered pictures"),
    ):
        with pytest.raises(DecodeError, match=reason):
            decode_picture(path, frame_rate="native", frame_size=32, fps=fps)
