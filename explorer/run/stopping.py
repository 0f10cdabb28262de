"""How a running sweep is told to stop: by a file in its folder, by Ctrl-C, by SIGTERM, by a terminal that goes. No Ray here."""

from __future__ import annotations

import select
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

STOP_FILE = "stop"  # anyone who may write in the sweep's folder may ask for its end
_LOOK_S = 0.5
_BYTE_S = 0.01
TERMINATED_GRACE_S = 20.0  # whoever sends SIGTERM, or ends a session, sends SIGKILL some 30 s later
_ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Stopped(KeyboardInterrupt):
    """The sweep is to stop in order. ``grace_s``: how long running epochs may take to end; None = as long as they take.

    ``again``: it was told so before; it is to end at once.
    """

    def __init__(self, grace_s: float | None, *, again: bool = False) -> None:
        super().__init__()
        self.grace_s = grace_s
        self.again = again


def request_stop(folder: Path) -> None:
    """Ask whoever runs the sweep in ``folder``, on whichever machine, to let running epochs finish and leave."""
    from explorer.run.mirror import mirror_of

    (folder / STOP_FILE).touch()
    mirror = mirror_of(folder)
    if mirror is not None:
        mirror.ask_to_stop()


def stop_requested(folder: Path) -> bool:
    return (folder / STOP_FILE).exists()


def forget_stop(folder: Path) -> None:
    """A request to stop holds for the run that it was made in."""
    (folder / STOP_FILE).unlink(missing_ok=True)


def wait_until_stopped(folder: Path) -> None:
    """Return when nobody runs the sweep in ``folder`` any more."""
    from explorer.records import latest
    from explorer.run.status import driver_state

    while driver_state(latest(folder)) == "running":
        time.sleep(_LOOK_S)


class Signals:
    """What Ctrl-C, SIGTERM and SIGHUP do: they raise :class:`Stopped`, the first one at a moment that suits the sweep.

    ``arrived``: non-blocking; has a byte for each signal. Python itself calls a handler once for all that arrived while the main
    thread was in C code, and Ray waits there for up to a second: two quick Ctrl-C would be one.
    """

    def __init__(self, arrived: socket.socket | None = None) -> None:
        self._arrived = arrived
        self._count = 0
        self._holding = False
        self._first: Stopped | None = None

    def on_signal(self, signum: int, frame: FrameType | None) -> None:
        new = self._new()
        if new == 0 and self._count:  # was counted together with the one before
            return
        self._count += max(1, new)
        grace_s = None if signum == signal.SIGINT else TERMINATED_GRACE_S
        stop = Stopped(grace_s, again=self._count > 1)
        self._first = self._first or stop
        if not self._holding or stop.again:
            raise stop

    def _new(self) -> int:
        if self._arrived is None:
            return 1
        select.select([self._arrived], [], [], _BYTE_S)  # it is written after the handler was asked for
        with suppress(BlockingIOError):
            return sum(number in _ENDING for number in self._arrived.recv(4096))
        return 0

    @contextmanager
    def held(self) -> Iterator[None]:
        """The first signal waits for the end of this: an event is told to all or to none. A second one waits for nothing."""
        self._holding = True
        try:
            yield
        finally:
            self._holding = False
        if self._first is not None:
            raise self._first


@contextmanager
def signals_stop() -> Iterator[Signals]:
    """Ctrl-C, SIGTERM (a scheduler's or a container's end) and SIGHUP (the terminal's) raise :class:`Stopped`.

    Ray's own handler aborts the process. SIGHUP stays ignored where it is ignored (``nohup``).
    Only the main thread may set handlers; elsewhere nothing is changed.
    """
    if threading.current_thread() is not threading.main_thread():
        yield Signals()
        return
    reader, writer = socket.socketpair()
    with reader, writer:
        reader.setblocking(False)
        writer.setblocking(False)
        before = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
        signals = Signals(reader)
        try:
            with _handling(signals.on_signal, *_ENDING):
                yield signals
        finally:
            signal.set_wakeup_fd(before)


@contextmanager
def signals_ignored() -> Iterator[None]:
    """While the last things are written, impatience changes nothing."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    with _handling(signal.SIG_IGN, *_ENDING):
        yield


@contextmanager
def hangup_ignored() -> Iterator[None]:
    """Processes that are started meanwhile outlive the terminal, so that running epochs can end in order."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    with _handling(signal.SIG_IGN, signal.SIGHUP):
        yield


@contextmanager
def _handling(handler: object, *numbers: signal.Signals) -> Iterator[None]:
    numbers = tuple(n for n in numbers if n != signal.SIGHUP or signal.getsignal(n) != signal.SIG_IGN)
    before = {number: signal.signal(number, handler) for number in numbers}  # type: ignore[arg-type]
    try:
        yield
    finally:
        for number, handled in before.items():
            signal.signal(number, handled or signal.SIG_DFL)
