"""Progress of work on files: a bar on a terminal, a line now and then elsewhere. On stderr."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trainables.kit.data.hashing import Progress

PLAIN_LINE_S = 2.0  # where output is no terminal: a line at most this often


def counted(count: int, one: str, several: str = "") -> str:
    """``1 video``, ``2 videos``."""
    return f"{count} {one if count == 1 else several or one + 's'}"


@contextmanager
def progress_of(what: str, *, shown: bool = True) -> Iterator[Progress | None]:
    """A function to call with how many of how many are done; None where nothing is to be shown."""
    if not shown:
        yield None
    elif not sys.stderr.isatty():
        yield _plain(what)
    else:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bar

        rate = TextColumn("{task.fields[rate]}")
        columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), rate, TimeRemainingColumn())
        with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task(what, total=None, rate="")

            def show(done: int, total: int) -> None:
                bar.update(task, completed=done, total=total)
                speed = bar.tasks[task].speed
                bar.update(task, rate=f"{speed:.1f}/s" if speed else "")

            yield show


def _plain(what: str) -> Progress:
    last_s = -PLAIN_LINE_S

    def show(done: int, total: int) -> None:
        nonlocal last_s
        if done == total or time.monotonic() - last_s >= PLAIN_LINE_S:
            sys.stderr.write(f"{what} {done}/{total}\n")
            last_s = time.monotonic()

    return show
