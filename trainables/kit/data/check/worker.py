"""The process in which files are decoded: ``python -m trainables.kit.data.check.worker FD LIMIT_S``.

Decoders crash and hang on damaged files. Here that ends a process whose loss costs one file. The watchdog is the system's
alarm clock: its signal ends the process also while a decoder never comes back to Python.
"""

from __future__ import annotations

import resource
import signal
import sys
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from trainables.kit.data.check.facts import Probe
from trainables.kit.data.check.probe import Beat, probe_file

MEMORY_BYTES = 6 << 30  # a header may announce pictures of any size
READY = "ready"


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A file to probe. ``fps``: see the manifest. ``strict``: see :func:`probe_file`."""

    path: Path
    fps: float | None = None
    strict: bool = True


def watchdog(limit_s: int) -> Beat:
    """A function to call at every progress; ``limit_s`` seconds without a call end the process (SIGALRM)."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    last_s = 0.0

    def beat() -> None:
        nonlocal last_s
        now_s = time.monotonic()
        if now_s - last_s > 0.5:  # a system call a frame would be waste
            last_s = now_s
            signal.alarm(limit_s)

    return beat


def main() -> None:
    """Answer what is asked with a Probe until the other side closes."""
    connection, limit_s = Connection(int(sys.argv[1])), int(sys.argv[2])
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that asked
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, resource.getrlimit(resource.RLIMIT_AS)[1]))
    beat = watchdog(limit_s)
    connection.send(READY)
    while True:
        try:
            asked = connection.recv()
        except EOFError:
            return
        signal.alarm(limit_s)
        connection.send(_answer(asked, beat))
        signal.alarm(0)


def _answer(asked: Asked, beat: Beat) -> Probe:
    try:
        return probe_file(asked.path, fps=asked.fps, strict=asked.strict, beat=beat)
    except Exception as error:  # whatever a damaged file provokes is told with its name, not as a stack trace
        return Probe(reason="corrupt", detail=f"reading it failed ({type(error).__name__}: {error})", passing=True)


if __name__ == "__main__":
    main()
