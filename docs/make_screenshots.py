"""Write the pictures of ``docs/front-page.md`` from a finished sweep: ``python docs/make_screenshots.py runs/quickstart``.

Of several sweeps, the page's pictures are of the first, and ``decisions.png`` shows what the most accurate points of all choose.
Needs Debian's chromium and playwright, as the browser tests do. Times are shown if they were measured before
(``explorer front quickstart --measure-time``).
"""

from __future__ import annotations

import io
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from explorer.browse import Front  # noqa: E402
from explorer.report.decision_figure import decision_figure  # noqa: E402
from explorer.report.front_page import front_html  # noqa: E402
from explorer.report.page.decisions import point_shares  # noqa: E402
from tests.report.browsing import Opened, launched, opened  # noqa: E402

IMAGES = ROOT / "docs" / "img"
COLOURS = 200  # of a picture's palette: what keeps it below 200 kB
PHONE = {"width": 390, "height": 844}


def main(sweep: Path, *others: Path) -> None:
    """Draw the page of ``sweep`` and write every picture."""
    IMAGES.mkdir(exist_ok=True)
    if others:
        _write("decisions", _decisions([Front.load(folder) for folder in (sweep, *others)]))
    with tempfile.TemporaryDirectory() as folder, launched() as browser:
        file = Path(folder) / "front.html"
        file.write_text(front_html(Front.load(sweep)), encoding="utf-8")
        with opened(browser, file.as_uri()) as tab:
            _write("front-page", tab.page.screenshot())
            _write("front-gallery", _part(tab, "#gallery-plot", most=760))
            _write("front-search", _part(tab, "#volume-plot", most=700))
            if not tab.page.locator("option[value=total_s]").is_disabled():
                tab.select("#kind", "total_s")
                _write("front-seconds", _part(tab, ".columns", most=980))
        with opened(browser, file.as_uri(), **PHONE) as tab:
            _write("front-phone", tab.page.screenshot())
        with opened(browser, file.as_uri(), width=720, height=1018) as tab:
            _write("front-print", _printed(tab))


def _decisions(fronts: list[Front]) -> bytes:
    found = [(front.name, point_shares(front, max(front.points, key=lambda p: p.val.accuracy))) for front in fronts]
    return decision_figure([(name, shares) for name, shares in found if shares is not None], "png")


def _part(tab: Opened, selector: str, *, most: int) -> bytes:
    """The page from the element on, as wide as it is, at most so many pixels high."""
    box = tab.page.evaluate(
        "(selector) => { const box = document.querySelector(selector).getBoundingClientRect();"
        "return { top: box.top + scrollY - 60, below: document.documentElement.scrollHeight }; }",
        selector,
    )
    clip = {"x": 0, "y": box["top"], "width": 1280, "height": min(most, box["below"] - box["top"])}
    return tab.page.screenshot(full_page=True, clip=clip)


def _printed(tab: Opened) -> bytes:
    """The first sheet as a printer without colour gives it."""
    tab.page.emulate_media(media="print")
    tab.page.add_style_tag(content="html { filter: grayscale(1); } body { padding: 12px; }")
    tab.page.evaluate("dispatchEvent(new Event('beforeprint'))")
    tab.page.wait_for_timeout(500)  # plotly animates nothing here, but lays out in a frame of its own
    return tab.page.screenshot()


def _write(name: str, picture: bytes) -> None:
    from PIL import Image

    file = IMAGES / f"{name}.png"
    Image.open(io.BytesIO(picture)).convert("RGB").quantize(COLOURS).save(file, optimize=True)
    print(f"{file}: {file.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
