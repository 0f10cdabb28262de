"""What a prediction used, under the video's own frames (as in Figure 3 of the AdaMML paper): as HTML and as a video."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from explorer.errors import DecodeError

if TYPE_CHECKING:
    from PIL.Image import Image

    from explorer.predict import VideoPrediction

USED, SKIPPED = "#1b7f4b", "#d9d9d9"  # told apart in grey print as well; every mark also has a sign
_THUMB_PX = 160
_WIDTH_PX = 640  # of a rendered video at least
_ROW_PX, _MARGIN_PX, _TEXT_PX = 26, 8, 15


@dataclass(frozen=True, kw_only=True)
class Strip:
    """Decisions as a table: ``used[site][s]`` for the segments whose bounds are ``bounds_s``: how much of each, in [0, 1]."""

    bounds_s: Sequence[tuple[float, float]]
    used: Mapping[str, Sequence[float]]

    @classmethod
    def of(cls, found: VideoPrediction) -> Strip:
        """Of a prediction whose decisions are use or skip of segments, or of a share of each."""
        bounds: dict[int, tuple[float, float]] = {}
        used: dict[str, dict[int, float]] = {}
        for decision in found.prediction.decisions:
            bounds[decision.index] = (decision.start_s, decision.end_s)
            used.setdefault(decision.site, {})[decision.index] = decision.used
        order = sorted(bounds)
        return cls(
            bounds_s=[bounds[i] for i in order],
            used={site: [row.get(i, 0.0) for i in order] for site, row in used.items()},
        )


# --- HTML -------------------------------------------------------------------------------------------------------------


def filmstrip_html(results: Sequence[VideoPrediction], all_on_gflops: Mapping[Any, float]) -> str:
    """One self-contained page: for each video a frame of every segment with what was used under it."""
    videos = "\n".join(_video_html(found, all_on_gflops.get(found.convention, 0.0)) for found in results)
    return (
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>"
        f"<title>What each segment used</title><style>{_CSS}</style>"
        "<h1>What each segment used</h1>"
        "<p><span class='cell used'>✓</span> used &nbsp; <span class='cell'>·</span> skipped: not computed</p>"
        f"{videos}</html>\n"
    )


def _video_html(found: VideoPrediction, all_on: float) -> str:
    strip = Strip.of(found)
    middles = [(start + end) / 2 for start, end in strip.bounds_s]
    pictures = [_picture_html(image) for image in frames_at(found.path, middles)]
    share = f", {found.gflops / all_on:.0%} of everything on" if all_on > 0 else ""
    times = "".join(f"<td>{picture}<br>{middle:.1f} s</td>" for picture, middle in zip(pictures, middles, strict=True))
    rows = "".join(
        f"<tr><th>{html.escape(site)}</th>"
        + "".join(f"<td class='cell{' used' * (use > 0)}'>{_mark(use)}</td>" for use in row)
        + f"<td class=sum>{sum(row):.3g} of {len(row)}</td></tr>"
        for site, row in strip.used.items()
    )
    return (
        f"<section><h2>{html.escape(found.path.name)}: {html.escape(found.label)} ({found.probability:.0%})</h2>"
        f"<p>{found.gflops:.4g} GFLOPs ({found.convention} convention){share}</p>"
        f"<div class=scroll><table><tr><th></th>{times}</tr>{rows}</table></div></section>"
    )


def _picture_html(image: Image) -> str:
    small = image.copy()
    small.thumbnail((_THUMB_PX, _THUMB_PX))
    bytes_ = io.BytesIO()
    small.convert("RGB").save(bytes_, "JPEG", quality=80)
    return f"<img alt='' src='data:image/jpeg;base64,{base64.b64encode(bytes_.getvalue()).decode()}'>"


_CSS = f"""
body{{font:15px/1.4 system-ui,sans-serif;margin:1.5em;color:#222}} h1{{font-size:1.4em}} h2{{font-size:1.1em;margin:1.4em 0 0}}
p{{margin:.2em 0 .5em}} .scroll{{overflow-x:auto}} table{{border-collapse:separate;border-spacing:3px}}
td{{text-align:center;font-size:12px;color:#555}} th{{text-align:right;padding-right:.6em;font-weight:600}}
img{{display:block;min-width:64px}} .cell{{background:{SKIPPED};color:#222;padding:.2em .6em;border-radius:3px}}
.used{{background:{USED};color:#fff;font-weight:700}} .sum{{text-align:left;white-space:nowrap}}
"""


def _mark(use: float) -> str:
    return "✓" if use == 1 else f"{use:.0%}" if use > 0 else "·"


# --- video ------------------------------------------------------------------------------------------------------------


def render_video(found: VideoPrediction, target: Path, all_on_gflops: Mapping[Any, float]) -> None:
    """Write the video again, with its sound, and under it what each segment used; the running segment is framed.

    Raises:
        DecodeError: the video does not decode.
    """
    import av

    strip = Strip.of(found)
    target.parent.mkdir(parents=True, exist_ok=True)
    aside = target.with_name(f".{target.name}.part.mp4")
    try:
        with av.open(str(found.path)) as source, av.open(str(aside), "w") as output:
            _render(source, output, found, strip, all_on_gflops.get(found.convention, 0.0))
        aside.replace(target)
    except av.FFmpegError as error:
        raise DecodeError(found.path, f"cannot be rendered: {error}") from error
    finally:
        aside.unlink(missing_ok=True)


def _render(source: Any, output: Any, found: VideoPrediction, strip: Strip, all_on: float) -> None:
    import av

    video, sound = source.streams.video[0], next(iter(source.streams.audio), None)
    time_base = Fraction(1, 90_000)
    writer = output.add_stream("libx264", rate=video.average_rate or 25)
    writer.pix_fmt, writer.time_base = "yuv420p", time_base
    copied = output.add_stream_from_template(sound) if sound is not None else None
    canvas = _Canvas((video.codec_context.width, video.codec_context.height), found, strip, all_on)
    writer.width, writer.height = canvas.size  # before anything is muxed, which opens every stream
    first_s: float | None = None
    for packet in source.demux(*([video, sound] if sound is not None else [video])):
        if copied is not None and packet.stream.type == "audio":
            if packet.dts is not None:
                packet.stream = copied
                output.mux(packet)
            continue
        for frame in packet.decode():
            now_s = frame.time or 0.0
            first_s = min(now_s, 0.0) if first_s is None else first_s  # a clock that begins below 0 is moved to it
            picture = av.VideoFrame.from_image(canvas.draw(frame.to_image(), now_s))
            picture.time_base, picture.pts = time_base, round((now_s - first_s) / time_base)
            output.mux(writer.encode(picture))
    output.mux(writer.encode(None))


class _Canvas:
    """The frame above, the strip below; the strip is drawn once, the running segment's frame for each picture."""

    def __init__(self, frame: tuple[int, int], found: VideoPrediction, strip: Strip, all_on: float) -> None:
        from PIL import Image, ImageDraw, ImageFont

        scale = max(1.0, _WIDTH_PX / frame[0])
        self._frame = (_even(frame[0] * scale), _even(frame[1] * scale))
        height = (len(strip.used) + 2) * _ROW_PX + 2 * _MARGIN_PX
        self.size = (self._frame[0], _even(self._frame[1] + height))
        self._strip = strip
        font = ImageFont.load_default(size=_TEXT_PX)
        self._base = Image.new("RGB", self.size, "white")
        draw = ImageDraw.Draw(self._base)
        top = self._frame[1] + _MARGIN_PX
        share = f", {found.gflops / all_on:.0%} of everything on" if all_on > 0 else ""
        title = f"{found.label} ({found.probability:.0%})   {found.gflops:.4g} GFLOPs{share}"
        draw.text((_MARGIN_PX, top), title, fill="black", font=font)
        names = max((draw.textlength(site, font=font) for site in strip.used), default=0)
        self._left = int(names) + 2 * _MARGIN_PX
        self._step = (self.size[0] - self._left - _MARGIN_PX) / max(1, len(strip.bounds_s))
        self._top = top + _ROW_PX
        for row, (site, used) in enumerate(strip.used.items()):
            y = self._top + row * _ROW_PX
            draw.text((_MARGIN_PX, y + 3), site, fill="black", font=font)
            for segment, use in enumerate(used):
                box = self._cell(segment, row)
                draw.rectangle(box, fill=USED if use == 1 else SKIPPED)
                if use == 1:
                    draw.line(_tick(box), fill="white", width=3)
                elif use > 0:  # a part of it: filled from below
                    left, upper, right, lower = box
                    draw.rectangle((left, lower - use * (lower - upper), right, lower), fill=USED)
        below = self._top + len(strip.used) * _ROW_PX
        draw.text(
            (_MARGIN_PX, below + 3), "green with tick: used; grey: skipped, not computed", fill="#555555", font=font
        )

    def draw(self, frame: Image, time_s: float) -> Image:
        from PIL import ImageDraw

        picture = self._base.copy()
        picture.paste(frame.resize(self._frame), (0, 0))
        draw = ImageDraw.Draw(picture)
        for segment, (start, end) in enumerate(self._strip.bounds_s):
            if start <= time_s < end:
                left, top, right, _ = self._cell(segment, 0)
                bottom = self._cell(segment, len(self._strip.used) - 1)[3]
                draw.rectangle((left - 2, top - 2, right + 2, bottom + 2), outline="black", width=2)
        return picture

    def _cell(self, segment: int, row: int) -> tuple[float, float, float, float]:
        left, top = self._left + segment * self._step, self._top + row * _ROW_PX
        return (left + 2, top + 2, left + self._step - 2, top + _ROW_PX - 3)


def _tick(box: tuple[float, float, float, float]) -> list[tuple[float, float]]:
    x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    return [(x - 5, y), (x - 1, y + 4), (x + 6, y - 5)]


def _even(size: float) -> int:
    return 2 * round(size / 2)  # what yuv420p asks for


# --- frames -----------------------------------------------------------------------------------------------------------


def frames_at(path: Path, times_s: Sequence[float]) -> list[Image]:
    """The frame shown at each of the ascending times; the last frame for those after the end.

    Raises:
        DecodeError: the file does not decode.
    """
    import av

    try:
        with av.open(str(path)) as source:
            return list(_shown(source, times_s))
    except (av.FFmpegError, IndexError) as error:
        raise DecodeError(path, str(error)) from error


def _shown(source: Any, times_s: Sequence[float]) -> Iterator[Image]:
    wanted = list(times_s)
    current: Any = None
    for frame in source.decode(source.streams.video[0]):
        while wanted and current is not None and (frame.time or 0.0) > wanted[0]:
            wanted.pop(0)
            yield current.to_image()
        current = frame
        if not wanted:
            return
    for _ in wanted if current is not None else ():
        yield current.to_image()
