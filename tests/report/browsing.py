"""A real browser: Debian's chromium, driven by playwright, kept from asking the network for anything."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

WAIT_MS = 180_000  # a loaded machine draws slowly; nothing waits this long unless it is broken
ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--no-first-run", "--disable-dev-shm-usage", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]  # fmt: skip
DOUBLE_CLICK_MS = 600  # twice what plotly waits for the second half of one
POINTS = "#plot .scatterlayer .trace .points path"


def why_not() -> str | None:
    """Why no browser can be driven here; None if one can."""
    try:
        import playwright  # noqa: F401
    except ImportError:
        return "playwright is not installed: pip install playwright"
    return None if chromium() else "chromium is not installed: apt-get install chromium"


def chromium() -> str | None:
    """Where Debian's chromium is."""
    return shutil.which("chromium")


@contextmanager
def launched() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=chromium(), args=ARGUMENTS, timeout=WAIT_MS)
        try:
            yield browser
        finally:
            browser.close()


@dataclass
class Opened:
    """A tab with all that it asked for and complained of."""

    page: Any
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def text(self, selector: str) -> str:
        return self.page.inner_text(selector)

    def drawn(self) -> int:
        return int(self.page.evaluate("Number(document.body.dataset.drawn ?? 0)"))

    def do(self, action: Any) -> None:
        """Act, and wait until the page has drawn everything anew."""
        before = self.drawn()
        action()
        self.page.wait_for_function(f"Number(document.body.dataset.drawn) > {before}")

    def slide(self, place: int) -> None:
        self.do(lambda: self.page.fill("#budget", str(place)))

    def select(self, selector: str, value: str) -> None:
        self.do(lambda: self.page.select_option(selector, value))

    def emit_click(self, trace: str, index: int = 0) -> None:
        """Click on a mark of the trace of that name, where it is on the screen. Not so soon that it is half of a double click."""
        self.page.wait_for_timeout(DOUBLE_CLICK_MS)
        self.do(lambda: self.page.mouse.click(*self.place(trace, index)))

    def place(self, trace: str, index: int) -> tuple[float, float]:
        """Middle of a mark on the screen."""
        return tuple(
            self.page.evaluate(
                """([name, index]) => {
                  const plot = document.getElementById("plot"), box = plot.getBoundingClientRect();
                  const trace = plot._fullData.find((one) => one.name === name);
                  const { xaxis, yaxis } = plot._fullLayout, i = index < 0 ? trace.x.length + index : index;
                  return [box.left + xaxis._offset + xaxis.d2p(trace.x[i]), box.top + yaxis._offset + yaxis.d2p(trace.y[i])];
                }""",
                [trace, index],
            )
        )


@contextmanager
def opened(browser: Any, url: str, *, width: int = 1280, height: int = 900) -> Iterator[Opened]:
    """``url`` in a tab of its own, drawn."""
    page = browser.new_page(viewport={"width": width, "height": height})
    page.set_default_timeout(WAIT_MS)
    tab = Opened(page=page)
    page.on("request", lambda request: tab.requests.append(request.url))
    page.on("console", lambda said: tab.complaints.append(said.text) if said.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: tab.complaints.append(str(error)))
    try:
        page.goto(url)
        page.wait_for_selector("body[data-drawn]")
        yield tab
    finally:
        page.close()
