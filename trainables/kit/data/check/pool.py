"""Several worker processes that may die, each led by a thread."""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from multiprocessing import Pipe
from pathlib import Path

from trainables.kit.data.check.facts import Probe
from trainables.kit.data.check.worker import READY, Asked

MODULE = "trainables.kit.data.check.worker"


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """A file and what it holds."""

    path: Path
    probe: Probe


def probe_files(
    paths: Sequence[Path],
    *,
    workers: int,
    limit_s: int,
    fps: Mapping[Path, float] | None = None,
    module: str = MODULE,
) -> Iterator[Outcome]:
    """Probe files side by side; outcomes come in the order in which they are ready. ``fps``: of folders of pictures.

    A file on which its process dies is tried once more with the ordinary decoder; without any progress for ``limit_s``
    seconds it is given up.

    Raises:
        RuntimeError: the processes do not start.
    """
    todo: queue.SimpleQueue[Asked] = queue.SimpleQueue()
    for path in paths:
        todo.put(Asked(path=path, fps=(fps or {}).get(path)))
    done: queue.SimpleQueue[Outcome | BaseException] = queue.SimpleQueue()
    stop = threading.Event()
    leaders = [_Leader(todo, done, stop, limit_s, module) for _ in range(min(workers, len(paths)))]
    for leader in leaders:
        leader.start()
    try:
        for _ in paths:
            outcome = done.get()
            if isinstance(outcome, BaseException):
                raise outcome
            yield outcome
    finally:
        stop.set()
        for leader in leaders:
            leader.end()


class _Died(Exception):
    """The process ended during a file; ``signal`` which one did it, 0 = it left by itself."""

    def __init__(self, signal_number: int) -> None:
        self.signal = signal_number
        super().__init__(signal.Signals(signal_number).name if signal_number else "it ended by itself")


class _Leader(threading.Thread):
    """Takes files, asks its process, and starts another one when that has died."""

    def __init__(
        self,
        todo: queue.SimpleQueue[Asked],
        done: queue.SimpleQueue[Outcome | BaseException],
        stop: threading.Event,
        limit_s: int,
        module: str,
    ) -> None:
        super().__init__(daemon=True)
        self.todo, self.done, self.stop = todo, done, stop
        self.limit_s, self.module = limit_s, module
        self.process: _Process | None = None

    def run(self) -> None:
        try:
            while not self.stop.is_set():
                asked = self.todo.get_nowait()
                self.done.put(Outcome(path=asked.path, probe=self._probe(asked)))
        except queue.Empty:
            return
        except BaseException as error:
            if not self.stop.is_set():
                self.done.put(error)

    def end(self) -> None:
        """End the process, which may be busy, and wait for the thread."""
        if self.process is not None:
            self.process.end()
        self.join(timeout=5)

    def _probe(self, asked: Asked) -> Probe:
        try:
            return self._ask(asked)
        except _Died as first:
            try:
                return self._ask(replace(asked, strict=False))
            except _Died as second:
                return self._given_up(first, second)

    def _given_up(self, first: _Died, second: _Died) -> Probe:
        if signal.SIGALRM in (first.signal, second.signal):
            detail = f"no progress in {self.limit_s} s: the decoder hangs, or the disk does not answer"
            return Probe(reason="unreadable", detail=detail, passing=True)
        detail = f"the decoder crashes on it ({first}), with ordinary settings as well ({second})"
        return Probe(reason="corrupt", detail=detail, passing=signal.SIGKILL in (first.signal, second.signal))

    def _ask(self, asked: Asked) -> Probe:
        if self.process is None:
            self.process = _Process(self.module, self.limit_s)
        try:
            return self.process.ask(asked)
        except (EOFError, OSError) as error:
            died = self.process.ended()
            self.process = None
            raise died from error


class _Process:
    """One worker process and the pipe to it."""

    def __init__(self, module: str, limit_s: int) -> None:
        self.pipe, theirs = Pipe()
        # Where the package was found by other means than being installed, the child has to find it as well.
        places = os.pathsep.join(place or os.getcwd() for place in sys.path)
        with tempfile.TemporaryFile() as errors:  # decoders talk to stderr whatever they are told
            self.process = subprocess.Popen(
                [sys.executable, "-m", module, str(theirs.fileno()), str(limit_s)],
                env={**os.environ, "PYTHONPATH": places},
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=errors,
            )
            theirs.close()
            try:
                assert self.pipe.recv() == READY
            except EOFError as error:
                self.process.wait()
                errors.seek(0)
                told = errors.read().decode(errors="replace").strip()[-2000:]
                raise RuntimeError(f"the process that decodes files does not start:\n{told}") from error

    def ask(self, asked: Asked) -> Probe:
        self.pipe.send(asked)
        answer: Probe = self.pipe.recv()
        return answer

    def ended(self) -> _Died:
        """Why it is gone."""
        self.pipe.close()
        return _Died(max(0, -self.process.wait()))

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
