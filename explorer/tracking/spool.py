"""Records on their way to the tracking server, on disk: an outage, and the end of the process, lose none of them.

Two files: the records, one line of JSON each, and how many bytes of them were delivered. What is delivered twice because a
process died in between is the same to the letter, time stamp included, so that it shows once.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

logger = logging.getLogger(__name__)


class Spool:
    """The spool in ``file``. One process at a time: whoever runs the sweep."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._mark = file.with_name(f"{file.name}.delivered")
        self._end = 0
        self._broken = False

    def open(self) -> list[tuple[dict[str, Any], int]]:
        """What an earlier process did not deliver: records, each with its mark. A half-written last line is dropped."""
        content = self._file.read_bytes() if self._file.is_file() else b""
        whole = content[: content.rfind(b"\n") + 1]
        start = self._delivered()
        if start >= len(whole):
            self.clear()
            return []
        if len(whole) < len(content):
            os.truncate(self._file, len(whole))
        left = []
        self._end = start
        for line in whole[start:].splitlines(keepends=True):
            self._end += len(line)
            left.append((json.loads(line), self._end))
        return left

    def append(self, record: Mapping[str, Any]) -> int | None:
        """Write a record; its mark, or None where it could not be written (a full disk): it is then in memory alone."""
        line = json.dumps(record).encode() + b"\n"
        try:
            with self._file.open("ab") as file:
                file.write(line)
        except OSError as error:
            if not self._broken:
                logger.warning("tracking records cannot be spooled to %s (%s); an outage would lose them", self._file, error)
            self._broken = True
            return None
        self._end += len(line)
        return self._end

    def delivered(self, mark: int) -> None:
        """Everything up to ``mark`` has been delivered."""
        aside = self._mark.with_name(f".{self._mark.name}")
        try:
            aside.write_text(str(mark))
            os.replace(aside, self._mark)
        except OSError:  # it would be delivered again, and show once
            return

    def clear(self) -> None:
        """Everything has been delivered."""
        self._file.unlink(missing_ok=True)
        self._mark.unlink(missing_ok=True)
        self._end = 0

    def _delivered(self) -> int:
        try:
            return int(self._mark.read_text())
        except (OSError, ValueError):
            return 0
